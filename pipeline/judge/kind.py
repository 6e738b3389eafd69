"""What kinds of judges there are: each is one object, registered by name where it is defined.

@judge_kind("shortest")
class Shortest(JudgeKind):
    def votes(self, inputs, number, known):
        ...
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import polars as pl

from pipeline.config import JudgeModelSettings, JudgeSettings, Settings
from pipeline.engine.base import Reject
from pipeline.errors import OrchardError
from pipeline.extensions import registering
from pipeline.registered import Registry
from pipeline.steps.declared import Reads

if TYPE_CHECKING:
    from pipeline.steps.inputs import Inputs

Known = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]  # prompts, responses, recorded_pairs
Votes = tuple[pl.DataFrame, list[Reject]]


class JudgeKind:
    """One way to judge. A subclass gives the votes and says what else its judges can be asked."""

    name: str  # set by the decorator
    # Its judges answer questions in words: they write principles and are asked under two contexts.
    answers_questions = False
    # Its judges can be asked which of two answers is better: win rates take them.
    compares_answers = False
    has_servers = False  # a judge may answer on servers of its own
    reads = Reads()  # what `votes` reads besides the judge's settings, its model and what it judges

    def votes(self, inputs: "Inputs", number: int, known: Known) -> Votes:
        """Rows of `votes` of one judge, and what failed.

        Args:
            inputs: of the step; `inputs.models("judges")[number]` is the judge's model.
            number: of the judge, in the order of `judge.models`.
            known: rows of `prompts`, `responses` and `recorded_pairs` that it judges.
        """
        raise NotImplementedError


KINDS = Registry[JudgeKind]("judge kind", "pipeline.judge.kinds")
Kind = TypeVar("Kind", bound=type[JudgeKind])
POLICY = "generative"  # the kind of the policy, where it judges for want of a judge


def judge_kind(name: str) -> Callable[[Kind], Kind]:
    """Registers a subclass of JudgeKind.

    Raises:
        OrchardError: another kind has that name.
    """

    module = registering()

    def register(defined: Kind) -> Kind:
        made = defined()
        made.name = name
        KINDS.add(name, made, module)
        return defined

    return register


def kinds_of(settings: JudgeSettings) -> list[JudgeKind]:
    """The kind of each judge, in the order of the settings.

    Raises:
        OrchardError: a kind that is not there, or a judge with servers whose kind has none.
    """
    if not settings.models:
        return [KINDS.find(POLICY)]
    return [_kind_of(model) for model in settings.models]


def reads_of_kinds(settings: Settings, part: str | None = None) -> Reads:
    """What the votes of a profile's judges read besides, and the code of their kinds."""
    found = kinds_of(settings.judge)
    code = tuple(KINDS.source_of(kind.name) for kind in found)
    return Reads(code=tuple(dict.fromkeys(code))).plus(*(kind.reads for kind in found))


def abilities(settings: Settings, part: str | None = None) -> Reads:
    """What a profile's judges can be asked, as a text that counts."""
    found = [(kind.answers_questions, kind.compares_answers) for kind in kinds_of(settings.judge)]
    return Reads(texts=(f"judges answer and compare: {found}",))


def _kind_of(model: JudgeModelSettings) -> JudgeKind:
    try:
        kind = KINDS.find(model.kind)
    except OrchardError as error:
        raise OrchardError(f"judge.models: {model.name!r}: {error}") from error
    if model.servers and not kind.has_servers:
        what = f"a judge of the kind {kind.name!r} is computed here: leave out its servers"
        raise OrchardError(f"judge.models: {model.name!r}: {what}")
    return kind
