"""One tree in the making: what all searches share.

A search decides which nodes to expand; the tree draws thoughts below them, merges identical ones,
has them valued together, and keeps the count of expansions and tokens. How thoughts are drawn and
how they are valued are functions.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from pipeline.config import GrowthSettings
from pipeline.engine.base import Completion, Engine, Prompt, Sampling
from pipeline.engine.thoughts import ENDS, Parts, split_thought
from pipeline.ids import seed_for
from pipeline.trees.node import Node, Problem


@dataclass(frozen=True)
class Thought:
    """A candidate next step; `ends` where the response ends with it. `tokens` were sampled for it.

    `cut` where the token limit ended it: its last word or number may go on in the next step.
    `thinking` is what the model thought (`<think>`) before it.
    """

    text: str
    ends: bool
    tokens: int
    cut: bool = False
    thinking: str | None = None


# Rollouts that decide a value where they are all alike: after 4 right ones of 4 the chance is above
# one half with probability 0.97 (uniform prior). Our choice.
DECIDING = 4

Generate = Callable[["Tree", Node], Awaitable[list[Thought]]]
# sets values; returns the rollouts that it made
Value = Callable[["Tree", Sequence[Node]], Awaitable[list[Node]]]
Search = Callable[["Tree"], Awaitable[None]]


@dataclass(frozen=True)
class Plan:
    """How a tree is grown."""

    method: str
    search: Search
    generate: Generate
    value: Value


class Tree:
    """The state of one tree:
    its nodes (the root first, then as they were made) and what they cost.
    """

    def __init__(
        self, engine: Engine, problem: Problem, settings: GrowthSettings, plan: Plan, run_seed: int
    ) -> None:
        self.engine = engine
        self.problem = problem
        self.settings = settings
        self.plan = plan
        self.run_seed = run_seed
        self.root = Node.root(problem, engine.policy_id, plan.method)
        self.nodes = [self.root]
        self.rollouts = settings.rollouts  # per step
        self.expansions = 0
        self.tokens = 0
        self.opened = False  # the template begins a thought: known from the first completion
        self.thought_sampling = Sampling(
            settings.thought_tokens, settings.temperature, settings.top_p, ENDS
        )
        self.step_sampling = Sampling(
            settings.step_tokens, settings.temperature, settings.top_p, (settings.delimiter,)
        )
        self.rollout_sampling = Sampling(
            settings.rollout_tokens, settings.temperature, settings.top_p
        )

    @property
    def left(self) -> int:
        """Expansions that the budget still allows.

        The one that passes the token limit is finished, and is the last.
        """
        limit = self.settings.max_tokens
        spent = limit is not None and self.tokens >= limit
        return 0 if spent else self.settings.max_expansions - self.expansions

    def is_open(self, node: Node) -> bool:
        """True where a node may be expanded.

        A step that repeats an earlier one may not, nor one whose value is decided: our choice.
        """
        open_ended = not node.terminal and node.depth < self.settings.max_depth
        goes_on = open_ended and not node.repeats(self.settings.delimiter)
        return goes_on and not self.is_decided(node)

    def is_decided(self, node: Node) -> bool:
        """True for a step whose rollouts, at least DECIDING of them, all ended alike."""
        asked = self.settings.skip_decided and node.kind == "step" and not node.terminal
        alike = node.n_correct in (0, node.n_rollouts)
        return asked and node.n_rollouts >= DECIDING and alike

    async def expand(self, *parents: Node) -> list[Node]:
        """Draws thoughts below each parent and values them all together;
        the children in the parents' order.
        """
        for parent in parents:
            parent.expanded_order = self.expansions
            self.expansions += 1
        drawn = await asyncio.gather(*(self.plan.generate(self, parent) for parent in parents))
        children = [
            node
            for p, thoughts in zip(parents, drawn, strict=True)
            for node in self._children(p, thoughts)
        ]
        await self.value(children, new=children)
        return children

    async def value(self, nodes: Sequence[Node], new: Sequence[Node]) -> None:
        """Has nodes valued, and adds new ones, then the rollouts that valued them, to the tree."""
        made = await self.plan.value(self, nodes) if nodes else []
        self.nodes += [*new, *made]

    def child(self, parent: Node, draw: int, thought: Thought) -> Node:
        """A child that states the final answer ends there, without the delimiter:
        our choice, the rest is talk.

        A thought that was cut never does: what it has of "The answer is 12" may be "The answer is
        1". Nor does an answer that is weighed inside a `<think>`.
        """
        text, ends, thinking = thought.text, thought.ends, thought.thinking
        if (
            not ends
            and not thought.cut
            and self._states_answer(parent.whole + (thinking or "") + text)
        ):
            text, ends = text.removesuffix(self.settings.delimiter), True
        return parent.child("step", draw, text, ends, thought.tokens, thinking)

    def parts(self, said: str) -> Parts:
        """The thought and the response of what the model said."""
        return split_thought(said, opened=self.opened)

    def shown(self, node: Node) -> str:
        """What judges are shown: the response up to and including a node.

        Of a thought in progress, where steps inside thoughts are searched, it is all of it.
        """
        response = self.parts(node.whole).response
        return node.whole if response is None else response

    def judge(self, node: Node) -> None:
        """Sets the answer of a node that ends, and whether it is right."""
        node.answer, node.correct = self.problem.judge(self.parts(node.whole).response)

    def _states_answer(self, said: str) -> bool:
        response = self.parts(said).response
        return response is not None and self.problem.is_final(response)

    async def sample(
        self, node: Node, purpose: str, sampling: Sampling, n: int
    ) -> list[Completion]:
        """`n` continuations of what was said up to a node."""
        return await self.go_on(node, "", purpose, sampling, n)

    async def go_on(
        self, node: Node, said: str, purpose: str, sampling: Sampling, n: int = 1
    ) -> list[Completion]:
        """`n` continuations of what was said up to a node and `said` behind it."""
        drawn = await self.ask(
            Prompt(self.problem.messages, node.whole + said), node, purpose, sampling, n
        )
        self.opened = any(completion.opened for completion in drawn)
        return drawn

    async def ask(
        self, prompt: Prompt, node: Node, purpose: str, sampling: Sampling, n: int
    ) -> list[Completion]:
        """`n` answers to a prompt about a node; their tokens count as the tree's."""
        # From the text so far and not the node's id, so that other search settings find the same
        # completions again.
        seeds = [
            seed_for(self.run_seed, self.problem.prompt_id, node.whole, purpose, draw)
            for draw in range(n)
        ]
        drawn = await self.engine.sample(prompt, sampling, seeds)
        self.tokens += sum(completion.tokens for completion in drawn)
        return drawn

    async def roll_out(self, node: Node, n: int) -> list[Node]:
        """Completes the response `n` times from a node; its value is the share of right ones.

        Returns the rollouts.
        """
        rollouts = []
        for draw, rest in enumerate(await self.sample(node, "rollout", self.rollout_sampling, n)):
            text, thinking = self.apart(node, rest.text.rstrip())
            ends = rest.finish_reason == "stop"
            rollout = node.child("rollout", draw, text, ends, rest.tokens, thinking)
            self.judge(rollout)
            rollouts.append(rollout)
        node.n_rollouts, node.n_correct = n, sum(bool(rollout.correct) for rollout in rollouts)
        node.valued(node.n_correct / n, "rollouts")
        return rollouts

    def apart(self, node: Node, said: str) -> tuple[str, str | None]:
        """What is said behind a node:
        the response's text, and the thought before it if there is one.

        A thought that never ends is all thought. Where the search goes inside thoughts they are not
        taken off.
        """
        parts = self.parts(node.whole + said)
        thinking = (parts.thought or "")[len(node.whole) :]
        if self.settings.inside_thoughts or not thinking:
            return said, None
        return parts.response or "", thinking

    def _children(self, parent: Node, thoughts: Sequence[Thought]) -> list[Node]:
        children: dict[tuple[str, str | None], Node] = {}
        for draw, thought in enumerate(thoughts):
            said = thought.text, thought.thinking
            if said in children:
                children[said].merged += 1
                children[said].tokens += thought.tokens
            else:
                children[said] = self.child(parent, draw, thought)
        return list(children.values())


async def grow(
    engine: Engine, problem: Problem, settings: GrowthSettings, plan: Plan, run_seed: int
) -> list[Node]:
    """The whole tree of one problem:
    root first, then every step and rollout in the order they were made.

    With `probe`, rollouts of the bare question come first and become the root's value. Where they
    are all right or all wrong, `if_flat` gives every step more rollouts, or no tree is grown. The
    probe only decides: no step's value reads it, so that shares stay unbiased. Without a budget for
    an expansion there is no probe either.

    Raises:
        RequestFailed: the prompt is too long for the model.
    """
    tree = Tree(engine, problem, settings, plan, run_seed)
    if settings.probe and tree.left > 0:
        tree.nodes += await tree.roll_out(tree.root, settings.probe)
        if tree.root.value in (0.0, 1.0):
            if settings.if_flat == "skip":
                return tree.nodes
            tree.rollouts = settings.flat_rollouts if settings.if_flat == "more" else tree.rollouts
    await plan.search(tree)
    return tree.nodes
