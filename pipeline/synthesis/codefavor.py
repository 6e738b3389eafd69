"""CodeFavor:
pairs of code from commits (Commit-Instruct) and from a critic's revisions (Critic-Evol).

Paper: "Learning Code Preference via Synthetic Evolution". Commit-Instruct is one chat of three
turns; Critic-Evol is a draft by one model and one reply by another or the same. Numbers from its
code: temperatures 0.8 and 0.5, 1,024 and 2,048 new tokens. Ours: the prompts' words, the marks of
the sections, two worked examples instead of five, and that both codes must parse and say different
things.
"""

import asyncio
from typing import Any

from pipeline.config import CodeSettings, SplitSettings
from pipeline.conversation import asked_last
from pipeline.engine.base import (
    Completion,
    Engine,
    Prompt,
    Reason,
    Reject,
    RequestFailed,
    Sampling,
    Turn,
)
from pipeline.ids import content_id, seed_for
from pipeline.prompts.pools import split_of
from pipeline.synthesis import codefavor_prompts as words
from pipeline.synthesis.codefavor_reply import (
    GoodEnough,
    Improved,
    Malformed,
    copies,
    read_commit,
    read_evol,
    says_better,
)
from pipeline.verify.code import job, program, sandbox

Row = dict[str, Any]
STEP = {"commit": "code commit", "evol": "code evol"}


async def from_commit(
    engine: Engine, change: Row, settings: CodeSettings, splits: SplitSettings, run_seed: int
) -> Row | Reject:
    """One mined change as a task with two solutions:
    a row of `code_pairs` without measurements, or why not.
    """
    sampling = Sampling(settings.critic_tokens, settings.commit_temperature)
    turns: list[Turn] = []
    tokens = 0
    replies: list[Completion] = []
    for number, question in enumerate(
        (
            words.explain(change["message"], change["old"], change["new"]),
            words.IS_BETTER,
            words.REWRITE,
        )
    ):
        turns.append(Turn(role="user", content=question))
        seed = seed_for(run_seed, change["change_id"], "commit", number)
        try:
            (reply,) = await engine.sample(Prompt(tuple(turns)), sampling, [seed])
        except RequestFailed as error:
            return _reject("commit", change["change_id"], error, tokens=tokens)
        tokens += reply.tokens
        replies.append(reply)
        turns.append(Turn(role="assistant", content=reply.response))
        if number == 1 and (stop := _no(says_better(reply))):
            return _reject("commit", change["change_id"], stop, reply, tokens)
    read = read_commit(replies[-1])
    if isinstance(read, Malformed):
        return _reject(
            "commit", change["change_id"], f"malformed: {read.reason}", replies[-1], tokens
        )
    messages = commit_messages(read)
    origin = {
        "prompt_id": content_id(messages, None, None),
        "split": split_of(messages, splits),
        "messages": messages,
        "source": f"change {change['change_id']}",
        "licence": change["licence"],
    }
    return _row(
        "commit", read, origin, str(read.instruction), (engine.policy_id, engine.policy_id), tokens
    )


async def draft(
    engine: Engine, prompt: Row, settings: CodeSettings, run_seed: int
) -> tuple[str, int] | Reject:
    """Critic-Evol's first attempt: a program and its tokens.

    A reply without one is dropped, as in the paper's code.

    Where the prompt's metadata name the functions that its tests call, the program is the one that
    defines them.
    """
    sampling = Sampling(settings.draft_tokens, settings.draft_temperature)
    seed = seed_for(run_seed, prompt["prompt_id"], "code draft", 0)
    try:
        (reply,) = await engine.sample(Prompt(tuple(prompt["messages"])), sampling, [seed])
    except RequestFailed as error:
        return _reject("evol", prompt["prompt_id"], error)
    code = program(reply.response, prompt["metadata"])
    if code is None:
        return _reject(
            "evol",
            prompt["prompt_id"],
            "malformed: the draft holds no program",
            reply,
            reply.tokens,
        )
    return code, reply.tokens


