"""What a judge thinks before it writes is not what it wrote."""

from pipeline import tables
from tests.judge.test_annotate import FEEDBACK, Annotator, line, run
from tests.judge.test_rationales import SETTINGS, Writer, honest, pairs, write

THOUGHT = '<think>Response B is right, maybe | yes | "maybe"\nor not.</think>\n\n'


def test_a_rationale_is_written_without_its_thought() -> None:
    rows, rejects = write(Writer(lambda asked: THOUGHT + honest(asked)), pairs(20), SETTINGS, 0)
    plain, _ = write(Writer(honest), pairs(20), SETTINGS, 0)
    assert not rejects
    assert sorted(rows["text"]) == sorted(plain["text"])
    _, (reject,) = write(Writer(lambda asked: "<think>" + honest(asked)), pairs(1), SETTINGS, 0)
    assert reject.reason == "empty rationale"


def test_principles_are_read_from_feedback_and_answer_alone() -> None:
    def named(response: str, draw: int) -> str:
        return THOUGHT + line("brevity", "yes")

    rows, rejects = run(Annotator(named, feedback=THOUGHT + FEEDBACK), texts={"p": ["7"]})
    assert not rejects and not tables.Principles.filter(rows)[1].counts()
    assert set(rows["name"]) == {"brevity"} and set(rows["feedback"]) == {FEEDBACK}
