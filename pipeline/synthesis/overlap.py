"""Decontamination:
do texts that a model learns from, prompts or code, repeat what the evaluation asks?

Two measures of every such text against every evaluation text, both folded (pipeline/folding.py),
without case and white space:

- n-grams: the share of the evaluation text's runs of n tokens (words and marks) that the other text
  has too. It finds a question inside a longer prompt. A text of fewer than n tokens is one run.
  Runs that more than `common` of the evaluation texts (and more than two of them) share say nothing
  and are left out: they are the pool's template.
- edits: 1 - (insertions + deletions) / (both lengths), by rapidfuzz. It finds a question that was
  reworded slightly.

Two questions whose numbers differ are two problems, however alike, and are not reported: by edits,
where they are not the same numbers; by n-grams, where the evaluation text's do not stand in a row
in the other's. Of code numbers say nothing (`numbers` false).

The measures are usual ones; the thresholds and both exceptions are our choice. This is the only
implementation: the blocking check before training uses it as well.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl

from pipeline.config import OverlapSettings
from pipeline.folding import folded
from pipeline.synthesis.codefavor_code import stripped

_TOKEN = re.compile(r"\w+|[^\w\s]")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_BLOCK = 512  # texts per matrix of similarities
SCHEMA = {
    "text_id": pl.String,
    "reference_id": pl.String,
    "ngrams": pl.Float64,
    "edits": pl.Float64,
}
LIMITS = OverlapSettings()
Runs = frozenset[tuple[str, ...]]


def overlaps(
    texts: Mapping[str, str],
    references: Mapping[str, str],
    limits: OverlapSettings = LIMITS,
    *,
    numbers: bool = True,
) -> pl.DataFrame:
    """Every text and evaluation text that overlap, with both measures in [0, 1];
    sorted by their ids.

    Args:
        texts: texts to learn from, by id.
        references: evaluation texts by id.
        numbers: whether two texts with other numbers are two problems.
    """
    texts, references = _evened(texts), _evened(references)
    shares = dict(_shared_runs(texts, references, limits, numbers))
    alike = dict(_similar(texts, references, limits.edits, numbers))
    found = sorted(shares.keys() | alike.keys())
    rows = [
        (*pair, shares.get(pair, 0.0), alike.get(pair) or _edits(*pair, texts, references))
        for pair in found
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def same_prompts(
    texts: Mapping[str, str], references: Mapping[str, str], limits: OverlapSettings = LIMITS
) -> pl.DataFrame:
    """What must not be trained on:
    texts that are an evaluation text when normalised, or hold its runs of tokens.
    """
    found = overlaps(texts, references, limits.model_copy(update={"edits": 1.0}))
    return found.filter((pl.col("ngrams") >= limits.ngrams) | (pl.col("edits") == 1.0))


def code_overlaps(
    codes: Mapping[str, str], references: Mapping[str, str], limits: OverlapSettings = LIMITS
) -> pl.DataFrame:
    """The same for programs, without their comments and docstrings where they parse.

    Numbers do not count.
    """
    sides = [
        {key: stripped(code) or code for key, code in found.items()}
        for found in (codes, references)
    ]
    return overlaps(sides[0], sides[1], limits, numbers=False)


def _shared_runs(
    texts: Mapping[str, str], references: Mapping[str, str], limits: OverlapSettings, numbers: bool
) -> Iterator[tuple[tuple[str, str], float]]:
    """Pairs of ids whose share of common runs reaches the limit, with that share."""
    tokens = {key: tuple(_TOKEN.findall(text)) for key, text in references.items()}
    runs = {key: _runs(found, min(limits.n, len(found))) for key, found in tokens.items() if found}
    seen = Counter(run for each in runs.values() for run in each)
    most = max(2, limits.common * len(references))
    telling = {
        key: frozenset(run for run in each if seen[run] <= most) for key, each in runs.items()
    }
    where: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for key, each in telling.items():
        for run in each:
            where[run].append(key)
    sizes = sorted({len(run) for run in where})
    for text_id, text in texts.items():
        found = tuple(_TOKEN.findall(text))
        own = frozenset().union(*(_runs(found, size) for size in sizes))
        hits = Counter(key for run in own & where.keys() for key in where[run])
        for key, n in hits.items():
            enough = n >= limits.ngrams * len(telling[key])
            if enough and (not numbers or _in_a_row(_numbers(references[key]), _numbers(text))):
                yield (text_id, key), n / len(telling[key])


def _runs(tokens: tuple[str, ...], size: int) -> Runs:
    return frozenset(tokens[i : i + size] for i in range(len(tokens) - size + 1))


def _similar(
    texts: Mapping[str, str], references: Mapping[str, str], limit: float, numbers: bool
) -> Iterator[tuple[tuple[str, str], float]]:
    """Pairs of ids (with the same numbers, where they count) whose similarity reaches the limit,
    with it.
    """
    from rapidfuzz import process
    from rapidfuzz.distance import Indel

    ids, keys = list(texts), list(references)
    others = [references[key] for key in keys]
    for start in range(0, len(ids) if keys else 0, _BLOCK):
        block = ids[start : start + _BLOCK]
        matrix = process.cdist(
            [texts[i] for i in block],
            others,
            scorer=Indel.normalized_similarity,
            score_cutoff=limit,
        )
        for i, j in np.argwhere(matrix >= limit):
            if not numbers or _numbers(texts[block[i]]) == _numbers(references[keys[j]]):
                yield (block[i], keys[j]), float(matrix[i, j])


def _edits(
    text_id: str, key: str, texts: Mapping[str, str], references: Mapping[str, str]
) -> float:
    from rapidfuzz.distance import Indel

    return float(Indel.normalized_similarity(texts[text_id], references[key]))


def _evened(texts: Mapping[str, str]) -> dict[str, str]:
    return {key: " ".join(folded(text, case=False).split()) for key, text in texts.items()}


def _numbers(text: str) -> list[str]:
    return _NUMBER.findall(text)


def _in_a_row(part: list[str], whole: list[str]) -> bool:
    return any(
        whole[start : start + len(part)] == part for start in range(len(whole) - len(part) + 1)
    )
