"""The command that erases: a plan, or the erasure itself."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assets.cli.terminal import one_line_errors, say
from pipeline import config
from pipeline.errors import OrchardError

if TYPE_CHECKING:
    from pipeline.erasure.request import Request

app = typer.Typer()


@app.command()
@one_line_errors
def erase(
    row: Annotated[str | None, typer.Option(help="A row, as TABLE:ID.")] = None,
    prompt: Annotated[str | None, typer.Option(help="A prompt's id.")] = None,
    source: Annotated[str | None, typer.Option(help="A pool, or the name of an import.")] = None,
    text: Annotated[Path | None, typer.Option(help="A file with a text.")] = None,
    policies: Annotated[
        bool, typer.Option("--policies", help="Remove the policies that learned from it, too.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Change nothing (as without --yes).")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Erase.")] = False,
) -> None:
    """Take a row, a prompt or a source out of every version, release, cache and report.

    All that was made from it goes too. Without --yes it says what would go. `--yes` alone finishes
    an erasure that was interrupted.
    """
    from pipeline.erasure.erase import erase as erased
    from pipeline.erasure.erase import resume
    from pipeline.erasure.plan import planned, trained_lines

    home, yes = config.home(), yes and not plan
    given = {"row": row, "prompt": prompt, "source": source, "text": _read(text)}
    named = {kind: value for kind, value in given.items() if value is not None}
    if yes and not named:
        note = resume(home)
        if note is None:
            raise OrchardError("nothing to erase: give --row, --prompt, --source or --text")
        say(f"the erasure of {note.erased_on} ({note.kind}) is finished")
        for line in trained_lines(note):
            say(line)
        return
    request = _request(named)
    found = (
        erased(home, request, with_policies=policies) if yes else planned(home, request, policies)
    )
    for line in found.lines():
        say(line)
    if not yes:
        say("Nothing was changed: --yes erases it")
        return
    say("Done. Backups, exports and what was released elsewhere are yours to remove")
    say(
        "Files that it was read from are as they were: remove it from them. "
        "Rows with these ids are rejected from now on; under another id it would be read again"
    )


def _request(named: dict[str, str]) -> "Request":
    from pipeline.erasure.request import Request

    if len(named) != 1:
        raise OrchardError("say what to erase, by one of --row, --prompt, --source and --text")
    ((kind, value),) = named.items()
    return Request(kind, value)  # type: ignore[arg-type]


def _read(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise OrchardError(f"--text {path}: not a file in UTF-8: {error}") from error
