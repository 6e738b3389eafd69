"""What chat servers cannot do is refused before anything is sampled, in one line."""

from pathlib import Path
from typing import Any

import pytest

from assets.steps import GRAPH
from pipeline import config
from pipeline.config import ServerSettings, Settings
from pipeline.errors import OrchardError
from pipeline.steps.chat import check_chat
from pipeline.steps.narrowed import meaning
from pipeline.steps.roles import ROLES, how

URL = "http://host:1"
CHAT = [{"url": URL, "api": "chat"}]


def settings(*variants: str, **changes: Any) -> Settings:
    base = {
        "profile": "test",
        "pools": [{"name": "a"}],
        "validation": {"variants": variants or ("outcome",)},
    }
    return Settings(**{**base, **changes})  # type: ignore[arg-type]


def on_chat(*variants: str, api: str = "chat") -> Settings:
    return settings(*variants, engine={"backend": "server", "servers": [{"url": URL, "api": api}]})


def judged(*models: dict[str, Any]) -> Settings:
    return settings(judge={"models": models})


@pytest.mark.parametrize(
    ("variant", "step"),
    [("tree_plv", "tree_nodes"), ("tot", "thought_nodes"), ("tpo_tot", "thought_nodes"),
     ("curriculum", "tree_nodes")],
)  # fmt: skip
def test_trees_of_a_policy_on_chat_servers_are_refused_by_name(variant: str, step: str) -> None:
    with pytest.raises(OrchardError) as caught:
        check_chat(GRAPH, on_chat("outcome", variant))
    said = str(caught.value)
    assert said.startswith(f"engine.servers: the step {step} (of {variant}) goes on with steps")
    assert said.endswith("use servers with api: completions") and "\n" not in said
    check_chat(GRAPH, on_chat("outcome", variant, api="completions"))


def test_what_samples_whole_replies_is_not_refused() -> None:
    check_chat(GRAPH, on_chat("outcome", "osp", "rationale", "principles", "codefavor_evol"))


def test_trees_beside_a_judge_on_a_chat_server_are_not_refused() -> None:
    check_chat(
        GRAPH, settings("tree_plv", "osp", judge={"models": [{"name": "o/j", "servers": CHAT}]})
    )


def test_every_step_that_makes_trees_is_known_to_go_on_with_replies() -> None:
    made = {name for name, step in GRAPH.steps.items() if step.table == "tree_nodes"}
    assert made and made == {name for name, step in GRAPH.steps.items() if step.continues}


def test_one_name_on_two_servers_is_refused_unless_a_revision_tells_them_apart() -> None:
    one = {"name": "served:big", "servers": CHAT}
    other = {"name": "served:big", "servers": [{"url": "http://other:1", "api": "chat"}]}
    with pytest.raises(OrchardError, match="'served:big' is on different servers"):
        check_chat(GRAPH, judged(one, other))
    check_chat(GRAPH, judged(one, {**other, "revision": "2"}))


def test_a_model_is_asked_in_one_way_wherever_it_is_named() -> None:
    """Else the policy itself would be sampled by the chat servers of the judge that it is."""
    there = [{"url": "http://other:1"}]
    served = {"engine": {"backend": "server", "servers": there}}
    own = {"judge": {"models": [{"servers": CHAT}]}}
    for asked in (own, {**own, **served}):
        with pytest.raises(OrchardError, match="'package:.* is asked with api: chat in one place"):
            check_chat(GRAPH, settings(**asked))
    with pytest.raises(OrchardError, match="'o/j' is asked with api: chat in one place only"):
        check_chat(
            GRAPH, judged({"name": "o/j", "servers": there}, {"name": "o/j", "servers": CHAT})
        )
    check_chat(GRAPH, settings(**own, engine={"backend": "server", "servers": CHAT}))
    check_chat(GRAPH, judged({"name": "o/j", "servers": there}, {"name": "o/k", "servers": CHAT}))
    check_chat(GRAPH, judged({"servers": there}))  # as ever: the policy's weights answer there


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("judge: {models: [{name: served:big}]}",
         "'served:big' has no tokenizer here: give servers with api: chat"),
        (f"judge: {{models: [{{name: served:big, servers: [{{url: '{URL}'}}]}}]}}",
         "give servers with api: chat"),
        ("judge: {rationales: {model: {name: served:big}}}", "give servers with api: chat"),
        ("code: {critic: {name: served:big}}", "give critic_servers with api: chat"),
        ("model: {name: served:big}",
         "model: the weights of 'served:big' are read, for training say: name their folder"),
        ("judge: {principles: {embedding: {name: served:big}}}",
         "judge.principles.embedding: the weights"),
        (f"judge: {{models: [{{servers: [{{url: '{URL}', api: chat}}, {{url: '{URL}'}}]}}]}}",
         "servers of one model have the same api"),
        (f"engine: {{backend: server, servers: [{{url: '{URL}', answer_tokens: 3}}]}}",
         "answer_tokens is for api: chat"),
        (f"noise: {{external: [{{name: rm, server: {{url: '{URL}', api: chat}}}}]}}",
         "voter 'rm': its api stands beside server"),
        (f"engine: {{servers: [{{url: '{URL}', api: responses}}]}}", "completions.* or 'chat'"),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_one_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"pools: [{{name: a}}]\n{text}\n")
    with pytest.raises(OrchardError, match=says) as caught:
        config.load(str(path))
    assert "\n" not in str(caught.value)


def test_how_servers_are_asked_counts_and_where_they_stand_does_not() -> None:
    def said(**server: Any) -> Any:
        return meaning(ServerSettings(**{"url": URL, **server}), lambda model: "")

    assert said() == {"served_as": None}  # as before there were chat servers
    assert said(url="http://other:2", api="chat") == said(api="chat") != said()
    assert said(api="chat", answer_tokens=9) != said(api="chat")
    assert (how(on_chat()), how(on_chat(api="completions")), how(settings())) == (["chat"], [], [])


def test_rationales_are_written_by_the_policy_unless_another_is_named() -> None:
    (policy,) = ROLES["rationale_writer"].models(settings())
    assert policy == settings().model
    other = settings(judge={"rationales": {"model": {"name": "served:big", "servers": CHAT}}})
    (writer,) = ROLES["rationale_writer"].models(other)
    assert writer.served_name == "big"
