"""Texts from outside on their way to people: a text stays a text in a terminal and in Markdown.

Prompts, responses and names of judges come from models and files. One that holds an escape sequence
could repaint a terminal; an image of Markdown makes the page that shows it call a foreign server.
"""

import re

# Controls but tab and new line, marks that turn the direction of writing, line separators, and
# halves of characters, which no encoding can hold.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
# What means something in Markdown, in GitHub's extensions of it and in HTML. ':' and '@' make bare
# addresses, and so does the point behind www; a number with a point, - or + begins a list.
_MARKUP = re.compile(r"[\\`*_\[\]<>&|~!#:@$^{}]|(?<=www)\.|^[-+=](?![\w.])", re.IGNORECASE)
_NUMBER = re.compile(r"(\d{1,9})([.)])")


def visible(text: str) -> str:
    r"""The text with what a terminal would obey written out: the escape character as \x1b."""
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)


def markdown(text: str) -> str:
    """Markdown that shows the text as it is, on one line: no link, image, tag or emphasis in it."""
    line = " ".join(visible(text).split())
    number = _NUMBER.match(line)
    start = f"{number[1]}\\{number[2]}" if number else ""
    return start + _MARKUP.sub(r"\\\g<0>", line[number.end() if number else 0 :])


def sentence(text: str) -> str:
    """The same for a sentence of ours, in which `**` on both sides of a name makes it bold."""
    parts = re.split(r"(\s*\*\*\s*)", text)
    return "".join(part if part.strip() == "**" else markdown(part) for part in parts)
