"""Steps that are made for each prompt alone: only prompts that lack rows of today's recipe."""

from collections.abc import Iterator, Mapping

import polars as pl

from pipeline import tables
from pipeline.ids import content_id
from pipeline.steps import recipe
from pipeline.steps.context import RunContext
from pipeline.steps.declared import Need, Rows, Step, StepResult, table_of
from pipeline.steps.inputs import Inputs, needs_of
from pipeline.steps.rejects import reject_rows
from pipeline.store import Written
from pipeline.store.checks import Checked, check


def make_missing(
    step: Step, run: RunContext, part: str | None, fingerprint: str
) -> tuple[Written, StepResult]:
    """Makes the prompts whose rows are of another recipe, chunk by chunk.

    One commit moves the table on.

    A prompt's recipe is a hash of the step's code, settings and models, of the prompt's units, and
    of its rows in the tables that are read. Rows of prompts that the step no longer makes go. Rows
    that a passing fault of a server left incomplete keep no recipe, so that the next run makes them
    again.

    Returns:
        what was written, and all rows of the partition with what to show of them.
    """
    from pipeline.steps.run import commit_of, step_name

    assert step.per is not None and step.table is not None
    units = step.per.units(Inputs(run, step, part))
    wanted, have = _recipes(step, run, part, units), _recipes_there(step, run, part)
    missing = _missing(wanted, have)
    gone = [one for one in have if one not in wanted]
    partition = step.partition_for(part)
    staged: list[Checked] = []
    shown: dict[str, object] = {}
    for chunk in _chunks(units, set(missing), step.per.chunk):
        made = step.make(Inputs(run, step, part, chunk))
        staged.append(_checked(step, step_name(step, part), partition, made, wanted, chunk))
        shown |= made.shown
    passing = any(one.rejects["passing"].fill_null(False).any() for one in staged)
    commit = commit_of(step, run, part, "" if passing else fingerprint)
    replaced = pl.DataFrame({"prompt_id": [*missing, *gone]}, schema={"prompt_id": pl.String})
    written = run.lake.write_prompts(step.table, staged, replaced, commit, partition=partition)
    where = " AND ".join(f"\"{name}\" = '{value}'" for name, value in partition.items())
    rows = run.lake.read(step.table, where=where or None)
    return written, StepResult(rows, (), shown)


def missing_prompts(step: Step, run: RunContext, part: str | None) -> list[str]:
    """The prompts that `make_missing` would make, as the tables are now."""
    assert step.per is not None
    units = step.per.units(Inputs(run, step, part))
    return _missing(_recipes(step, run, part, units), _recipes_there(step, run, part))


def _missing(wanted: Mapping[str, str], have: Mapping[str, set[str | None]]) -> list[str]:
    return [one for one, own in wanted.items() if have.get(one) != {own}]


def _recipes(step: Step, run: RunContext, part: str | None, units: pl.DataFrame) -> dict[str, str]:
    """Prompt -> the recipe of its rows today, in the order of the units."""
    base = recipe.base_recipe(step, run, part)
    digests: dict[str, list[object]] = {one: [] for one in units["prompt_id"].unique()}
    for (prompt,), own in units.drop("recipe", strict=False).group_by("prompt_id"):
        # Where there is a limit, another prompt may decide which units of this one are made.
        digests[str(prompt)].append(sorted(content_id(row) for row in own.iter_rows()))
    whole = []
    for need in dict.fromkeys(needs_of(step.reads_for(run.settings, part))):
        if "prompt_id" not in tables.empty(table_of(need)).columns:
            whole.append([str(need), recipe.version_of(need, run)])
            continue
        for prompt, digest in _digests(need, run):
            if prompt in digests:
                digests[prompt].append([str(need), digest])
    ordered = dict.fromkeys(units["prompt_id"])
    return {one: content_id(base, whole, digests[one]) for one in ordered}


def _digests(need: Need, run: RunContext) -> Iterator[tuple[str, list[str]]]:
    """Prompt -> a digest of its rows of a need, whatever their order; recipes do not count."""
    table = table_of(need)
    names = [f'"{name}"' for name in tables.empty(table).columns if name != "recipe"]
    said = f"hash({', '.join(names)})"
    query = f"""
        SELECT prompt_id, count(*) AS n,
               sum({said}::HUGEINT)::VARCHAR AS total, bit_xor({said}) AS x
        FROM "{table}" WHERE {need.condition if isinstance(need, Rows) else "true"}
        GROUP BY prompt_id
    """
    for prompt, *digest in run.lake.sql(query).iter_rows():
        yield prompt, [str(one) for one in digest]


def _recipes_there(step: Step, run: RunContext, part: str | None) -> dict[str, set[str | None]]:
    """Prompt -> the recipes of its rows, null among them where they are unknown.

    Rejects of the step say it too, of a prompt of which nothing else is left.
    """
    from pipeline.steps.run import step_name

    table, name, partition = step.table, step_name(step, part), step.partition_for(part)
    where = " AND ".join(f"\"{name}\" = '{value}'" for name, value in partition.items()) or "true"
    query = f'SELECT DISTINCT prompt_id, recipe FROM "{table}" WHERE {where}'
    have: dict[str, set[str | None]] = {}
    for prompt, own in run.lake.sql(query).iter_rows():
        have.setdefault(prompt, set()).add(own)
    rejected = """
        SELECT DISTINCT prompt_id, recipe FROM rejects
        WHERE "table" = $table AND step = $step AND prompt_id IS NOT NULL
    """
    for prompt, own in run.lake.sql(rejected, {"table": table, "step": name}).iter_rows():
        have.setdefault(prompt, set()).add(own)
    return have


def _chunks(units: pl.DataFrame, missing: set[str], size: int) -> Iterator[pl.DataFrame]:
    """The units of missing prompts, at most so many prompts at once, in their order."""
    left = units.filter(pl.col("prompt_id").is_in(list(missing)))
    prompts = left["prompt_id"].unique(maintain_order=True)
    for start in range(0, len(prompts), size):
        chosen = prompts[start : start + size].to_list()
        yield left.filter(pl.col("prompt_id").is_in(chosen))


def _checked(
    step: Step,
    name: str,
    partition: dict[str, str],
    made: StepResult,
    recipes: dict[str, str],
    chunk: pl.DataFrame,
) -> Checked:
    """A chunk's rows and rejects, with the recipes of their prompts."""
    assert step.table is not None and not isinstance(made.rejects, pl.DataFrame)
    rejects = reject_rows(made.rejects, set(chunk["prompt_id"]))
    passing = set(rejects.filter(pl.col("passing"))["prompt_id"])
    kept = {one: own for one, own in recipes.items() if one not in passing}
    found = check(step.table, _with_recipe(made.rows, kept), name, partition, rejects)
    return Checked(found.rows, _with_recipe(found.rejects, kept))


def _with_recipe(rows: pl.DataFrame, recipes: dict[str, str]) -> pl.DataFrame:
    own = [recipes.get(one) for one in rows["prompt_id"]]
    return rows.with_columns(recipe=pl.Series(own, dtype=pl.String))
