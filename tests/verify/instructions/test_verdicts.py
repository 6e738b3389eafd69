"""Verdicts known without our code: IFEval's published ones, and cases worked out by hand."""

import json
from pathlib import Path

import pytest

from pipeline.errors import OrchardError
from pipeline.verify import Verdict, canonical, verify
from pipeline.verify.instructions import Instruction, fulfilment
from pipeline.verify.instructions.text import sentences

DATA = Path(__file__).parent / "data"
PUBLISHED = json.loads((DATA / "ifeval_verdicts.json").read_text(encoding="utf-8"))["rows"]
UNIT = json.loads((DATA / "ifeval_cases.json").read_text(encoding="utf-8"))["cases"]
# (key, place of the instruction): why our verdict is another than the published one.
DIFFERENT = {
    (1122, 1): "the reference draws another letter at random where the one asked for is '#'",
    (202, 0): "its langdetect takes 'etchings' for another language than English",
}


@pytest.mark.parametrize("mode", ["strict", "loose"])
def test_published_verdicts_of_the_reference_on_responses_of_gpt_4(mode: str) -> None:
    differ, kinds = set(), set()
    for row in PUBLISHED:
        instructions = [
            Instruction.of(*pair)
            for pair in zip(row["instruction_id_list"], row["kwargs"], strict=True)
        ]
        kinds |= {one.name for one in instructions}
        verdicts = [one.check(row["response"], loose=mode == "loose") for one in instructions]
        differ |= {
            (row["key"], i)
            for i, pair in enumerate(zip(verdicts, row[mode], strict=True))
            if len({*pair}) > 1
        }
    assert len(kinds) == 25  # all that IFEval has
    assert differ <= set(DIFFERENT)


def test_every_published_case_of_the_references_own_tests() -> None:
    wrong = [
        case
        for case in UNIT
        if Instruction.of(case["id"], case["kwargs"]).check(case["response"]) != case["expected"]
    ]
    assert len(UNIT) == 83 and wrong == []


CASES = [
    # inside a word, any case
    ("keywords:existence", {"keywords": ["rain", "sun"]}, "Sunny after the RAIN", True),
    ("keywords:existence", {"keywords": ["a.c"]}, "abc", False),  # plain text, no pattern
    ("keywords:forbidden_words", {"forbidden_words": ["sun"]}, "Sunny", True),  # only whole words
    ("keywords:forbidden_words", {"forbidden_words": ["sun"]}, "the Sun!", False),
    ("keywords:frequency", {"keyword": "an", "relation": "at least", "frequency": 3}, "an Ananas",
     True),
    ("keywords:letter_frequency", {"letter": "!", "let_relation": "at least", "let_frequency": 2},
     "a! b!", True),
    ("order:words", {"words": ["rain", "sun"]}, "Sunny: rain, then sun, then rain", True),
    ("order:words", {"words": ["rain", "sun"]}, "sun, rain, sun", False),
    ("language:response_language", {"language": "de"}, "Der Hund sucht im Wald nach seinem Ball.",
     True),
    ("language:response_language", {"language": "en"}, "Le chat dort sur le canapé de la cuisine.",
     False),
    # none can be told: as in IFEval
    ("language:response_language", {"language": "fr"}, "42", True),
    # as well English as any other
    ("language:response_language", {"language": "en"}, "Politics", True),
    ("language:response_language", {"language": "ja"}, "Politics", False),
    ("change_case:english_capital", {}, "WRITE ALL OF THIS IN CAPITALS!", True),
    ("change_case:english_capital", {}, "WRITE ALL OF THIS IN CAPITALs!", False),
    ("change_case:english_lowercase", {}, "write all of this small", True),
    ("change_case:capital_word_frequency", {"capital_relation": "at least", "capital_frequency": 3},
     "I USE A-B", True),
    ("change_case:capital_word_frequency", {"capital_relation": "less than",
                                            "capital_frequency": 3}, "I A-B", True),
    ("tone:no_first_person", {}, "Their item is mineral.", True),
    ("tone:no_first_person", {}, "Give it to me.", False),
    ("tone:no_contractions", {}, "Tom's dog does not bark.", True),
    ("tone:no_contractions", {}, "It’s late.", False),
    # three
    ("length_constraints:number_words", {"relation": "less than", "num_words": 4}, "don't stop",
     True),
    ("length_constraints:number_words", {"relation": "less than", "num_words": 3}, "don't stop",
     False),
    ("length_constraints:number_sentences", {"relation": "at least", "num_sentences": 3},
     "One. Two? Three", True),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\nb\n***\n", True),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\n***\nb", False),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Still"},
        "a\n\n'Still, it moves.",
        True,
    ),
    ("counts:longest_sentence", {"relation": "less than", "number": 3},
     "One two. Three four. Five.", True),
    # three
    ("counts:numbers", {"relation": "less than", "number": 4}, "1,200.50 and -3, x2 and 7.", True),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[a] [b]", True),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Bye\np. p. s. more", True),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "PS: more", False),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n  - b\n**c**", True),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* and * *", False),
    ("detectable_format:multiple_sections", {"section_spliter": "Day", "num_sections": 2},
     "Day 1: a. Day 2: b", True),
    ("detectable_format:title", {}, "<<>>", False),
    ("detectable_format:title", {}, "<<T>>", True),
    ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', True),
    ("detectable_format:json_format", {}, "[" * 100_000, False),
    ("format:json_schema", {"schema": {"type": "object", "required": ["a"]}}, '{"a": 1}', True),
    ("format:json_schema", {"schema": {"type": "object", "required": ["a"]}}, "[1]", False),
    ("format:numbered_list", {"number": 2}, "1. a\n2) b", True),
    ("format:numbered_list", {"number": 2}, "1. a\n3. b", False),
    ("format:table", {"columns": 2, "rows": 1}, "| a | b |\n| - | - |\n| 1 | 2 |", True),
    ("format:table", {"columns": 2, "rows": 1}, "| a | b |\n| - | - |", False),
    ("format:headings", {"number": 1}, "#hashtag", False),
    ("format:code_blocks", {"number": 1}, "```\nx\n```", True),
    ("startend:quotation", {}, '"', False),
    ("startend:end_checker", {"end_phrase": "The end."}, '"So it was. the END."', True),
    ("combination:two_responses", {}, "a ****** b", True),
    ("combination:two_responses", {}, "a ****** a", False),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Sing."}, "sing. La la", True),
    ("order:first_word", {"word": "well"}, "*Well*, no", True),
    ("order:last_word", {"word": "no"}, "Well, no!", True),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "response", "fulfilled"), CASES)
