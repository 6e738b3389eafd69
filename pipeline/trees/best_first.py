"""Tree-PLV: best-first search whose step rewards are the share of rollouts that reach the right answer.

Paper: "Advancing Process Verification for Large Language Models via Tree-Based Preference Learning" (EMNLP 2024).
From summaries of it: k candidate steps per expansion, 8 rollouts per step, reward = share of right rollouts,
expansion of the child with the highest reward until it ends the reasoning. Our choices, because the paper's values
are not published: k, the step delimiter, depth and sampling settings, merging identical siblings, ties (the earlier
draw), and a limit on tokens. "Highest current reward" can be read as a global frontier too: `strategy: frontier`
searches that way.
"""

import asyncio
from itertools import chain

from pipeline.config import TreeSettings
from pipeline.engine.base import Completion, Engine, Prompt, Sampling
from pipeline.ids import seed_for
from pipeline.trees.node import Node, Problem
from pipeline.trees.steps import Step, split_step


async def grow(engine: Engine, problem: Problem, settings: TreeSettings, run_seed: int) -> list[Node]:
    """The whole tree of one problem: root first, then every step and rollout in the order they were made.

    Raises:
        RequestFailed: the prompt is too long for the model.
    """
    search = _Search(engine, problem, settings, run_seed)
    return await search.run()


class _Search:
    """The state of one tree's search."""

    def __init__(self, engine: Engine, problem: Problem, settings: TreeSettings, run_seed: int) -> None:
        self.engine = engine
        self.problem = problem
        self.settings = settings
        self.run_seed = run_seed
        self.root = Node.root(problem, engine.policy_id)
        self.nodes = [self.root]
        self.tokens = 0
        self.step_sampling = Sampling(
            settings.step_tokens, settings.temperature, settings.top_p, stop=(settings.delimiter,)
        )
        self.rollout_sampling = Sampling(settings.rollout_tokens, settings.temperature, settings.top_p)

    async def run(self) -> list[Node]:
        frontier: list[Node] = []
        current: Node | None = self.root
        for order in range(self.settings.max_expansions):
            if current is None or self._spent():
                break
            current.expanded_order = order
            children = await self._expand(current)
            open_children = [child for child in children if self._can_grow(child)]
            if self.settings.strategy == "greedy":
                best = max(children, key=_value, default=None)
                current = best if best is not None and self._can_grow(best) else None
            else:
                frontier += open_children
                current = max(frontier, key=_value, default=None)
                if current is not None:
                    frontier.remove(current)
        return self.nodes

    def _spent(self) -> bool:
        return self.settings.max_tokens is not None and self.tokens >= self.settings.max_tokens

    def _can_grow(self, node: Node) -> bool:
        return not node.terminal and node.depth < self.settings.max_depth

    async def _expand(self, parent: Node) -> list[Node]:
        """Samples k next steps, merges identical ones, and values each."""
        drawn = await self._sample(parent, "step", self.step_sampling, self.settings.children)
        children: dict[str, Node] = {}
        for draw, completion in enumerate(drawn):
            step = split_step(completion, self.settings.delimiter)
            if step is None:  # nothing was said: no step; its tokens still count
                continue
            if step.text in children:
                children[step.text].merged += 1
                children[step.text].tokens += len(completion.token_ids)
            else:
                children[step.text] = self._child(parent, draw, step, len(completion.token_ids))
        made = list(children.values())
        rollouts = await asyncio.gather(*(self._value(child) for child in made))
        self.nodes += [*made, *chain.from_iterable(rollouts)]
        return made

    def _child(self, parent: Node, draw: int, step: Step, tokens: int) -> Node:
        """A child that states the final answer ends there, without the delimiter: our choice, the rest is talk."""
        if step.ends or not self.problem.is_final(parent.whole + step.text):
            return parent.child("step", draw, step.text, step.ends, tokens)
        return parent.child("step", draw, step.text.removesuffix(self.settings.delimiter), True, tokens)

    async def _value(self, node: Node) -> list[Node]:
        """Sets the node's value: a terminal step is judged as it stands, any other by rollouts, which are returned."""
        if node.terminal:
            node.answer, node.correct = self.problem.judge(node.whole)
            node.value = float(bool(node.correct))
            return []
        rests = await self._sample(node, "rollout", self.rollout_sampling, self.settings.rollouts)
        rollouts = []
        for draw, rest in enumerate(rests):
            text = rest.text.rstrip()
            rollout = node.child("rollout", draw, text, rest.finish_reason == "stop", len(rest.token_ids))
            rollout.answer, rollout.correct = self.problem.judge(node.whole + text)
            node.n_correct += int(bool(rollout.correct))
            rollouts.append(rollout)
        node.n_rollouts = len(rollouts)
        node.value = node.n_correct / node.n_rollouts
        return rollouts

    async def _sample(self, node: Node, purpose: str, sampling: Sampling, n: int) -> list[Completion]:
        # From the text so far and not the node's id, so that other search settings find the same completions again.
        seeds = [seed_for(self.run_seed, self.problem.prompt_id, node.whole, purpose, draw) for draw in range(n)]
        drawn = await self.engine.sample(Prompt(self.problem.messages, node.whole), sampling, seeds)
        self.tokens += sum(len(completion.token_ids) for completion in drawn)
        return drawn


def _value(node: Node) -> float:
    return -1.0 if node.value is None else node.value
