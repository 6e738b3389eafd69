"""The licence of a repository from its licence files, by sentences that only that licence has."""

import re

_FILES = re.compile(r"(licen[cs]e|copying|unlicense)([-._].*)?", re.IGNORECASE)
_MARKS = {  # SPDX name: phrases that all must occur; white space does not count
    "Apache-2.0": ("apache license", "version 2.0"),
    "MIT": ("permission is hereby granted, free of charge", "the software is provided \"as is\""),
    "BSD": ("redistribution and use in source and binary forms",),
    "GPL": ("gnu general public license",),
    "LGPL": ("gnu lesser general public license",),
    "AGPL": ("gnu affero general public license",),
    "MPL-2.0": ("mozilla public license", "2.0"),
}  # fmt: skip


def is_licence_file(name: str) -> bool:
    """LICENSE, LICENCE.txt, COPYING.md, LICENSE-MIT and the like."""
    return _FILES.fullmatch(name) is not None


def licences_in(text: str) -> set[str]:
    """SPDX names of the licences that a text contains; GPL, LGPL and AGPL without their versions."""
    plain = " ".join(text.lower().replace("“", '"').replace("”", '"').replace("''", '"').replace("``", '"').split())
    found = {name for name, marks in _MARKS.items() if all(mark in plain for mark in marks)}
    if "BSD" in found:
        found.remove("BSD")
        found.add("BSD-3-Clause" if "endorse or promote" in plain else "BSD-2-Clause")
    return found


def one_of(texts: list[str], accepted: tuple[str, ...]) -> tuple[str | None, str]:
    """The accepted licence of a repository with these licence files, or None; and what was found, for a message.

    Every licence found must be accepted (several files may state a choice, or parts under other terms: we do not
    guess which); the first by name is recorded.
    """
    found = sorted(set().union(*map(licences_in, texts))) if texts else []
    shown = ", ".join(found) or ("a text that is not known" if texts else "no licence file")
    return (found[0] if found and set(found) <= set(accepted) else None), shown
