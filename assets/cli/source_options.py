"""What the commands that bring in data share: how a source is named, and what of it is read."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.config import PersonalDataSettings
    from pipeline.sources.opened import Opened

Source = Annotated[
    str,
    typer.Argument(
        help="A file (JSONL, JSON, CSV, each also .gz or .zst; Parquet), a folder of such files, "
        "one that save_to_disk made, or hf:ID, a data set of the hub."
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        "--as", help="What to call the source; default: its file's, folder's or id's own."
    ),
]
Configs = Annotated[
    list[str] | None,
    typer.Option("--config", help="A configuration of a data set of the hub; may be repeated."),
]
Splits = Annotated[
    list[str] | None,
    typer.Option("--split", help="A split of a data set; may be repeated; default: all."),
]
Limit = Annotated[
    int | None,
    typer.Option(min=1, help="Only so many rows in all, from the first; the rest is not fetched."),
]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--map", help="Columns of an unknown layout: ours=theirs,..., such as chosen=output.best."
    ),
]


def asked_for(
    source: str,
    configs: Configs,
    splits: Splits,
    limit: Limit,
    names: Names,
    personal: "PersonalDataSettings",
) -> "Opened":
    """The source that the options describe, with its rows; those with personal data say so."""
    from pipeline.sources.mapped import parse
    from pipeline.sources.opened import Asked, open_source

    asked = Asked(tuple(configs or ()), tuple(splits or ()), limit, parse(names or ()), personal)
    return open_source(source, asked)
