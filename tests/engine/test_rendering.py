"""Rendered prompts: the same on every day."""

from datetime import datetime
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from pipeline.engine.base import Prompt
from pipeline.engine.rendering import Renderer
from pipeline.rewards.local import _encode
from pipeline.training.tokens import RowReader

TEMPLATE = "{{ strftime_now('%d %b %Y') }}|{% for m in messages %}{{ m.content }}{% endfor %}"
TURNS = ({"role": "user", "content": "q"},)


class InFiveYears(datetime):
    @classmethod
    def now(cls, tz: object = None) -> "InFiveYears":
        return cls(2031, 1, 2)


def test_a_template_that_asks_for_the_date_gets_the_same_one_every_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = {"26": 0, "Jul": 1, "2024": 2, "|q": 3, "[UNK]": 4}
    made = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    )
    made.backend_tokenizer.pre_tokenizer = None
    made.chat_template = TEMPLATE
    made.save_pretrained(tmp_path)
    monkeypatch.setattr("transformers.utils.chat_template_utils.datetime", InFiveYears)
    renderer = Renderer(tmp_path)
    assert renderer.text(Prompt(TURNS)) == "26 Jul 2024|q"  # type: ignore[arg-type]
    seen: list[str] = []
    monkeypatch.setattr(
        type(renderer.tokenizer), "encode", lambda self, text, **how: seen.append(text) or []
    )
    RowReader(renderer.chat).side(TURNS, "a", ends=False)
    _encode(renderer.chat, TURNS)  # type: ignore[arg-type]
    contexts = [text for text in seen if "|" in text]
    assert contexts == ["26 Jul 2024|q"] * 2  # both read what was sampled
