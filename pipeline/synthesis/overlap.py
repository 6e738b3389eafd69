"""Decontamination: do synthetic prompts or code repeat what the evaluation asks?

Two measures of every synthetic text against every evaluation text, after case and white space are evened out:

- n-grams: the share of the evaluation text's runs of n tokens (words and marks) that the synthetic text has too. It
  finds a question inside a longer prompt. A text of fewer than n tokens is one run. Runs that more than `common` of the
  evaluation texts (and more than two of them) share say nothing and are left out: they are the pool's template.
- edits: 1 - (insertions + deletions) / (both lengths), by rapidfuzz. It finds a question that was reworded slightly.
  Two texts whose numbers differ are two problems, however alike, and are not reported.

The measures are usual ones; the thresholds and both exceptions are our choice.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

_TOKEN = re.compile(r"\w+|[^\w\s]")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_BLOCK = 512  # synthetic texts per matrix of similarities
SCHEMA = {"text_id": pl.String, "reference_id": pl.String, "ngrams": pl.Float64, "edits": pl.Float64}
Runs = frozenset[tuple[str, ...]]


@dataclass(frozen=True)
class Limits:
    """From which measures on two texts overlap."""

    n: int = 8  # tokens of a run
    ngrams: float = 0.8  # share of the evaluation text's runs
    edits: float = 0.9  # similarity in [0, 1]
    common: float = 0.05  # share of evaluation texts from which a run is template


def overlaps(texts: Mapping[str, str], references: Mapping[str, str], limits: Limits = Limits()) -> pl.DataFrame:
    """Every synthetic text and evaluation text that overlap, with both measures in [0, 1]; sorted by their ids.

    Args:
        texts: synthetic texts by id.
        references: evaluation texts by id.
    """
    shares = dict(_shared_runs(texts, references, limits))
    alike = dict(_similar(texts, references, limits.edits))
    found = sorted(shares.keys() | alike.keys())
    rows = [(*pair, shares.get(pair, 0.0), alike.get(pair) or _edits(*pair, texts, references)) for pair in found]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _shared_runs(
    texts: Mapping[str, str], references: Mapping[str, str], limits: Limits
) -> Iterator[tuple[tuple[str, str], float]]:
    """Pairs of ids whose share of common runs reaches the limit, with that share."""
    tokens = {key: tuple(_TOKEN.findall(text.casefold())) for key, text in references.items()}
    runs = {key: _runs(found, min(limits.n, len(found))) for key, found in tokens.items() if found}
    seen = Counter(run for each in runs.values() for run in each)
    most = max(2, limits.common * len(references))
    telling = {key: frozenset(run for run in each if seen[run] <= most) for key, each in runs.items()}
    where: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for key, each in telling.items():
        for run in each:
            where[run].append(key)
    sizes = sorted({len(run) for run in where})
    for text_id, text in texts.items():
        found = tuple(_TOKEN.findall(text.casefold()))
        own = frozenset().union(*(_runs(found, size) for size in sizes))
        hits = Counter(key for run in own & where.keys() for key in where[run])
        for key, n in hits.items():
            if n >= limits.ngrams * len(telling[key]):
                yield (text_id, key), n / len(telling[key])


def _runs(tokens: tuple[str, ...], size: int) -> Runs:
    return frozenset(tokens[i : i + size] for i in range(len(tokens) - size + 1))


def _similar(
    texts: Mapping[str, str], references: Mapping[str, str], limit: float
) -> Iterator[tuple[tuple[str, str], float]]:
    """Pairs of ids with the same numbers whose similarity reaches the limit, with that similarity."""
    from rapidfuzz import process
    from rapidfuzz.distance import Indel

    ids, keys = list(texts), list(references)
    others = [_even(references[key]) for key in keys]
    for start in range(0, len(ids) if keys else 0, _BLOCK):
        block = ids[start : start + _BLOCK]
        matrix = process.cdist(
            [_even(texts[i]) for i in block], others, scorer=Indel.normalized_similarity, score_cutoff=limit
        )
        for i, j in np.argwhere(matrix >= limit):
            if _numbers(texts[block[i]]) == _numbers(references[keys[j]]):
                yield (block[i], keys[j]), float(matrix[i, j])


def _edits(text_id: str, key: str, texts: Mapping[str, str], references: Mapping[str, str]) -> float:
    from rapidfuzz.distance import Indel

    return float(Indel.normalized_similarity(_even(texts[text_id]), _even(references[key])))


def _even(text: str) -> str:
    return " ".join(text.casefold().split())


def _numbers(text: str) -> list[str]:
    return _NUMBER.findall(text)
