"""What is to be erased, and the rows that it names."""

from dataclasses import dataclass
from typing import Literal

from pipeline.erasure import texts
from pipeline.erasure.reach import Search
from pipeline.errors import OrchardError
from pipeline.ids import content_id
from pipeline.store.quoting import quoted
from pipeline.tables import TABLES
from pipeline.tables.links import LINKS

Kind = Literal["row", "prompt", "source", "text"]
_KEYS = ("pool", "origin", "repository")  # what a reject of a row from outside says of its source


@dataclass(frozen=True)
class Request:
    """What was asked for: a row as TABLE:ID, a prompt's id, a source's name, or a text."""

    kind: Kind
    value: str

    @property
    def asked(self) -> str:
        """A hash of it: this is what is kept of it."""
        return content_id(self.kind, self.value)

    @property
    def shown(self) -> str:
        """It in words, without the text."""
        length = f"of {len(self.value)} characters"
        return f"{self.kind} {length if self.kind == 'text' else self.value}"


def search_for(search: Search, request: Request) -> None:
    """Take what is asked for, and all that was made from it.

    Raises:
        OrchardError: no version of any table has it.
    """
    {"row": _row, "prompt": _prompt, "source": _source, "text": _text}[request.kind](
        search, request.value
    )
    follow(search)
    if not search.reached().rows:
        raise OrchardError(f"{request.shown}: no version of any table has it: nothing to erase")


def follow(search: Search) -> None:
    """Take what was made from what is taken, rejects without an id included."""
    search.follow()
    search.start_places(texts.repeating_rejects(search))
    search.follow()


def _row(search: Search, named: str) -> None:
    table, _, row_id = named.partition(":")
    if table not in TABLES or not row_id:
        raise OrchardError(f"row {named!r}: expected TABLE:ID, such as responses:0123456789abcdef")
    links = LINKS.get(table)
    if links is None or not links.own:
        raise OrchardError(f"table {table}: its rows have no id: erase what they were made from")
    kind, column = links.own[0]
    if search.knows(table, f"{column} = {quoted(row_id)}"):
        search.start([(kind, row_id)])


def _prompt(search: Search, prompt_id: str) -> None:
    search.start([("prompt", prompt_id)])
    search.start(("record", one) for one in texts.recorded_under(search, prompt_id))
    sources = search.left("code_pairs", f"source, prompt_id = {quoted(prompt_id)} AS own")
    for source, own in sources.iter_rows() if sources.width else ():
        if own and str(source).startswith("change "):
            search.start([("change", str(source).removeprefix("change "))])


def _source(search: Search, name: str) -> None:
    for table, links in LINKS.items():
        if links.source:
            search.start_rows(table, f'"{links.source}" = {quoted(name)}')
    says = 'CASE WHEN json_valid("row") THEN json_extract_string("row", \'$.{}\') END = {}'
    named = " OR ".join(says.format(key, quoted(name)) for key in _KEYS)
    steps = f"step IN ({quoted(f'import {name}')}, {quoted(f'import-code {name}')})"
    search.start_rows("rejects", f"{steps} OR {named}")


def _text(search: Search, text: str) -> None:
    if not text.strip():
        raise OrchardError("the text is empty: give one that stands in no other row")
    search.start_places(texts.places_of(search.held, text))
