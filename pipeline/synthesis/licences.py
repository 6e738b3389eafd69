"""The licence of a repository from its licence files, by the sentences that grant it."""

import re

from pipeline.folding import folded

_FILES = re.compile(r"(licen[cs]e|copying|unlicense)([-._].*)?", re.IGNORECASE)
# Names and phrases that all must occur, white space and case apart: sentences that grant, not
# mentions of a name. SPDX names; the two forms of Apache's are its text and its notice.
_MARKS = (
    ("Apache-2.0", ("apache license version 2.0",
                    "each contributor hereby grants to you a perpetual, worldwide, non-exclusive, "
                    "no-charge, royalty-free, irrevocable copyright license")),
    ("Apache-2.0", ("licensed under the apache license, version 2.0",
                    "you may not use this file except in compliance with the license")),
    ("MIT", ("permission is hereby granted, free of charge, to any person obtaining a copy",
             "to deal in the software without restriction", "the software is provided \"as is\"")),
    ("BSD", ("redistribution and use in source and binary forms, "
             "with or without modification, are permitted",)),
    ("GPL", ("gnu general public license",)),
    ("LGPL", ("gnu lesser general public license",)),
    ("AGPL", ("gnu affero general public license",)),
    ("MPL-2.0", ("mozilla public license", "2.0")),
    ("Commons-Clause", ("commons clause",)),  # takes away from the licence that it stands with
)  # fmt: skip


def is_licence_file(name: str) -> bool:
    """LICENSE, LICENCE.txt, COPYING.md, LICENSE-MIT and the like."""
    return _FILES.fullmatch(name) is not None


def licences_in(text: str) -> set[str]:
    """SPDX names of the licences that a text contains;
    GPL, LGPL and AGPL without their versions.
    """
    plain = " ".join(folded(text, case=False).replace("''", '"').replace("``", '"').split())
    found = {name for name, marks in _MARKS if all(mark in plain for mark in marks)}
    if "BSD" in found:
        found.remove("BSD")
        clauses = 2 + ("endorse or promote" in plain) + ("all advertising materials" in plain)
        found.add(f"BSD-{clauses}-Clause")
    return found


def one_of(texts: list[str], accepted: tuple[str, ...]) -> tuple[str | None, str]:
    """The accepted licence of a repository with these licence files, or None;
    and what was found, for a message.

    Every file must be known, and every licence found accepted (several files may state a choice, or
    parts under other terms: we do not guess which); the first by name is recorded.
    """
    if not texts:
        return None, "no licence file"
    found = [licences_in(text) for text in texts]
    names = sorted(set().union(*found))
    shown = ", ".join([*names, *(["a text that is not known"] if not all(found) else [])])
    return (names[0] if all(found) and set(names) <= set(accepted) else None), shown