async def revise(
    engine: Engine,
    prompt: Row,
    attempt: tuple[str, int],
    draft_id: str,
    settings: CodeSettings,
    run_seed: int,
) -> Row | Reject:
    """Critic-Evol's reply to a draft:
    a row of `code_pairs` without measurements, or why there is none.

    A draft that passes its tests is asked for speed or safety, or skipped (`code.passing`).
    """
    code, spent = attempt
    prompt_id, instruction = prompt["prompt_id"], asked_last(prompt["messages"])
    passes = await asyncio.to_thread(_passes, code, prompt["metadata"])
    if passes and settings.passing == "skip":
        return _reject("evol", prompt_id, "skipped: the draft passes its tests", tokens=spent)
    turns = words.revise(prompt_id, instruction, code, settings.examples, passes=passes)
    chat = Prompt(turns)
    sampling = Sampling(settings.critic_tokens, settings.evol_temperature)
    try:
        (reply,) = await engine.sample(
            chat, sampling, [seed_for(run_seed, prompt_id, "code revision", 0)]
        )
    except RequestFailed as error:
        return _reject("evol", prompt_id, error, tokens=spent)
    spent += reply.tokens
    read = read_evol(reply, code, prompt["metadata"])
    if isinstance(read, GoodEnough):
        return _reject(
            "evol", prompt_id, "good enough: the critic has nothing to improve", reply, spent
        )
    if isinstance(read, Malformed):
        return _reject("evol", prompt_id, f"malformed: {read.reason}", reply, spent)
    shown = [turn["content"] for turn in turns if turn["role"] == "assistant"]
    if (section := copies(read, shown)) is not None:
        reason = f"malformed: {section} repeats a worked example"
        return _reject("evol", prompt_id, reason, reply, spent)
    origin = {name: prompt[name] for name in ("prompt_id", "split", "messages", "licence")}
    origin["source"] = f"prompt {prompt_id}"
    return _row("evol", read, origin, instruction, (engine.policy_id, draft_id), spent)


async def evolve(
    drafter: Engine, critic: Engine, prompt: Row, settings: CodeSettings, run_seed: int
) -> Row | Reject:
    """Draft and revision of one prompt; both engines may be the same."""
    attempt = await draft(drafter, prompt, settings, run_seed)
    if isinstance(attempt, Reject):
        return attempt
    return await revise(critic, prompt, attempt, drafter.policy_id, settings, run_seed)


def _passes(source: str, metadata: str | None) -> bool:
    """Whether a draft passes its prompt's tests; false where it has none."""
    return metadata is not None and sandbox().run(job(source, metadata)).passed


def commit_messages(read: Improved) -> list[dict[str, str]]:
    """The prompt of a task that was made from a commit:
    what to do, and the property that counts.
    """
    return [{"role": "user", "content": f"{read.instruction}\n\n{read.criteria}"}]


def _no(answer: bool | Malformed) -> str | None:
    if isinstance(answer, Malformed):
        return f"malformed: {answer.reason}"
    return None if answer else "no clear improvement, says the critic"


def _row(
    method: str,
    read: Improved,
    origin: Row,
    instruction: str,
    policies: tuple[str, str],
    tokens: int,
) -> Row:
    critic, drafter = policies
    return {
        "code_pair_id": content_id(method, origin["prompt_id"], read.naive, read.improved, critic),
        "method": method,
        **origin,
        "instruction": instruction,
        "criteria": read.criteria.strip(),
        "naive": read.naive,
        "improved": read.improved,
        "feedback": read.feedback and read.feedback.strip(),
        "reflection": read.reflection,
        "policy_id": critic,
        "draft_id": drafter,
        "tokens": tokens,
    }


def _reject(
    method: str, row_id: str, reason: Reason, reply: Completion | None = None, tokens: int = 0
) -> Reject:
    """`tokens` were sampled for it in vain: they are part of what the pairs cost."""
    said: dict[str, object] = {"reply": reply.text} if reply else {}
    return Reject("code_pairs", STEP[method], row_id, reason, {**said, "tokens": tokens})
