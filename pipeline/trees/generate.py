"""Thought generators: where candidate next steps come from
(tree of thoughts, Yao et al. 2023, arXiv 2305.10601).
"""

import asyncio
import re
from dataclasses import replace

from pipeline.engine.base import Completion, Prompt, Sampling, Turn
from pipeline.trees.growth import Thought, Tree
from pipeline.trees.node import Node
from pipeline.trees.steps import share_tokens, split_step

_BULLET = re.compile(r"^\s*(?:[-*]\s+|(?:option\s*)?\(?\d{1,2}[.):]\s+)", re.IGNORECASE)
PIECES = 8  # requests for one step at most: its thought, the blank lines behind it, the step

PROPOSE = """Problem:
{question}

Solution so far:
{so_far}

Write {k} different next steps that could follow, one step per line, each numbered. \
Write nothing else."""


async def sample(tree: Tree, parent: Node) -> list[Thought]:
    """`children` independent draws of the next step; a thought before it is sampled whole."""
    drawn = await tree.sample(parent, "step", tree.step_sampling, tree.settings.children)
    steps = await asyncio.gather(
        *(_step(tree, parent, draw, first) for draw, first in enumerate(drawn))
    )
    # Nothing was said: no step. Its tokens still count against the tree's budget.
    return [step for step in steps if step is not None]


async def _step(tree: Tree, parent: Node, draw: int, completion: Completion) -> Thought | None:
    """The step that begins with a completion;
    null where nothing was said but an unfinished thought.

    While the model is inside a thought it is asked to go on until the thought ends, and then to the
    end of the response's first step: a thought is no step (our choice).
    """
    said, tokens = "", 0
    for piece in range(PIECES):
        said += completion.text + (completion.stopped_by or "")
        tokens += completion.tokens
        parts = tree.parts(parent.whole + said)
        thinking = (parts.thought or "")[len(parent.whole) :]
        if tree.settings.inside_thoughts or not thinking or (parts.response or "").strip():
            break
        if completion.stopped_by is None and (completion.finish_reason == "stop" or piece):
            break  # it ended its turn, or the thought is too long
        sampling = tree.step_sampling if parts.response is not None else tree.thought_sampling
        (completion,) = await tree.go_on(parent, said, f"step {draw}, piece {piece}", sampling)
    text, thought = tree.apart(parent, said)
    step = split_step(replace(completion, text=_bare(text, completion)), tree.settings.delimiter)
    return (
        None
        if step is None or not text
        else Thought(step.text, step.ends, tokens, step.cut, thought)
    )


def _bare(text: str, completion: Completion) -> str:
    """A step's text as `split_step` takes it: without the delimiter that ended it."""
    return text.removesuffix(completion.stopped_by or "")


async def propose(tree: Tree, parent: Node) -> list[Thought]:
    """One completion that lists `children` different next steps, a line each.

    Numbers and bullets are taken off.

    The authors' code splits the lines too. Our choices: the wording; lines beyond `children` are
    left out, and so is one that the token limit cut, which is no whole step; a proposed step ends
    the response where it states the final answer, and never otherwise.
    """
    k = tree.settings.children
    so_far = tree.shown(parent).strip() or "(nothing yet)"
    text = PROPOSE.format(question=tree.problem.question, so_far=so_far, k=k)
    sampling = Sampling(
        k * tree.settings.step_tokens, tree.settings.temperature, tree.settings.top_p
    )
    prompt = Prompt((Turn(role="user", content=text),))
    (listed,) = await tree.ask(prompt, parent, "propose", sampling, 1)
    return _lines(listed, k, tree.settings.delimiter)


def _lines(listed: Completion, k: int, delimiter: str) -> list[Thought]:
    lines = [_BULLET.sub("", line).strip() for line in listed.response.split("\n")]
    if listed.finish_reason == "length":
        lines = lines[:-1]
    steps = [line + delimiter for line in lines if line][:k]
    shares = share_tokens(listed.tokens, steps)
    return [Thought(step, False, tokens) for step, tokens in zip(steps, shares, strict=True)]
