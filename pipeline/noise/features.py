"""What a frozen language model makes of a response:
its last hidden state at the last token, computed once.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from pipeline import durable
from pipeline.engine.base import RequestFailed
from pipeline.engine.model import Model, check
from pipeline.engine.rendering import Renderer
from pipeline.errors import OrchardError
from pipeline.ids import content_id

Ids = tuple[int, ...]
Matrix = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Features:
    """One row per text: (n, D) numbers, not yet standardised."""

    ids: Sequence[str]
    matrix: Matrix

    def rows(self, ids: Sequence[str]) -> npt.NDArray[np.int64]:
        """Places of ids in the matrix."""
        place = {key: i for i, key in enumerate(self.ids)}
        return np.array([place[key] for key in ids], dtype=np.int64)


def sides(
    pairs: pl.DataFrame, model: Model, max_length: int
) -> tuple[pl.DataFrame, dict[str, Ids], dict[str, str]]:
    """Both texts of every pair as token ids, with the context before them; equal texts once.

    Returns:
        the pairs whose texts fit, with `chosen_text_id`, `rejected_text_id`, `chosen_tokens` and
        `rejected_tokens`; token ids by text id; and the reason for every pair_id left out. A
        context that is too long loses tokens on the left.
    """
    renderer = Renderer(model.path)
    texts: dict[str, Ids] = {}
    found: dict[str, tuple[str, int, str, int]] = {}
    faults: dict[str, str] = {}
    for row in pairs.iter_rows(named=True):
        try:
            chosen = _side(row, "chosen", "messages", "prefix", renderer, max_length)
            rejected = _side(
                row, "rejected", "rejected_messages", "rejected_prefix", renderer, max_length
            )
        except RequestFailed as error:
            faults[row["pair_id"]] = str(error)
            continue
        for key, ids, _ in (chosen, rejected):
            texts[key] = ids
        found[row["pair_id"]] = (chosen[0], chosen[2], rejected[0], rejected[2])
    columns = ("chosen_text_id", "chosen_tokens", "rejected_text_id", "rejected_tokens")
    kinds = (pl.String, pl.Int64, pl.String, pl.Int64)
    fitting = pairs.filter(pl.col("pair_id").is_in(list(found)))
    values = [found[key] for key in fitting["pair_id"]]
    extra = [
        pl.Series(n, [v[i] for v in values], k)
        for i, (n, k) in enumerate(zip(columns, kinds, strict=True))
    ]
    return fitting.with_columns(extra), texts, faults


def _side(
    row: Mapping[str, Any],
    side: str,
    messages: str,
    prefix: str,
    renderer: Renderer,
    max_length: int,
) -> tuple[str, Ids, int]:
    """(text id, token ids of context and text, tokens of the text)."""
    turns = row["messages"] if row[messages] is None else row[messages]
    start = row["prefix"] if row[prefix] is None else row[prefix]
    context, text = renderer.chat.side(turns, start, row[side], ends=row[f"{side}_ends"])
    if not text or len(text) >= max_length:
        raise RequestFailed(
            f"the {side} text of {len(text)} tokens does not fit into noise.max_length {max_length}"
        )
    ids = (*context[-(max_length - len(text)) :], *text)
    return content_id(ids, len(text)), ids, len(text)


def features(
    model: Model,
    texts: Mapping[str, Ids],
    folder: Path,
    *,
    micro_tokens: int = 8192,
    progress: Progress | None = None,
) -> Features:
    """(n, D) fp32 last-layer hidden states at the last token of each text.

    What the folder holds is not redone: a run that was killed goes on after its last batch.

    Raises:
        OrchardError: no model folder, weights that cannot be read, or a text whose state is not
            finite.
    """
    path = folder / f"{content_id('last token', model.policy_id)}.npz"
    parts = path.with_suffix(".parts")  # of runs that were killed, and of this one
    found = _parts(parts)
    known = _load(path)
    for part in found:
        known.update(_load(part))
    missing = {key: ids for key, ids in texts.items() if key not in known}
    for batch in _compute(model, missing, micro_tokens, progress) if missing else ():
        found.append(parts / f"{content_id(*sorted(batch))}.npz")
        _save(found[-1], batch)
        known.update(batch)
    if found:
        _save(path, known)
    for part in found:
        part.unlink(missing_ok=True)
    keys = sorted(texts)
    return Features(
        keys, np.stack([known[key] for key in keys]) if keys else np.zeros((0, 0), np.float32)
    )


def _compute(
    model: Model, texts: Mapping[str, Ids], micro_tokens: int, progress: Progress | None
) -> Iterator[dict[str, Matrix]]:
    """The states of one batch after the other, the longest texts first.

    A text that another one begins with costs nothing: a causal model's state there is its own.
    """
    import torch

    causal, device, bf16 = _load_model(model.path)
    begun = prefixes(texts)
    longest = sorted(begun, key=lambda text: (-len(text), text))
    done = 0
    while longest:
        size = max(1, micro_tokens // len(longest[0]))
        batch, longest = longest[:size], longest[size:]
        keys = [key for text in batch for key in begun[text]]
        ends = [[len(texts[key]) for key in begun[text]] for text in batch]
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            found = states_at(causal, batch, ends, device).float().cpu().numpy()
        if not np.isfinite(found).all():
            bad = keys[int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])]
            raise OrchardError(
                f"features of text {bad} are not finite: load the model with another dtype"
            )
        yield dict(zip(keys, found, strict=True))
        done += len(keys)
        if progress:
            progress(done, len(texts))


def prefixes(texts: Mapping[str, Ids]) -> dict[Ids, list[str]]:
    """The texts that no longer one begins with, each with the ids of the texts that it begins with,
    its own among them; every id once.
    """
    found: dict[Ids, list[str]] = {}
    begun: list[str] = []  # each text begins with the one before it
    ordered = sorted(texts, key=lambda key: texts[key])  # a text stands behind those it begins with
    for number, key in enumerate(ordered):
        begun.append(key)
        after = texts[ordered[number + 1]] if number + 1 < len(ordered) else None
        kept = [one for one in begun if after and after[: len(texts[one])] == texts[one]]
        if len(kept) < len(begun):  # the next text leaves this one
            found[texts[key]] = [one for one in begun if one not in kept]
            begun = kept
    return found


def states_at(
    backbone: Any, texts: Sequence[Ids], ends: Sequence[Sequence[int]], device: Any
) -> Any:
    """(N, D) last-layer hidden states of a causal model without its head, text by text:
    at the last of each number of tokens that `ends` names.
    """
    import torch

    ids = torch.zeros(len(texts), max(map(len, texts)), dtype=torch.long)
    for row, text in enumerate(texts):  # padded on the right: causal attention never sees it
        ids[row, : len(text)] = torch.tensor(text)
    states = backbone(input_ids=ids.to(device), use_cache=False).last_hidden_state  # (B, L, D)
    rows = [row for row, own in enumerate(ends) for _ in own]
    last = [end - 1 for own in ends for end in own]
    return states[torch.tensor(rows, device=device), torch.tensor(last, device=device)]


def last_states(backbone: Any, texts: Sequence[Ids], device: Any) -> Any:
    """(B, D) the same at the last token of each of B texts."""
    return states_at(backbone, texts, [[len(text)] for text in texts], device)


def _load_model(path: Path) -> tuple[Any, Any, bool]:
    """The model without its head, its device, and whether that computes in bfloat16 by itself."""
    import torch
    from transformers import AutoModel
    from transformers.utils import logging

    check(path)
    logging.disable_progress_bar()
    try:
        causal = AutoModel.from_pretrained(
            str(path), dtype=torch.float32, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # the reader of a broken file may raise anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise OrchardError(f"model folder {path}: weights cannot be read: {reason}") from error
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    bf16 = device.type == "cuda" or bool(torch.cpu.get_capabilities().get("amx_bf16"))
    return causal.to(device).eval().requires_grad_(False), device, bf16


def _load(path: Path) -> dict[str, Matrix]:
    if not path.is_file():
        return {}
    with np.load(path) as stored:
        return dict(zip(stored["ids"].tolist(), stored["matrix"], strict=True))


def _parts(folder: Path) -> list[Path]:
    """Whole files of single batches, drafts left out."""
    return sorted(path for path in folder.glob("*.npz") if not path.name.startswith("."))


def _save(path: Path, known: Mapping[str, Matrix]) -> None:
    """Written whole or not at all; two writers lose only each other's new rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.stem}.{os.getpid()}.npz")
    try:
        np.savez(draft, ids=np.array(list(known)), matrix=np.stack(list(known.values())))
        durable.put(draft, path)
    finally:
        draft.unlink(missing_ok=True)
