"""The form of the whole response or of marked parts in it:
IFEval's formats, and lists and marks in Markdown (ours).
"""

import re
from collections.abc import Callable
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING

from pipeline.verify.instructions.counts import exactly, minimum
from pipeline.verify.instructions.instruction import Arguments, Bound, Kind, Proposed, only
from pipeline.verify.instructions.keywords import another

if TYPE_CHECKING:
    from markdown_it.token import Token

CONSTRAINED = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
SPLITTERS = ("Section", "SECTION", "Part", "PARAGRAPH", "Chapter", "Day")
MARKERS = ("P.S.", "P.P.S")
_TITLE = re.compile(r"<<[^\n]+>>")
_NUMBERED = re.compile(r"^[ \t]*([0-9]{1,4})[.)][ \t]+\S", re.MULTILINE)


def bullets(text: str) -> int:
    """Lines that begin with - or with a single *."""
    starred = re.findall(r"^\s*\*[^\*].*$", text, re.MULTILINE)
    dashed = re.findall(r"^\s*-.*$", text, re.MULTILINE)
    return len(starred) + len(dashed)


def highlights(text: str) -> int:
    """Parts between asterisks on one line.

    As in IFEval, **bold** counts as a highlight, and emphasis too.
    """
    single = [part for part in re.findall(r"\*[^\n*]*\*", text) if part.strip("*").strip()]
    double = [part for part in re.findall(r"\*\*[^\n*]*\*\*", text) if part[2:-2].strip()]
    return len(single) + len(double)


def sections(text: str, splitter: str) -> int:
    """Places where the splitter stands before a number: 'Section 1'."""
    return len(re.findall(r"\s?" + re.escape(splitter) + r"\s?\d+\s?", text))


def parts(text: str) -> int | None:
    """Paragraphs parted by ***; None where one between two of them is empty."""
    found = [part.strip() for part in re.split(r"\s?\*\*\*\s?", text)]
    return None if not all(found[1:-1]) else sum(map(bool, found))


def has_title(text: str) -> bool:
    """True where a line has something between << and >>."""
    return any(title.lstrip("<").rstrip(">").strip() for title in _TITLE.findall(text))


def has_postscript(text: str, marker: str) -> bool:
    """True where the marker stands in the text;
    with a space between its letters too, whatever its case.
    """
    patterns = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}
    return bool(re.search(patterns.get(marker, re.escape(marker.lower())), text.lower()))


def first_word_of(text: str, nth: int) -> tuple[int, str | None]:
    """(number of paragraphs, first word of the nth in lower case up to a mark).

    Paragraphs are parted by empty lines.

    As in IFEval, empty paragraphs are not counted but keep their place.
    """
    found = text.split("\n\n")
    number = sum(bool(part.strip()) for part in found)
    paragraph = found[nth - 1].strip() if nth <= number else ""
    if not paragraph:
        return number, None
    word = paragraph.split()[0].lstrip("'").lstrip('"')
    return number, re.split(r"[.,?!'\"]", word, maxsplit=1)[0].lower()


def numbered(text: str) -> int | None:
    """Items of the list whose lines begin with 1., 2., ... or 1), 2), ....

    None where a number is out of order.
    """
    found = [int(number) for number in _NUMBERED.findall(text)]
    return len(found) if found == list(range(1, len(found) + 1)) else None


@lru_cache(maxsize=512)
def markdown(text: str) -> tuple["Token", ...]:
    """The blocks of a text, as CommonMark with tables has them (markdown-it-py)."""
    from markdown_it import MarkdownIt

    return tuple(MarkdownIt("commonmark").enable("table").parse(text))


def blocks(text: str, kind: str) -> int:
    """Blocks of one kind: heading_open, fence, blockquote_open."""
    return sum(token.type == kind for token in markdown(text))


