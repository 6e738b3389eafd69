"""A sequence classifier of a folder or hub as a voter."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.config import ModelSettings, VoterSettings
from pipeline.engine.base import RequestFailed, Turn
from pipeline.engine.model import resolve
from pipeline.errors import OrchardError
from pipeline.noise.external.texts import Conversations, Said, class_of, plain, reward

Progress = Callable[[int, int], None]
Tokens = dict[str, list[int]]  # what the network reads of one text


def classify(
    voter: VoterSettings, texts: Conversations, home: Path, micro_tokens: int, progress: Progress | None = None
) -> Said:
    """The classifier's reward of every conversation, in its own chat template, or as a pair of texts without one.

    Raises:
        OrchardError: no such model, one without a trained classification head, or an unclear good class.
    """
    assert voter.model is not None
    model = resolve(ModelSettings(name=voter.model, revision=voter.revision), home)
    network, tokenizer, device = _load(model.path, voter)
    class_of(voter.positive, network.config.num_labels, voter.name)
    said = Said(f"{voter.name}@{model.policy_id.rpartition('@')[2]}", {}, {})
    encoded: dict[str, Tokens] = {}
    for key in sorted(texts):
        ids = _encode(tokenizer, texts[key])
        if len(ids["input_ids"]) > voter.max_length:
            tokens = len(ids["input_ids"])
            said.faults[key] = f"voter {voter.name}: {tokens} tokens do not fit into its max_length {voter.max_length}"
        else:
            encoded[key] = ids
    pad = network.config.get_text_config().pad_token_id
    for batch in _batches(encoded, micro_tokens, single=pad is None):
        for key, logits in zip(batch, _forward(network, [encoded[k] for k in batch], pad or 0, device), strict=True):
            try:
                said.rewards[key] = reward(logits, voter.positive, voter.name)
            except RequestFailed as error:
                said.faults[key] = f"voter {voter.name}: {error}"
        if progress:
            progress(len(said.rewards) + len(said.faults), len(texts))
    return said


def _load(path: Path, voter: VoterSettings) -> tuple[Any, Any, Any]:
    """The network, its tokenizer and its device."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(path), local_files_only=True)
        network, report = AutoModelForSequenceClassification.from_pretrained(
            str(path), dtype=torch.float32, local_files_only=True, output_loading_info=True
        )
    except Exception as error:  # the reader of a broken file may raise anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise OrchardError(f"voter {voter.name!r}: {path} is no sequence classifier: {reason}") from error
    missing = sorted(report["missing_keys"])
    if missing:  # transformers would vote with random weights
        raise OrchardError(f"voter {voter.name!r}: {path} has no trained {missing[0]}: name a reward model")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return network.to(device).eval().requires_grad_(False), tokenizer, device


def _encode(tokenizer: Any, turns: Sequence[Turn]) -> Tokens:
    if tokenizer.chat_template is None:
        return dict(tokenizer(*plain(turns)))
    text = tokenizer.apply_chat_template([dict(turn) for turn in turns], tokenize=False)
    ids = tokenizer.encode(text, add_special_tokens=False)
    return {"input_ids": ids, "attention_mask": [1] * len(ids)}


def _batches(encoded: dict[str, Tokens], micro_tokens: int, *, single: bool) -> Iterator[list[str]]:
    """Ids of texts, the longest first, at most `micro_tokens` padded tokens together; one by one if `single`."""
    keys = sorted(encoded, key=lambda key: (-len(encoded[key]["input_ids"]), key))
    done = 0
    while done < len(keys):
        size = 1 if single else max(1, micro_tokens // len(encoded[keys[done]]["input_ids"]))
        yield keys[done : done + size]
        done += size


def _forward(network: Any, texts: list[Tokens], pad: int, device: Any) -> list[list[float]]:
    """(B, classes) logits.

    Padded on the right with the model's own padding token, by which it finds a text's last one; a model that has none
    gets one text at a time.
    """
    import torch

    width = max(len(text["input_ids"]) for text in texts)
    fill = {"input_ids": pad}  # all else: 0
    padded = {
        name: torch.tensor([text[name] + [fill.get(name, 0)] * (width - len(text[name])) for text in texts])
        for name in texts[0]
    }
    with torch.no_grad():
        found: list[list[float]] = network(**{n: v.to(device) for n, v in padded.items()}).logits.double().tolist()
    return found
