"""Judges that answer questions: language models, here or on servers of their own."""

from typing import TYPE_CHECKING

from pipeline.judge.collect import collect
from pipeline.judge.kind import JudgeKind, Known, Votes, judge_kind
from pipeline.steps.declared import Reads

if TYPE_CHECKING:
    from pipeline.steps.inputs import Inputs


@judge_kind("generative")
class Generative(JudgeKind):
    """Votes by the probability of the answer's first token, in both orders."""

    answers_questions = True
    compares_answers = True
    has_servers = True
    reads = Reads(engines=("judges",))

    def votes(self, inputs: "Inputs", number: int, known: Known) -> Votes:
        engine = inputs.engines("judges")[number]
        with inputs.bar(f"votes of {engine.policy_id}", engine) as advance:
            return collect(engine, *known, inputs.settings.judge, advance)
