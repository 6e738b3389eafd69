"""The response is found in the whole rendered conversation, by the tokens that stand there."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.conversation import answered
from pipeline.engine.base import Prompt, RequestFailed
from pipeline.engine.rendering import Renderer
from tests.engine.chats import (
    CHATML,
    GEMMA,
    HARMONY,
    LLAMA3,
    MISTRAL,
    OPENED,
    PHI,
    STRIPPED,
    STYLES,
    SYSTEM_INSIDE,
    UNTHINKING,
    Style,
    chat,
    wanted_turn_tokens,
)
from tests.engine.test_turns import conversations, counted

each_style = pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
each_kind = pytest.mark.parametrize("kind", ["bytes", "metaspace"])
# A response as Orchard keeps it, stripped, and without marks of its own.
plain = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Co"], exclude_characters="<[|◁"), min_size=1
)
said = plain.map(str.strip).filter(bool)
USER = {"role": "user", "content": "3 + 4"}
CALL = [{"name": "add", "arguments": {"a": 3, "b": 4}}]
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]
CALLED = [
    {"role": "tools", "content": json.dumps(TOOLS)},
    USER,
    {"role": "tool_calls", "content": json.dumps(CALL)},
    {"role": "tool", "content": "7"},
]


@each_kind
@each_style
@given(data=st.data(), text=said)
@settings(max_examples=25, deadline=None)
def test_context_and_response_are_the_whole(style: Style, kind: str, data: Any, text: str) -> None:
    talk = chat(style, kind)
    turns = data.draw(conversations(style.system))
    turns = turns if turns[-1]["role"] == "user" else [*turns, USER]
    context, ids = talk.side(turns, "", text, ends=True)
    whole = talk.encode(talk.render(answered(turns, text), reply=False))
    assert whole[: len(context) + len(ids)] == [*context, *ids]
    if kind == "bytes":  # the other kind writes no text
        behind = talk.tokenizer.decode(whole[len(context) + len(ids) :])
        assert behind.strip() in ("", style.eos)  # what nobody learns
        assert talk.tokenizer.decode(ids[:-1]) == style.lead + text
    wanted = wanted_turn_tokens(style, answered(turns, text), reply=False)
    if style is HARMONY:  # the last turn ends in a token of its own
        wanted["<|end|>"] -= 1
    found = counted(talk, [*context, *ids])
    assert {token: found[token] for token in wanted} == wanted


ASKED = "<|im_start|>user\n3 + 4<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize(
    ("style", "before", "learned"),
    [
        (CHATML, ASKED, "7<|im_end|>"),
        (STRIPPED, ASKED + "<think>\n\n</think>\n\n", "7<|im_end|>"),
        (UNTHINKING, ASKED + "<think>\n\n</think>\n\n", "7<|im_end|>"),
        (OPENED, ASKED, "7<|im_end|>"),  # its <think> stands there only where it asks
        (MISTRAL, "<s>[INST] 3 + 4[/INST]", " 7</s>"),
        (
            HARMONY,
            "<|start|>user<|message|>3 + 4<|end|><|start|>assistant<|channel|>final<|message|>",
            "7<|return|>",
        ),
        (GEMMA, "<bos><start_of_turn>user\n3 + 4<end_of_turn>\n<start_of_turn>model\n",
         "7<end_of_turn>"),
    ],
    ids=lambda value: getattr(value, "name", None),
)  # fmt: skip
def test_where_each_template_puts_a_response(style: Style, before: str, learned: str) -> None:
    """Read off the templates by hand."""
    context, ids = chat(style).side([USER], "", "7", ends=True)
    decode = chat(style).tokenizer.decode
    assert (decode(context), decode(ids)) == (before, learned)


@pytest.mark.parametrize(
    ("style", "thought"),
    [
        (CHATML, "<think>\n3 + 4\n</think>\n\n"),
        (STRIPPED, "<think>\n3 + 4\n</think>\n\n"),
        (OPENED, "3 + 4\n</think>\n\n"),
        (MISTRAL, "[THINK]3 + 4[/THINK]"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_response_with_a_thought_stands_where_the_model_was_asked(
    style: Style, thought: str
) -> None:
    talk = chat(style)
    asked = talk.encode(talk.render([USER]))
    context, ids = talk.side([USER], "", thought + "7", ends=True)
    assert list(context) == asked
    assert talk.tokenizer.decode(ids[:-1]) == thought + "7"
    behind, text = talk.side([USER], thought, "7", ends=True)
    assert [*behind, *text] == [*context, *ids]  # learned or read, it is one conversation


def test_a_thought_with_a_mark_of_its_own_is_opened_once() -> None:
    """As chat servers and files give it, where the template opens it, too."""
    talk, thought = chat(OPENED), "3 + 4\n</think>\n\n"
    wanted = talk.side([USER], thought, "7", ends=True)
    assert talk.side([USER], "<think>\n" + thought, "7", ends=True) == wanted
    learned = talk.side([USER], "", thought + "7", ends=True)
    assert talk.side([USER], "", "<think>\n" + thought + "7", ends=True) == learned


def test_a_part_of_a_thought_that_the_template_opened_stays_inside_it() -> None:
    talk = chat(OPENED)
    context, _ = talk.side([USER], "", "First, 3", ends=False)
    assert list(context) == talk.encode(talk.render([USER]))


@each_style
@given(begun=said, more=said)
@settings(max_examples=20, deadline=None)
def test_a_response_goes_on_with_its_beginning(style: Style, begun: str, more: str) -> None:
    talk = chat(style)
    turns = [USER, {"role": "assistant", "content": begun}]
    asked = talk.encode(talk.render(turns))
    context, ids = talk.side(turns, "", " " + more, ends=True)
    assert list(context) == asked  # sampled and learned behind the same tokens
    decode = talk.tokenizer.decode
    assert decode(context).endswith(begun) and decode(ids[:-1]).endswith(more)
    whole = talk.encode(talk.render(answered(turns, " " + more), reply=False))
    assert decode(whole).startswith(decode([*context, *ids]))
    if not style.strips:
        closed = talk.tokenizer.convert_tokens_to_ids(style.end)
        assert asked.count(closed) == talk.encode(talk.render([USER])).count(closed)


@pytest.mark.parametrize("style", [CHATML, OPENED], ids=lambda style: style.name)
def test_a_thought_that_a_beginning_opens_is_open_behind_it(style: Style) -> None:
    """Else what is cut inside it would count as the response; and it is opened once."""
    renderer = Renderer(Path("none"))
    renderer.__dict__["chat"] = chat(style)
    for begun, is_open in (("<think>\n3", True), ("<think>\n3\n</think>\n\nIt", False)):
        prompt = Prompt((USER, {"role": "assistant", "content": begun}))
        assert renderer.text(prompt) == ASKED + begun
        assert renderer.opens_thought(prompt) is is_open
    assert not renderer.opens_thought(Prompt((USER, {"role": "assistant", "content": "It"})))


@pytest.mark.parametrize("style", [SYSTEM_INSIDE, STRIPPED, UNTHINKING], ids=lambda s: s.name)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_tools_calls_and_results_are_rendered_as_plain_text_inside_their_marks(
    style: Style, data: Any
) -> None:
    talk = chat(style)
    spelled = st.one_of(said, st.sampled_from([*style.special, *style.plain]))
    name, key, value, result = (data.draw(spelled) for _ in range(4))
    tools = [{"type": "function", "function": {"name": name, "description": value}}]
    calls = [{"name": name, "arguments": {key: [value, {"deep": value}]}}]
    turns = [
        {"role": "tools", "content": json.dumps(tools)},
        {"role": "user", "content": value},
        {"role": "tool_calls", "content": json.dumps(calls)},
        {"role": "tool", "content": result},
    ]
    structure = {*style.begins.values(), *style.ends.values(), *style.special, *style.plain}

    def counts(turns: list[dict[str, str]]) -> dict[str, int]:
        found = counted(talk, talk.encode(talk.render(turns)))
        return {token: found[token] for token in structure}

    assert counts(turns) == counts(CALLED)
    written = talk.tokenizer.decode(talk.encode(talk.render(turns)))
    assert result in written and json.dumps(value, ensure_ascii=False)[1:-1] in written


@pytest.mark.parametrize("style", [s for s in STYLES if not s.tools], ids=lambda s: s.name)
def test_a_template_that_leaves_out_tools_or_calls_refuses_the_row(style: Style) -> None:
    talk = chat(style)
    with pytest.raises(RequestFailed, match="^the chat template leaves out the tools: use a model"):
        talk.render([CALLED[0], USER])
    refused = "leaves out calls of tools|refuses these turns"
    with pytest.raises(RequestFailed, match=refused):
        talk.render(CALLED[1:])


def test_a_template_that_leaves_out_results_refuses_the_row() -> None:
    silent = STRIPPED.template.replace(
        "<tool_response>\n{{ m['content'] }}\n</tool_response>", "<tool_response/>"
    )
    talk = chat(STRIPPED)
    kept, talk.tokenizer.chat_template = talk.tokenizer.chat_template, silent
    try:
        with pytest.raises(RequestFailed, match="leaves out results of tools"):
            talk.render(CALLED)
    finally:
        talk.tokenizer.chat_template = kept


def test_a_template_that_writes_no_last_answer_refuses_to_be_learned_from() -> None:
    mute = CHATML.template.replace("m['content']", "m['content'] if m['role'] != 'assistant'")
    talk = chat(CHATML)
    kept, talk.tokenizer.chat_template = talk.tokenizer.chat_template, mute
    try:
        with pytest.raises(RequestFailed, match="does not write the text of a last assistant"):
            talk.side([USER], "", "7", ends=True)
    finally:
        talk.tokenizer.chat_template = kept


def test_templates_that_put_an_assistants_turn_elsewhere_are_told_apart() -> None:
    assert {chat(style).context([USER], "7", ends=True)[1] for style in (LLAMA3, PHI)} == {""}
    assert chat(MISTRAL).context([USER], " 7", ends=True)[1] == ""  # it has its blank already


def test_tokens_that_were_sampled_stand_where_they_were_sampled() -> None:
    talk = chat(STRIPPED)
    ids = talk.encode_said("7") * 2
    context, text = talk.side([USER], "", "77", ends=True, sampled=ids)
    assert list(context) == talk.encode(talk.render([USER]))
    assert list(text) == [*ids, talk.end]
