"""A sequence classifier of a folder or hub as a voter."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.config import ModelSettings, VoterSettings
from pipeline.engine.base import RequestFailed, Turn
from pipeline.engine.chat_tokenizer import ChatTokenizer
from pipeline.engine.model import resolve
from pipeline.errors import OrchardError
from pipeline.rewards.texts import Conversations, Said, class_of, plain, reward

Progress = Callable[[int, int], None]
Tokens = dict[str, list[int]]  # what the network reads of one text


class Classifier:
    """A loaded classifier; its rewards are those of whole conversations.

    Raises:
        OrchardError: no such model, one without a trained classification head, or an unclear good
            class.
    """

    def __init__(self, voter: VoterSettings, home: Path, micro_tokens: int) -> None:
        assert voter.model is not None
        model = resolve(ModelSettings(name=voter.model, revision=voter.revision), home)
        self._network, tokenizer, self._device = _load(model.path, voter)
        self._chat = ChatTokenizer(tokenizer)
        class_of(voter.positive, self._network.config.num_labels, voter.name)
        self._pad = self._network.config.get_text_config().pad_token_id
        self._voter = voter
        self._micro_tokens = micro_tokens
        self.voter_id = f"{voter.name}@{model.policy_id.rpartition('@')[2]}"

    def __call__(self, texts: Conversations, progress: Progress | None = None) -> Said:
        """The reward of every conversation, in its own chat template,
        or as a pair of texts without one.
        """
        said = Said(self.voter_id, {}, {})
        encoded = self._encoded(texts, said)
        for batch in _batches(encoded, self._micro_tokens, single=self._pad is None):
            rows = _forward(
                self._network, [encoded[key] for key in batch], self._pad or 0, self._device
            )
            for key, logits in zip(batch, rows, strict=True):
                try:
                    said.rewards[key] = reward(logits, self._voter.positive, self._voter.name)
                except RequestFailed as error:
                    said.faults[key] = error.named(f"voter {self._voter.name}")
            if progress:
                progress(len(said.rewards) + len(said.faults), len(texts))
        return said

    def _encoded(self, texts: Conversations, said: Said) -> dict[str, Tokens]:
        """Tokens of those that fit; the others become faults."""
        name, most = self._voter.name, self._voter.max_length
        encoded: dict[str, Tokens] = {}
        for key in sorted(texts):
            try:
                encoded[key] = _encode(self._chat, texts[key])
            except RequestFailed as error:
                said.faults[key] = error.named(f"voter {name}")
        lengths = {key: len(ids["input_ids"]) for key, ids in encoded.items()}
        for key, length in lengths.items():
            if length > most:
                too_long = f"{length} tokens do not fit into its max_length {most}"
                said.faults[key] = RequestFailed(f"voter {name}: {too_long}")
        return {key: ids for key, ids in encoded.items() if lengths[key] <= most}


def _load(path: Path, voter: VoterSettings) -> tuple[Any, Any, Any]:
    """The network, its tokenizer and its device."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(path), local_files_only=True, trust_remote_code=False
        )
        network, report = AutoModelForSequenceClassification.from_pretrained(
            str(path),
            dtype=torch.float32,
            local_files_only=True,
            output_loading_info=True,
            trust_remote_code=False,
        )
    except Exception as error:  # the reader of a broken file may raise anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise OrchardError(
            f"voter {voter.name!r}: {path} is no sequence classifier: {reason}"
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:  # transformers would vote with random weights
        raise OrchardError(
            f"voter {voter.name!r}: {path} has no trained {missing[0]}: name a reward model"
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return network.to(device).eval().requires_grad_(False), tokenizer, device


def _encode(chat: ChatTokenizer, turns: Sequence[Turn]) -> Tokens:
    if chat.tokenizer.chat_template is None:
        return dict(chat.tokenizer(*plain(turns)))
    ids = chat.encode(chat.render(turns, reply=False))
    return {"input_ids": ids, "attention_mask": [1] * len(ids)}


def _batches(encoded: dict[str, Tokens], micro_tokens: int, *, single: bool) -> Iterator[list[str]]:
    """Ids of texts, the longest first, at most `micro_tokens` padded tokens together;
    one by one if `single`.
    """
    keys = sorted(encoded, key=lambda key: (-len(encoded[key]["input_ids"]), key))
    done = 0
    while done < len(keys):
        size = 1 if single else max(1, micro_tokens // len(encoded[keys[done]]["input_ids"]))
        yield keys[done : done + size]
        done += size


def _forward(network: Any, texts: list[Tokens], pad: int, device: Any) -> list[list[float]]:
    """(B, classes) logits.

    Padded on the right with the model's own padding token, by which it finds a text's last one; a
    model that has none gets one text at a time.
    """
    import torch

    width = max(len(text["input_ids"]) for text in texts)
    fill = {"input_ids": pad}  # all else: 0
    padded = {
        name: torch.tensor(
            [text[name] + [fill.get(name, 0)] * (width - len(text[name])) for text in texts]
        )
        for name in texts[0]
    }
    with torch.no_grad():
        found: list[list[float]] = (
            network(**{n: v.to(device) for n, v in padded.items()}).logits.double().tolist()
        )
    return found
