"""A profile passes arguments to a model's chat template, and everything renders with them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.config import ModelSettings
from pipeline.engine.base import Prompt
from pipeline.engine.model import resolve
from pipeline.engine.rendering import Renderer
from pipeline.engine.template import _head
from pipeline.errors import OrchardError
from tests.engine.chats import CHATML, fast

TEMPLATE = CHATML.template.replace(
    "assistant\n{% endif",
    "assistant\n{% if enable_thinking is defined and enable_thinking is false %}"
    "<think>\n\n</think>\n\n{% endif %}{% endif",
)
PROMPT = Prompt(({"role": "user", "content": "3 + 4"},))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model that thinks unless it is told not to; its weights are nobody's concern here."""
    path = tmp_path / "thinker"
    fast(CHATML).save_pretrained(path)
    (path / "chat_template.jinja").write_text(TEMPLATE)
    (path / "config.json").write_text("{}")
    (path / "model.safetensors").write_text("weights")
    return path


def test_an_argument_reaches_the_template_and_changes_the_models_id(
    folder: Path, tmp_path: Path
) -> None:
    plain = resolve(ModelSettings(name=str(folder)), tmp_path)
    told = ModelSettings(name=str(folder), template={"enable_thinking": False})
    quiet = resolve(told, tmp_path)
    assert resolve(told, tmp_path) == quiet
    assert quiet.policy_id != plain.policy_id
    assert quiet.policy_id.startswith("thinker@")
    start = "<|im_start|>user\n3 + 4<|im_end|>\n<|im_start|>assistant\n"
    assert Renderer(plain.path).text(PROMPT) == start
    assert Renderer(quiet.path).text(PROMPT) == start + "<think>\n\n</think>\n\n"
    assert not Renderer(quiet.path).opens_thought(PROMPT)
    assert (quiet.path / "model.safetensors").read_text() == "weights"
    # Whoever saves its tokenizer, as training does, keeps what it was told.
    Renderer(quiet.path).tokenizer.save_pretrained(tmp_path / "trained")
    assert Renderer(tmp_path / "trained").text(PROMPT).endswith("</think>\n\n")


def test_an_argument_that_the_template_never_names_is_an_error(
    folder: Path, tmp_path: Path
) -> None:
    told = ModelSettings(name=str(folder), template={"enable_thoughts": False})
    with pytest.raises(OrchardError, match="reads no 'enable_thoughts'"):
        resolve(told, tmp_path)


@pytest.mark.parametrize(
    "name", ["messages", "add_generation_prompt", "if", "no name", "x = 1 %}{%"]
)
def test_what_is_no_argument_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="no argument of a chat template"):
        ModelSettings(template={name: False})


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8).filter(str.isprintable)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(value=values, body=st.sampled_from(["x", "\nx", "  {% if true %}x{% endif %}"]))
@settings(max_examples=60, deadline=None)
def test_any_value_arrives_as_it_was_given(value: Any, body: str) -> None:
    made = fast(CHATML)
    turns = [{"role": "user", "content": "q"}]

    def rendered(template: str) -> str:
        return str(made.apply_chat_template(turns, chat_template=template, tokenize=False))

    assert json.loads(rendered(_head({"own": value}) + "{{ own | tojson }}")) == value
    assert rendered(_head({"own": value}) + body) == rendered(body)
