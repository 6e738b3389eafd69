"""Thought generators: where candidate next steps come from (tree of thoughts, Yao et al. 2023, arXiv 2305.10601)."""

import re

from pipeline.engine.base import Completion, Prompt, Sampling, Turn
from pipeline.trees.growth import Thought, Tree
from pipeline.trees.node import Node
from pipeline.trees.steps import share_tokens, split_step

_BULLET = re.compile(r"^\s*(?:[-*]\s+|(?:option\s*)?\(?\d{1,2}[.):]\s+)", re.IGNORECASE)

PROPOSE = """Problem:
{question}

Solution so far:
{so_far}

Write {k} different next steps that could follow, one step per line, each numbered. Write nothing else."""


async def sample(tree: Tree, parent: Node) -> list[Thought]:
    """`children` independent draws of the next step."""
    drawn = await tree.sample(parent, "step", tree.step_sampling, tree.settings.children)
    steps = [(split_step(completion, tree.settings.delimiter), completion) for completion in drawn]
    # Nothing was said: no step. Its tokens still count against the tree's budget.
    return [Thought(s.text, s.ends, len(completion.token_ids), s.cut) for s, completion in steps if s is not None]


async def propose(tree: Tree, parent: Node) -> list[Thought]:
    """One completion that lists `children` different next steps, a line each; numbers and bullets are taken off.

    The authors' code splits the lines too. Our choices: the wording; lines beyond `children` are left out, and so is
    one that the token limit cut, which is no whole step; a proposed step ends the response where it states the final
    answer, and never otherwise.
    """
    k = tree.settings.children
    text = PROPOSE.format(question=tree.problem.question, so_far=parent.whole.strip() or "(nothing yet)", k=k)
    sampling = Sampling(k * tree.settings.step_tokens, tree.settings.temperature, tree.settings.top_p)
    prompt = Prompt((Turn(role="user", content=text),))
    (listed,) = await tree.ask(prompt, parent, "propose", sampling, 1)
    return _lines(listed, k, tree.settings.delimiter)


def _lines(listed: Completion, k: int, delimiter: str) -> list[Thought]:
    lines = [_BULLET.sub("", line).strip() for line in listed.text.split("\n")]
    if listed.finish_reason == "length":
        lines = lines[:-1]
    steps = [line + delimiter for line in lines if line][:k]
    shares = share_tokens(len(listed.token_ids), steps)
    return [Thought(step, False, tokens) for step, tokens in zip(steps, shares, strict=True)]
