"""A tree's node, and the problem that it belongs to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.conversation import asked_last
from pipeline.engine.base import Turn
from pipeline.ids import content_id

Row = dict[str, Any]  # of `tree_nodes`


@dataclass(frozen=True)
class Problem:
    """A prompt with the functions that judge its responses.

    `judge(response)` gives the final answer found in a whole response and whether it is right (both
    null where nothing can be checked), of null for a thought without a response;
    `is_final(response)` tells whether an unfinished response already states its final answer.
    `tree_id` names prompt, policy and search settings.
    """

    prompt_id: str
    messages: tuple[Turn, ...]
    tree_id: str
    judge: Callable[[str | None], tuple[str | None, bool | None]]
    is_final: Callable[[str], bool]

    @property
    def question(self) -> str:
        """What the user asked last, which a value or propose prompt quotes."""
        return asked_last(self.messages)


@dataclass(eq=False)
class Node:
    """A row of `tree_nodes` in the making."""

    node_id: str
    tree_id: str
    prompt_id: str
    policy_id: str
    kind: str
    parent_id: str | None
    depth: int
    draw: int
    prefix: str
    text: str
    terminal: bool
    tokens: int
    method: str
    answer: str | None = None
    correct: bool | None = None
    value: float | None = None
    valuation: str | None = None
    n_rollouts: int = 0
    n_correct: int = 0
    expanded_order: int | None = None
    merged: int = 1
    thought: str | None = None  # what the model wrote before the response that this node belongs to

    @classmethod
    def root(cls, problem: Problem, policy_id: str, method: str) -> "Node":
        """The node of the bare question."""
        node_id = content_id(problem.tree_id, None, "")
        return cls(
            node_id,
            problem.tree_id,
            problem.prompt_id,
            policy_id,
            "root",
            None,
            0,
            0,
            "",
            "",
            False,
            0,
            method,
        )

    @property
    def whole(self) -> str:
        """All that the model said up to and including this node, its thought first."""
        return (self.thought or "") + self.prefix + self.text

    def child(
        self,
        kind: str,
        draw: int,
        text: str,
        terminal: bool,
        tokens: int,
        thinking: str | None = None,
    ) -> "Node":
        """A node below this one: a step one level deeper, or a rollout at this node's own depth.

        `thinking` is a thought that comes before its text: the response begins behind it.
        """
        # Two rollouts may be word for word the same and are still two draws; identical steps were
        # merged before.
        parts = [self.tree_id, self.node_id, kind, text, draw if kind == "rollout" else None]
        return Node(
            node_id=content_id(*parts, *([thinking] if thinking else [])),
            tree_id=self.tree_id,
            prompt_id=self.prompt_id,
            policy_id=self.policy_id,
            kind=kind,
            parent_id=self.node_id,
            depth=self.depth + (kind == "step"),
            draw=draw,
            prefix="" if thinking else self.prefix + self.text,
            text=text,
            terminal=terminal,
            tokens=tokens,
            method=self.method,
            thought=self.whole + thinking if thinking else self.thought,
        )

    def valued(self, value: float, valuation: str) -> None:
        """Sets the value and where it is from."""
        self.value, self.valuation = value, valuation

    def repeats(self, delimiter: str) -> bool:
        """True for a step that says again what a step before it said:
        the model goes round in a circle.
        """
        said = self.text.strip()
        return bool(said) and said in (step.strip() for step in self.prefix.split(delimiter))

    def row(self) -> Row:
        """The row of `tree_nodes`."""
        return vars(self)
