"""What a file of judgements may call a response by an id alone, and which one is meant.

An id is a name, and names repeat: files call the responses to every prompt "gpt4" and "llama". So a
name means a response only where exactly one has it, looked for first among this lake's responses,
then among those that the file
itself brought, then among those of earlier imports: our choice.
"""

from collections.abc import Iterable

from pipeline.cells import BadRow, Row

Place = tuple[str, str]  # prompt id, response id


class Names:
    """The responses that rows of one file may name.

    Args:
        responses: response id, prompt id and the hash of the prompt's turns (null: unknown) of this
            lake's responses.
        imported: name, prompt id and response id of earlier imports.
    """

    def __init__(
        self,
        responses: Iterable[tuple[str, str, str | None]] = (),
        imported: Iterable[tuple[str, str, str]] = (),
    ) -> None:
        self._own = {response_id: (prompt_id, asked) for response_id, prompt_id, asked in responses}
        self._here: dict[str, set[Place]] = {}
        self._before: dict[str, set[Place]] = {}
        for name, *place in imported:
            self._before.setdefault(name, set()).add((place[0], place[1]))

    def add(self, pair: Row) -> None:
        """Both sides of a pair that the file brought."""
        for side in ("first", "second"):
            if pair[f"{side}_name"] is not None:
                self._here.setdefault(pair[f"{side}_name"], set()).add(
                    (pair["prompt_id"], pair[f"{side}_id"])
                )

    def own(self, name: str, asked: str | None) -> Place | None:
        """This lake's response of that id;
        with `asked`, the hash of a prompt's turns, only if it answers these.
        """
        prompt_id, turns = self._own.get(name, (None, None))
        return None if prompt_id is None or asked not in (None, turns) else (prompt_id, name)

    def imported(self, name: str, asked: str | None) -> Place | None:
        """The imported response of that name, to the prompt `asked` if one is given.

        Raises:
            BadRow: several have it.
        """
        for known in (self._here, self._before):
            found = [place for place in known.get(name, ()) if asked in (None, place[0])]
            if len(found) > 1:
                raise BadRow(
                    f"id {name!r} names {len(found)} responses: "
                    "give prompt, first and second as well"
                )
            if found:
                return found[0]
        return None
