"""Synthetic preferences: instructions that a program checks (MAPL), and code that became better."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from assets.sampling import learnable
from pipeline.figures import histogram
from pipeline.steps import Inputs, PerPrompt, Reads, Step, StepResult
from pipeline.synthesis import codefavor_recorded
from pipeline.synthesis.code_pairs import (
    code_prompts,
    drafts_of,
    from_commits,
    lost,
    measured,
    revisions_of,
)
from pipeline.synthesis.mapl import synthesise
from pipeline.synthesis.rewording import reword_all


def _instructions(inputs: Inputs) -> StepResult:
    settings = inputs.settings
    texts = inputs.query("mapl_responses")
    known = texts.select("prompt_id", "answer", "own").unique("prompt_id")
    pairs = inputs.query("pairs_outcome", per_prompt=settings.mapl.max_per_prompt)
    asked = pairs.join(known, on="prompt_id")
    rows, rejects = synthesise(texts, asked, settings.mapl, settings.seed)
    if not settings.mapl.reword:
        return StepResult(rows, rejects)
    engine = inputs.engine("policy")
    with inputs.bar("rewording", engine) as advance:
        found = reword_all(engine, rows, texts, settings.mapl, settings.seed, advance)
    reworded, failed, kept = found
    reasons = {f"kept its template: {reason}": n for reason, n in kept.most_common()}
    return StepResult(reworded, [*rejects, *failed], reasons)


def _instructions_shown(inputs: Inputs, rows: pl.DataFrame) -> Mapping[str, Any]:
    counts = rows.group_by("kind", "condition").len().sort("kind", "condition").iter_rows()
    named = {f"{kind}_{condition}": n for kind, condition, n in counts}
    return {**named, "reworded_instructions": int(rows["reworded"].sum())}


INSTRUCTIONS = Step(
    name="instructions",
    table="instructions",
    make=_instructions,
    reads=Reads(
        queries=("mapl_responses", "pairs_outcome"),
        settings=("seed", "mapl"),
    ),
    reads_of=lambda settings, _: Reads(engines=("policy",) if settings.mapl.reword else ()),
    per=PerPrompt(lambda inputs: inputs.query("mapl_responses").select("prompt_id").unique()),
    show=_instructions_shown,
    makes_pairs=True,
    group="synthesis",
    description="Prompts with added instructions that a response provably fulfils or violates.",
)


def _code_pairs(inputs: Inputs) -> StepResult:
    settings = inputs.settings
    prompts = code_prompts(learnable(inputs), settings)
    asked = list(prompts.iter_rows(named=True))
    drafter = inputs.engine("policy")
    with inputs.bar("code drafts", drafter) as advance:  # all of them before the first revision,
        drafts = drafts_of(drafter, asked, settings, advance)  # so that no two models take turns
    critic = inputs.engine("critic")
    with inputs.bar("code revisions", critic) as advance:
        revised = revisions_of(critic, asked, drafts, drafter.policy_id, settings, advance)
    with inputs.bar("code commits", critic) as advance:
        mined = from_commits(critic, inputs.table("code_changes"), settings, advance)
    imported = inputs.table("recorded_code")
    recorded, tests = codefavor_recorded.pairs(imported, settings.splits)
    rows, rejects = measured([*revised, *mined, *recorded], prompts, tests, settings)
    return StepResult(rows, rejects, lost(rows, rejects))


def _code_pairs_shown(inputs: Inputs, rows: pl.DataFrame) -> Mapping[str, Any]:
    methods = rows.group_by("method").len().sort("method").iter_rows()
    decided = rows.drop_nulls("decided_by").group_by("decided_by").len().sort("decided_by")
    naive, improved = rows["naive"].str.len_chars(), rows["improved"].str.len_chars()
    longer = (improved > naive).mean()
    shares = [n / o for n, o in zip(improved, naive, strict=True)]
    share = round(float(longer), 4) if isinstance(longer, float) else None
    return {
        **{f"pairs_{name}": n for name, n in methods},
        **{f"decided_by_{name}": n for name, n in decided.iter_rows()},
        "share_where_the_improved_code_is_longer": share,
        "length_ratio": histogram(shares, "improved over naive, characters", "pairs"),
    }


CODE_PAIRS = Step(
    name="code_pairs",
    table="code_pairs",
    make=_code_pairs,
    reads=Reads(
        tables=("prompts",),
        beside=("code_changes", "recorded_code"),
        settings=("seed", "code", "sandbox", "splits"),
        engines=("policy", "critic"),
    ),
    show=_code_pairs_shown,
    group="synthesis",
    kinds=("vllm",),
    description="CodeFavor: naive and improved code from commits, a critic and files, measured.",
)

STEPS = (INSTRUCTIONS, CODE_PAIRS)
