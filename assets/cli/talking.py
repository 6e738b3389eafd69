"""What policies say: their answers side by side, and a talk with one of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from assets.cli.terminal import Profile, console, one_line_errors, say
from pipeline import config, extensions
from pipeline.escaped import visible
from pipeline.readable import cut, told_turns

if TYPE_CHECKING:
    from pipeline.config import Settings
    from pipeline.engine.base import Engine, Turn
    from pipeline.engine.model import Model
    from pipeline.validation.side_by_side import Answer

app = typer.Typer()
SAID = {True: "right", False: "wrong", None: ""}
Seed = Annotated[int | None, typer.Option(help="Of the training; default: the lowest.")]


@app.command()
@one_line_errors
def compare(
    policies: Annotated[list[str], typer.Argument(help="base, and variants that were trained.")],
    prompts: Annotated[int, typer.Option(min=1, help="So many test prompts, by hash.")] = 5,
    profile: Profile = "quick",
    seed: Seed = None,
) -> None:
    """Show the answers of policies to the same test prompts, side by side.

    They are the first of those that an evaluation samples: what was evaluated costs nothing.
    """
    from pipeline.policies import policy_named
    from pipeline.store import Lake
    from pipeline.validation.side_by_side import asked_prompts, first_answers

    settings, home = config.load(profile), config.home()
    extensions.load(settings.extensions)  # verifiers of the user's own
    with Lake(home) as lake:
        asked = asked_prompts(lake, prompts)
        models = {name: policy_named(name, lake, home, settings, seed) for name in policies}
    answers: dict[str, dict[str, Answer]] = {}
    for name, model in models.items():
        with _engine(settings, model) as engine:
            answers[name] = first_answers(engine, asked, settings)
    for row in asked.iter_rows(named=True):
        own = {name: found.get(row["prompt_id"]) for name, found in answers.items()}
        _show_answers(row, own)


@app.command()
@one_line_errors
def chat(
    policy: Annotated[str, typer.Argument(help="base, or a variant that was trained.")],
    profile: Profile = "quick",
    seed: Seed = None,
    system: Annotated[str | None, typer.Option(help="A system turn before the first.")] = None,
) -> None:
    """Talk to a policy: one line a turn, an empty line or Ctrl-D ends it."""
    from pipeline.policies import policy_named
    from pipeline.store import Lake

    settings, home = config.load(profile), config.home()
    with Lake(home) as lake:
        model = policy_named(policy, lake, home, settings, seed)
    say(f"{policy} ({model.policy_id}): an empty line ends it")
    turns: list[Turn] = [{"role": "system", "content": system}] if system else []
    with _engine(settings, model) as engine:
        while asked := _line():
            turns.append({"role": "user", "content": asked})
            say(f"{policy}> {_reply(engine, settings, turns)}")


def _line() -> str:
    try:
        return console.input(Text("you> ")).strip()
    except EOFError:
        return ""


def _reply(engine: "Engine", settings: "Settings", turns: list["Turn"]) -> str:
    """The policy's next turn, which joins the others;
    or why there is none, and the turn that it should answer is taken back.
    """
    from pipeline.engine.base import Prompt, RequestFailed, Sampling
    from pipeline.engine.session import run_all
    from pipeline.ids import seed_for

    asked = settings.sampling
    sampling = Sampling(asked.max_tokens, asked.temperature, asked.top_p)
    request = engine.sample(
        Prompt(tuple(turns)), sampling, [seed_for(settings.seed, "chat", len(turns))]
    )
    try:
        ((completion,),) = run_all([request])
    except RequestFailed as error:
        turns.pop()
        return f"({error})"
    turns.append({"role": "assistant", "content": completion.response})
    cut_off = " (cut by sampling.max_tokens)" if completion.finish_reason == "length" else ""
    return f"{completion.response.strip() or '(nothing)'}{cut_off}"


@contextmanager
def _engine(settings: "Settings", model: "Model") -> Iterator["Engine"]:
    from pipeline.engine.room import EngineRoom

    room = EngineRoom(settings, config.home())
    try:
        yield room.engine(model)
    finally:
        room.close()


def _show_answers(prompt: dict[str, Any], answers: dict[str, "Answer | None"]) -> None:
    """The prompt, its reference answer, and a column a policy."""
    say(cut(told_turns(prompt["messages"])))
    if prompt["answer"]:
        say(f"reference: {cut(prompt['answer'])}")
    table = Table(box=box.ROUNDED, show_lines=True)
    for name, answer in answers.items():
        said = "" if answer is None else SAID[answer.correct]
        tokens = f"{answer.tokens} tokens" if answer and answer.tokens else ""
        heading = ", ".join(part for part in (said, tokens) if part)
        table.add_column(Text(visible(f"{name}: {heading}" if heading else name)), ratio=1)
    texts = ("(no answer)" if one is None else cut(one.text) for one in answers.values())
    table.add_row(*(Text(visible(text)) for text in texts))
    console.print(table)
