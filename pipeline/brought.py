"""Policies that were trained elsewhere: a folder of weights, an id of the hub, a server's model."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.config import AskedModelSettings, ModelSettings, ServerSettings
from pipeline.config.section import first_problem
from pipeline.engine.model import resolve
from pipeline.errors import OrchardError

Row = Mapping[str, Any]  # of the table brought_policies
NAME = re.compile(r"[A-Za-z0-9_-]+")


def is_address(place: str) -> bool:
    """Whether a place is a server's address."""
    return place.startswith(("http://", "https://"))


def check_name(name: str, taken: Collection[str]) -> None:
    """Refuses a name that no table takes, and one that a policy of the profile has."""
    if not NAME.fullmatch(name):
        raise OrchardError(f"--as {name!r}: use letters, digits, - and _")
    if name in taken:
        raise OrchardError(f"--as {name!r} is the name of a policy of this profile: use another")


def brought_row(
    name: str, place: str, served_as: str | None, key_env: str | None, home: Path
) -> dict[str, Any]:
    """The row of `brought_policies` of what lies at a place today.

    Args:
        name: on the leaderboard.
        place: a folder, an id of the hub (or package:NAME), or a server's address.
        served_as: what the server calls it.
        key_env: the variable that holds the server's key.
        home: the data folder.

    Raises:
        OrchardError: a folder without weights, an id that is not to be had, an address that is
            none, or a server without the model's name.
    """
    if is_address(place):
        if served_as is None:
            raise OrchardError(f"--policy {place}: say with --model what the server calls it")
    elif served_as or key_env:
        raise OrchardError(f"--policy {place} is no server's address: leave --model and --key out")
    elif Path(place).expanduser().is_dir():
        place = str(Path(place).expanduser().resolve())
    row = {"name": name, "place": place, "served_as": served_as, "key_env": key_env}
    return {**row, "policy_id": resolve(settings_of(row), home).policy_id}


def settings_of(row: Row, max_model_len: int | None = None) -> ModelSettings:
    """The settings of a policy from elsewhere; of a server's, with the server, which is asked for
    chat completions. A server's model is known by its name and the server's address.

    Raises:
        OrchardError: an address that is none.
    """
    more: dict[str, Any] = {} if max_model_len is None else {"max_model_len": max_model_len}
    if not is_address(row["place"]):
        return ModelSettings(name=row["place"], **more)
    try:
        server = ServerSettings(url=row["place"], api="chat", key_env=row["key_env"])
        name = f"served:{row['served_as']}"
        return AskedModelSettings(name=name, revision=server.url, servers=(server,), **more)
    except ValidationError as error:
        raise OrchardError(f"--policy {row['place']}: {first_problem(error)}") from error
