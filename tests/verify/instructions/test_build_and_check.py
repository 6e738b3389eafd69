"""What is built holds, or does not, as wanted: for every kind and any response."""

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from pipeline.errors import OrchardError
from pipeline.verify.instructions import KINDS, Instruction, build, contradiction, read, write

PROSE = (
    "The river rises in the north. It doesn't flow past 12 villages, and I don't know why! Does "
    "anybody? Ask a teacher.\n\n* a first point about planets\n- a second one\n\n1. one\n2. two\n"
)
RICH = (  # of every kind that PROSE does not fulfil
    "<<A title>>\n\n# Heading\n\nSection 1\nSome *bright* light falls on [name].\n\n"
    "| a | b |\n| - | - |\n| 1 | 2 |\n\n```python\n"
    "x = 1\n```\n\nMy answer is yes.\n\nP.S. Is there anything else I can help with?"
)
TEXTS = (
    PROSE,
    RICH,
    '"i keep to a quiet room and write of nothing but rain"',
    "I KEEP TO A QUIET ROOM AND WRITE OF NOTHING BUT RAIN",
    '{"title": "rain", "score": 2, "items": []}',
    "one ****** two",
    "Der Hund läuft schnell durch den Wald und sucht nach seinem Ball, aber er findet ihn nicht.",
    "Yes",
    "42",
    "...",
    "-",
)
ANY = st.one_of(
    st.text(min_size=1),
    st.sampled_from(TEXTS),
    st.text(alphabet="aB1 .,!?*-\n\"'[]<>#|`{}:ß", min_size=1),
)


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=40, deadline=None)
@given(response=ANY, seed=st.integers(0, 3))
@example(response=PROSE, seed=0)
@example(response=RICH, seed=1)
@example(response="-", seed=0)
def test_what_is_built_is_fulfilled_or_violated_as_wanted(
    name: str, response: str, seed: int
) -> None:
    for want in (True, False):
        instruction = build(name, response, want, seed)
        if instruction is not None:
            assert instruction.check(response) is want
            # its arguments are those it may have
            assert Instruction.of(name, instruction.arguments) == instruction
            assert read(write([instruction])) == (instruction,)
            assert len({instruction.text(style) for style in range(3)}) == 3


@pytest.mark.parametrize("want", [True, False])
def test_every_kind_can_be_built_both_ways(want: bool) -> None:
    built = {
        name
        for name in KINDS
        for text in TEXTS
        for seed in range(6)
        if build(name, text, want, seed)
    }
    assert built == set(KINDS)


@settings(max_examples=60, deadline=None)
@given(
    response=ANY,
    names=st.lists(st.sampled_from(sorted(KINDS)), min_size=2, max_size=5, unique=True),
)
def test_a_set_that_some_response_fulfils_is_never_called_contradictory(
    response: str, names: list[str]
) -> None:
    built = [one for name in names if (one := build(name, response, True, "x"))]
    assume(len(built) > 1)
    assert contradiction(built) is None


def test_the_same_ids_give_the_same_instruction_and_the_same_relation_both_ways() -> None:
    for seed in range(20):
        yes, no = (
            build("length_constraints:number_words", PROSE, want, seed) for want in (True, False)
        )
        assert yes and no and yes == build("length_constraints:number_words", PROSE, True, seed)
        assert yes.arguments["relation"] == no.arguments["relation"]


@pytest.mark.parametrize("response", ["", " \n"])
def test_an_empty_response_fulfils_nothing_and_nothing_is_built_on_it(response: str) -> None:
    assert not any(build(name, response, want, 0) for name in KINDS for want in (True, False))
    assert not Instruction.of("punctuation:no_comma", {}).check(response, loose=True)


CONTRADICTORY = [
    [("length_constraints:number_words", {"relation": "at least", "num_words": 9}),
     ("length_constraints:number_words", {"relation": "less than", "num_words": 9})],
    [("counts:unique_words", {"relation": "at least", "number": 10}),
     ("length_constraints:number_words", {"relation": "less than", "num_words": 10})],
    [("punctuation:no_comma", {}),
     ("keywords:letter_frequency", {"let_relation": "at least", "let_frequency": 1,
                                    "letter": ","})],
    [("keywords:forbidden_words", {"forbidden_words": ["Rain"]}),
     ("order:first_word", {"word": "rain"})],
    [("keywords:existence", {"keywords": ["rain"]}),
     ("keywords:frequency", {"keyword": "Rain", "relation": "less than", "frequency": 1})],
    [("change_case:english_capital", {}), ("change_case:english_lowercase", {})],
    [("change_case:english_lowercase", {}), ("language:response_language", {"language": "fr"})],
    [("detectable_format:constrained_response", {}), ("tone:no_first_person", {})],
    [("combination:repeat_prompt", {"prompt_to_repeat": "Write, please"}),
     ("punctuation:no_comma", {})],
    [("startend:end_checker", {"end_phrase": "Any other questions?"}),
     ("counts:question_marks", {"relation": "less than", "number": 1})],
    [("startend:end_checker", {"end_phrase": "Any other questions?"}),
     ("keywords:forbidden_words", {"forbidden_words": ["Other"]})],
    [("startend:end_checker", {"end_phrase": "That is all I have to say."}),
     ("tone:no_first_person", {})],
    [("combination:repeat_prompt", {"prompt_to_repeat": "Sing!"}),
     ("counts:exclamation_marks", {"relation": "less than", "number": 1})],
    [("detectable_format:json_format", {}), ("format:table", {"columns": 2, "rows": 1})],
]  # fmt: skip


@pytest.mark.parametrize("pairs", CONTRADICTORY)
def test_contradictory_sets_are_told(pairs: list[tuple[str, dict[str, object]]]) -> None:
    assert contradiction([Instruction.of(name, arguments) for name, arguments in pairs])
    assert contradiction([Instruction.of(*pairs[0])]) is None


def test_a_text_at_the_edge_of_a_longer_word_is_no_contradiction() -> None:
    ends = Instruction.of("startend:end_checker", {"end_phrase": "my day"})
    impersonal = Instruction.of("tone:no_first_person", {})
    assert (
        all(one.check("A dummy day") for one in (ends, impersonal))
        and contradiction([ends, impersonal]) is None
    )


BAD = [
    ("keywords:telepathy", {}, "unknown instruction 'keywords:telepathy': use one of"),
    ("length_constraints:number_words", {"relation": "at least"},
     "arguments relation, but it takes"),
    ("length_constraints:number_words", {"relation": "about", "num_words": 3},
     "relation must be 'less than' or 'at"),
    ("detectable_format:number_bullet_lists", {"num_bullets": "3"},
     "num_bullets must be an integer of at least 0"),
    ("keywords:existence", {"keywords": []}, "keywords must be a list of texts"),
    ("language:response_language", {"language": "tlh"}, "language 'tlh' is unknown"),
    ("format:json_schema", {"schema": {"type": "objekt"}}, "schema is no JSON schema"),
    ("format:json_schema", {"schema": {"$ref": "#"}}, "write it out"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "message"), BAD)
def test_arguments_that_make_no_sense_are_one_clear_line(
    name: str, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(OrchardError, match=message) as caught:
        Instruction.of(name, arguments)
    assert "\n" not in str(caught.value)
