r"""Words, sentences and paragraphs: one rule for each, which every checker uses.

A word is a run of letters, digits and underscores (\w+), as in IFEval: "don't" is two, "e-mail" is
two, "3.5" is two.

A sentence ends at a run of full stops, question and exclamation marks (with closing quotes,
brackets and asterisks) before white space or the end; what is left over at the end is one too. Line
breaks alone end none, and the next word's case does not matter, as in the Punkt splitter that
IFEval uses. Where no line break follows, a full stop ends none

- after a title or another word of the list TITLES (Dr. Who, Roe v. Wade),
- after an abbreviation such as e.g., etc. or Inc., where the next word begins in lower case or with
  a digit,
- after a number, where the next word begins in lower case (1. apples),
- where it is one of several (Well... perhaps),
- after an initial (J. Smith, U.S. Army), unless it labels a line (A. Summary) or a word such as
  'The' follows.

A paragraph depends on the instruction: IFEval's are parted by *** in one and by an empty line in
another.
"""

import re

TITLES = frozenset(
    "mr mrs ms dr prof st sr jr gen col lt sgt capt rev hon gov sen rep "
    "vs fig mt ft al cf approx v".split()
)
OTHERS = frozenset(
    "etc inc ltd co corp dept no vol ca est ed eds p pp "
    "jan feb mar apr jun jul aug sept sep oct nov dec".split()
)
STARTERS = frozenset(
    "the this that these those then therefore thus as it its in on at to so if he she they "
    "we you i but and for however there here what when where why how who since because "
    "after before while also let now first second third next finally step option answer "
    "note".split()
)
_WORD = re.compile(r"\w+")
_END = re.compile(r"(?P<marks>[.!?…]+)[\"'”’)\]*_]*(?=(?P<space>\s+|$))")
_TOKEN = re.compile(r"[^\s(\[\"'“‘]+$")
_DOTTED = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]|[A-Z]")


def words(text: str) -> list[str]:
    """The words of a text."""
    return _WORD.findall(text)


def sentences(text: str) -> list[str]:
    """The sentences of a text, stripped."""
    parts, start = [], 0
    for end in _END.finditer(text):
        if _ends_sentence(text, end):
            parts.append(text[start : end.end()].strip())
            start = end.end()
    parts.append(text[start:].strip())
    return [part for part in parts if part]


def _ends_sentence(text: str, end: re.Match[str]) -> bool:
    following = _WORD.search(text, end.end())
    if "\n" in end["space"] or following is None or end["marks"].strip(".…"):
        return True
    if end["marks"] != ".":
        return False
    token = _TOKEN.search(text, max(0, end.start() - 40), end.start())
    if token is None or token[0].lower() in TITLES:
        return token is None
    if token[0].lower() in OTHERS or (_DOTTED.fullmatch(token[0]) and token[0][0].islower()):
        return not (following[0][0].islower() or following[0][0].isdigit())
    if not _DOTTED.fullmatch(token[0]):
        return not (token[0].isdigit() and following[0][0].islower())
    labels_line = not text[text.rfind("\n", 0, end.start()) + 1 : token.start()].strip()
    return labels_line or following[0].lower() in STARTERS
