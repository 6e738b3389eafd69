"""From rows to token ids."""

from pathlib import Path

import pytest

from pipeline import tables
from pipeline.errors import OrchardError
from pipeline.training.example import Example, text_id
from pipeline.training.loading import load_tokenizer
from pipeline.training.tokens import tokenize
from tests.training.toy import frame, pair

HELLO = "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"


def shared(example: Example) -> bool:
    return example.texts[0][0] == example.texts[1][0]


def test_context_is_the_rendered_chat_and_the_prefix(tiny: Path) -> None:
    tokenizer = load_tokenizer(tiny)
    pairs = frame([pair("hello", "yes", "no", prefix="So: ", rejected_ends=False)])
    example = tokenize(pairs, tokenizer, 128).examples[0]
    assert tokenizer.decode(example.texts[0][0]) == HELLO + "So: "
    assert tokenizer.decode(example.texts[0][1]) == "yes<|im_end|>"
    assert tokenizer.decode(example.texts[1][1]) == "no"
    assert shared(example)


def test_a_side_may_have_a_prompt_or_a_prefix_of_its_own(tiny: Path) -> None:
    tokenizer = load_tokenizer(tiny)
    own = [{"role": "user", "content": "bye"}]
    rows = [
        pair("hello", "a", "a", rejected_messages=own),
        pair("hello", "a", "b", prefix="x", rejected_prefix="y"),
    ]
    first, second = tokenize(frame(rows), tokenizer, 128).examples
    assert "bye" in tokenizer.decode(first.texts[1][0]) and "hello" in tokenizer.decode(
        first.texts[0][0]
    )
    assert (
        tokenizer.decode(second.texts[0][0])[-1] == "x"
        and tokenizer.decode(second.texts[1][0])[-1] == "y"
    )


def test_a_long_context_loses_its_left_and_is_counted(tiny: Path) -> None:
    tokenizer = load_tokenizer(tiny)
    pairs = frame([pair("hello" * 20, "yes", "longer", rejected_ends=False), pair("hi")])
    read = tokenize(pairs, tokenizer, 40)
    cut = read.examples[0]
    assert read.truncated == 1
    assert len(cut.texts[0][0]) == 40 - len("longer")
    assert tokenizer.decode(cut.texts[0][0]).endswith("<|im_end|>\n<|im_start|>assistant\n")
    assert shared(cut)


@pytest.mark.parametrize(("length", "kept"), [(8, 0), (9, 1)])
def test_a_text_that_leaves_no_room_for_context_is_rejected(
    tiny: Path, length: int, kept: int
) -> None:
    pairs = frame([pair("hello", "yes", "seven..")])  # 8 tokens with the end of turn
    read = tokenize(pairs, load_tokenizer(tiny), length)
    assert (len(read.examples), len(read.rejects)) == (kept, 1 - kept)
    tables.Rejects.validate(read.rejects)
    if not kept:
        assert read.rejects["reason"].to_list() == [
            "a text of 8 tokens does not fit into max_length 8"
        ]
        assert read.rejects["row_id"].to_list() == pairs["pair_id"].to_list()


def test_a_text_id_depends_on_context_text_and_end(tiny: Path) -> None:
    pairs = frame(
        [
            pair("hello", "yes", "no"),
            pair("hello", "yes", "no", chosen_ends=False),
            pair("hi", "yes", "no"),
        ]
    )
    examples = tokenize(pairs, load_tokenizer(tiny), 128).examples
    assert len({text_id(*example.texts[0]) for example in examples}) == 3


def test_a_tokenizer_without_a_template_says_so(tiny: Path) -> None:
    tokenizer = load_tokenizer(tiny)
    tokenizer.chat_template = None
    with pytest.raises(OrchardError, match="no chat template"):
        tokenize(frame([pair("hello")]), tokenizer, 128)


BEGUN = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "Well,"}]


def test_the_beginning_of_a_response_is_context_and_no_end_of_turn_stands_behind_it(
    tiny: Path,
) -> None:
    tokenizer = load_tokenizer(tiny)
    pairs = frame([pair("hello", " yes", " no", messages=BEGUN, prefix=" I say")])
    (example,) = tokenize(pairs, tokenizer, 128).examples
    assert tokenizer.decode(example.texts[0][0]) == HELLO + "Well, I say"
    assert [tokenizer.decode(text) for _, text in example.texts] == [
        " yes<|im_end|>",
        " no<|im_end|>",
    ]


def test_pairs_whose_tools_the_template_leaves_out_are_rejects(tiny: Path) -> None:
    tools = {"role": "tools", "content": '[{"function": {"name": "now"}}]'}
    rows = [pair("hello", messages=[tools, BEGUN[0]]), pair("hi")]
    read = tokenize(frame(rows), load_tokenizer(tiny), 128)
    assert len(read.examples) == 1
    assert "the chat template leaves out the tools" in read.rejects["reason"][0]
