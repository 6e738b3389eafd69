"""The declaration of a step: what it reads, what it makes, and for whom."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from pipeline.config import Settings
from pipeline.engine.base import Reject

if TYPE_CHECKING:
    from pipeline.steps.inputs import Inputs


@dataclass(frozen=True)
class Rows:
    """Some rows of a table: those of one partition, such as the trees of one method."""

    table: str
    column: str
    value: str

    @property
    def partition(self) -> dict[str, str]:
        """The partition as the lake names it."""
        return {self.column: self.value}

    @property
    def condition(self) -> str:
        """The same as a condition in SQL."""
        return f"\"{self.column}\" = '{self.value}'"

    def __str__(self) -> str:
        return f"{self.table}[{self.column}={self.value}]"


Need = str | Rows  # a whole table, or some rows of it
SKIPS = "preferences.skip_near_duplicates"  # what a step that makes pairs reads besides


def table_of(need: Need) -> str:
    """The name of the table that a need is about."""
    return need if isinstance(need, str) else need.table


@dataclass(frozen=True)
class Reads:
    """All that a step, or a variant of preference data, may read.

    tables: tables of the lake. Whoever needs this step needs the steps that make them.
    beside: tables that are read as they are, and that nobody makes for this step alone:
        imports, report cards, whatever a report shows.
    uncounted: tables that are read and change no decision about rows, such as what things cost:
        their versions stand in the commit, and in no fingerprint.
    queries: files of sql/ without their ending; the tables that they name are read too, and count
        as `tables` unless `beside` or `uncounted` names them.
    settings: dotted names, such as "seed", "judge" or "training.max_length".
    engines: roles of models that are asked, such as "policy" (see pipeline/steps/roles.py).
    models: roles of models whose weights or tokenizer are read.
    texts: further texts that count like code, such as the query of a profile's own variant.
    code: further functions, classes or files (paths) whose code makes the rows: what a registry
        finds by name, and so no import statement shows.
    gates: tables with a report card; a blocking check on them comes before this step.
    """

    tables: tuple[Need, ...] = ()
    beside: tuple[Need, ...] = ()
    uncounted: tuple[Need, ...] = ()
    queries: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    code: tuple[Any, ...] = ()
    gates: tuple[str, ...] = ()

    def plus(self, *others: "Reads") -> "Reads":
        """All that these read together, each once, in the order of first mention."""
        merged = self
        for other in others:
            both = {name: (*getattr(merged, name), *getattr(other, name)) for name in FIELDS}
            merged = Reads(**{name: tuple(dict.fromkeys(values)) for name, values in both.items()})
        return merged


FIELDS = tuple(Reads.__dataclass_fields__)


@dataclass
class StepResult:
    """What a step's function gives: rows, rejected rows, and what to show of them.

    `shown` maps a title to a number, a text, a list of sentences, a data frame or a figure.
    """

    rows: pl.DataFrame
    rejects: Sequence[Reject] | pl.DataFrame = ()
    shown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PerPrompt:
    """Says that a step's rows are made for each prompt alone, from the rows of that prompt only.

    units: gives the prompts to make, one row each with the column prompt_id; what else the rows
        hold goes to the step's function as `inputs.units`.
    chunk: prompts that one call of the step's function gets, at most.
    """

    units: Callable[["Inputs"], pl.DataFrame]
    chunk: int = 1000


ReadsOf = Callable[[Settings, str | None], Reads]
Parts = Callable[[Settings], Sequence[str]]


@dataclass(frozen=True)
class Step:
    """One table, or one partition of it: how it is made, and from what.

    name: of the step, and of its asset.
    make: gives the rows, from inputs that hold what is declared and nothing else.
    reads: what it may read, whatever the profile says.
    table: the table that it writes; null for a step that writes a file.
    description: what a row of it tells, for people who look at the graph.
    group: where it stands in the graph.
    kinds: what it runs on, for the graph: vllm, torch, polars, duckdb.
    partition: the rows of the table that are this step's, where several steps write one table.
    reads_of: what a part reads besides; with no part, what a profile's parts read together.
    parts: the parts of a profile, such as its variants; each is a partition of `part_column`.
    per: makes only prompts that lack rows of today's recipe.
    counts: what of the tables counts in the fingerprint, in place of their versions.
    show: what to show of the table's rows, also where nothing had to be made.
    all_parts: the parts that any profile could have, such as all variants that are known.
    is_partitioned: its parts are partitions of its asset in the web UI.
    paid: of the rows that cost sampled tokens, a condition in SQL; null: all rows count.
    show_reads: what `show` reads besides; it changes no row, so it is in no fingerprint.
    is_end: made for its own sake, and not because another step needs it.
    made_beside: tables; this step describes them and is made wherever one of them is.
    makes_pairs: it compares texts, or chooses those that are compared: responses that nearly repeat
        an earlier one are hidden from it, unless `preferences.skip_near_duplicates` is off.
    continues: it has the policy go on with a reply that it began, which chat servers cannot do.
    """

    name: str
    make: Callable[["Inputs"], StepResult]
    reads: Reads
    table: str | None
    description: str
    group: str
    kinds: tuple[str, ...] = ("polars",)
    partition: Rows | None = None
    reads_of: ReadsOf | None = None
    parts: Parts | None = None
    part_column: str | None = None
    all_parts: Parts | None = None
    is_partitioned: bool = False
    paid: str | None = None
    per: PerPrompt | None = None
    counts: Callable[["Inputs"], object] | None = None
    show: Callable[["Inputs", pl.DataFrame], Mapping[str, Any]] | None = None
    show_reads: Reads = Reads()
    is_end: bool = False
    made_beside: tuple[str, ...] = ()
    makes_pairs: bool = False
    continues: bool = False

    def reads_for(self, settings: Settings, part: str | None = None) -> Reads:
        """All that a part reads; with no part, all that the profile's parts read together."""
        own = self.reads.plus(Reads(settings=(SKIPS,))) if self.makes_pairs else self.reads
        if self.reads_of is None:
            return own
        if part is not None or self.parts is None:
            return own.plus(self.reads_of(settings, part))
        return own.plus(*(self.reads_of(settings, one) for one in self.parts(settings)))

    def partition_for(self, part: str | None) -> dict[str, str]:
        """The partition of the table that a commit of this part replaces."""
        fixed = self.partition.partition if self.partition else {}
        own = {} if part is None or self.part_column is None else {self.part_column: part}
        return {**fixed, **own}

    def with_reads(self, more: Reads) -> "Step":
        """The same step, with more that it may read."""
        return replace(self, reads=self.reads.plus(more))