def tables(text: str) -> list[tuple[int, int]]:
    """(columns, rows below the header) of each Markdown table."""
    found: list[tuple[int, int]] = []
    for token in markdown(text):
        columns, rows = found[-1] if found else (0, 0)
        if token.type == "table_open":
            found.append((0, -1))  # the header is no row
        elif token.type in ("th_open", "tr_open"):
            found[-1] = (columns + (token.type == "th_open"), rows + (token.type == "tr_open"))
    return found


def has_table(response: str, arguments: Arguments) -> bool:
    """True where a table has exactly `columns` columns,
    and at least `rows` rows below its header.
    """
    return any(c == arguments["columns"] and r >= arguments["rows"] for c, r in tables(response))


def _table(response: str, want: bool, random: Random) -> Proposed:
    columns, rows, more = random.randint(2, 5), random.randint(1, 5), random.randint(1, 3)
    found = [(c, r) for c, r in tables(response) if r >= 1]
    if want:
        return {"columns": found[0][0], "rows": found[0][1]} if found else None
    if not found:
        return {"columns": columns, "rows": rows}
    return {"columns": max(c for c, _ in found) + more, "rows": found[0][1]}


def _constrained(response: str) -> bool:
    return any(option in response for option in CONSTRAINED)


def _splitter(response: str, random: Random) -> Proposed:
    found = [splitter for splitter in SPLITTERS if sections(response, splitter)]
    return {"section_spliter": random.choice(found or SPLITTERS)}


def _postscript(response: str, want: bool, random: Random) -> Proposed:
    found = [marker for marker in MARKERS if has_postscript(response, marker) == want]
    return {"postscript_marker": random.choice(found)} if found else None


def _nth_paragraph(response: str, want: bool, random: Random) -> Proposed:
    number = first_word_of(response, 1)[0]
    nth = random.randint(1, max(1, number))
    word = first_word_of(response, nth)[1]
    other = another(response, word, random) or ("perhaps" if word == "however" else "however")
    if want and not (word and word.isascii() and word.isalpha()):
        return None
    return {
        "num_paragraphs": max(1, number),
        "nth_paragraph": nth,
        "first_word": word if want else other,
    }


def _holds_nth(response: str, arguments: Arguments) -> bool:
    found = first_word_of(response, arguments["nth_paragraph"])
    return found == (arguments["num_paragraphs"], arguments["first_word"].lower())


def _has(kind: str) -> Callable[[str, Arguments], int]:
    return lambda response, arguments: blocks(response, kind)


KINDS = (
    exactly("detectable_format:number_bullet_lists", bullets, "num_bullets"),
    minimum(
        "detectable_format:number_highlighted_sections",
        lambda r, a: highlights(r),
        "num_highlights",
    ),
    minimum(
        "detectable_format:multiple_sections",
        lambda r, a: sections(r, a["section_spliter"]),
        "num_sections",
        _splitter,
        section_spliter="text",
    ),
    exactly("length_constraints:number_paragraphs", parts, "num_paragraphs"),
    Kind(
        "length_constraints:nth_paragraph_first_word",
        _holds_nth,
        _nth_paragraph,
        {"num_paragraphs": "number", "nth_paragraph": "number", "first_word": "text"},
        lambda a: (Bound("blank-line paragraphs", a["num_paragraphs"], a["num_paragraphs"]),),
        lambda a: (
            "nth_paragraph is above num_paragraphs"
            if a["nth_paragraph"] > a["num_paragraphs"]
            else None
        ),
    ),
    Kind("detectable_format:title", lambda r, a: has_title(r), only(has_title)),
    Kind("detectable_format:constrained_response", lambda r, a: _constrained(r), only(_constrained),
         # 'My', unless it is the end of a longer word
         excludes=frozenset({"tone:no_first_person"})),
    Kind(
        "detectable_content:postscript",
        lambda r, a: has_postscript(r, a["postscript_marker"]),
        _postscript,
        {"postscript_marker": "text"},
    ),
    exactly("format:numbered_list", numbered, "number"),
    minimum("format:headings", _has("heading_open"), "number"),
    minimum("format:code_blocks", _has("fence"), "number"),
    Kind("format:table", has_table, _table, {"columns": "number", "rows": "number"}),
)  # fmt: skip