def test_verdicts_worked_out_by_hand(
    name: str, arguments: dict[str, object], response: str, fulfilled: bool
) -> None:
    assert Instruction.of(name, arguments).check(response) is fulfilled


SENTENCES = [
    ("Dr. Who met J. R. Smith at 3.5 p.m. today. He left", 2),
    ("What?! (Really.) 'Yes.' She said no... and so on.", 4),
    ("1. apples 2. pears", 1),  # as Punkt: a number ends none before lower case
    ("See Roe v. Wade. It was long.", 2),
    ("1. Apples\n2. Pears", 3),  # as Punkt: the first number ends one, the second ends 'Apples 2.'
    ("no capitals. still two.", 2),
    ("We use apples, etc. as food. Inc. Magazine said so.", 3),
    ("", 0),
]


@pytest.mark.parametrize(("text", "n"), SENTENCES)
def test_sentences_counted_by_hand(text: str, n: int) -> None:
    assert len(sentences(text)) == n


def test_the_loose_mode_forgives_an_opening_line_a_closing_line_and_asterisks() -> None:
    quoted = Instruction.of("startend:quotation", {})
    for response in ('Sure:\n"a"', '"a"\nBye', 'Sure:\n"a"\nBye', '**"a"**', 'Sure:\n*"a"*\nBye'):
        assert not quoted.check(response) and quoted.check(response, loose=True)
    assert not quoted.check('Sure:\nHere:\n"a"', loose=True)


def test_the_verifier_reads_instructions_from_the_metadata_and_counts_them() -> None:
    asked = ["punctuation:no_comma", "detectable_format:title"]
    metadata = json.dumps({"instruction_id_list": asked, "kwargs": [{}, {"x": None}]})
    assert verify("<<T>> no", "all", "instructions", metadata) == Verdict("2/2", True)
    assert verify("no", "all", "instructions", metadata) == Verdict("1/2", False)
    assert canonical(" All ", "instructions") == "all"
    with pytest.raises(OrchardError, match="lists of the same length"):
        verify(
            "no",
            "all",
            "instructions",
            '{"instruction_id_list": ["punctuation:no_comma"], "kwargs": []}',
        )


def test_shares_of_instructions_strict_and_loose() -> None:
    comma, title = (
        Instruction.of("punctuation:no_comma", {}),
        Instruction.of("detectable_format:title", {}),
    )
    measured = fulfilment(
        [
            ("a", "<<T>>", [comma, title]),
            ("b", "Sure, hi:\n<<T>>", [comma, title]),
            ("c", "x,", [comma]),
        ]
    )
    assert measured.columns == ["unit_id", "strict", "loose", "all_strict", "all_loose"]
    assert measured.rows() == [
        ("a", 1.0, 1.0, True, True),
        ("b", 0.5, 1.0, False, True),
        ("c", 0.0, 0.0, False, False),
    ]
    assert fulfilment([]).is_empty()
