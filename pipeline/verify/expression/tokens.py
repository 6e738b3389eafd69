r"""A formula as tokens: commands, digits one by one, words, signs; `\\` is one token and stays one.

What looks alike is one token: every dash is '-', \dfrac is \frac, \leqslant is <=. A space of
any kind only says that two tokens stand apart; one that typesetters put between thousands is kept.
"""

import re
from dataclasses import dataclass

from pipeline.verify.characters import DASHES

_TOKEN = re.compile(
    r"\\(?:operatorname\*?|mathrm|text(?:rm|bf|it|sf|normal)?|mathbf|mbox|hbox)\s*\{[^{}]*\}"
    r"|\\begin\s*\{[a-zA-Z]+\*?\}(?:\s*\{[lcr|]+\})?|\\end\s*\{[a-zA-Z]+\*?\}"
    r"|\\[A-Za-z]+|\\\\\s*\[-?[0-9.]+\s*[a-z]{2}\]|\\.|<=|>=|==|[0-9]|[^\W\d_]+|\s+|.",
    re.DOTALL,
)
_TEXT = re.compile(
    r"\\(?P<command>operatorname\*?|mathrm|mathbf|text\w*|mbox|hbox)\s*\{(?P<content>[^{}]*)\}"
)
_NUMERAL = re.compile(r"\s*[-+]?[0-9][0-9.,/ ]*")
_DROPPED = frozenset(
    r"\boxed \fbox \left \right \bigl \bigr \Bigl \Bigr \big \Big \biggl \biggr "
    r"\displaystyle \textstyle \limits \nolimits "
    r"\allowbreak \phantom \quad \qquad \; \: \> \enspace".split()
)
_SAME = {
    r"\dfrac": r"\frac", r"\tfrac": r"\frac", r"\cfrac": r"\frac", r"\dbinom": r"\binom",
    r"\tbinom": r"\binom", r"\le": "<=", r"\leq": "<=", r"\leqslant": "<=", "≤": "<=", "⩽": "<=",
    r"\ge": ">=", r"\geq": ">=", r"\geqslant": ">=", "≥": ">=", "⩾": ">=", r"\lt": "<",
    r"\gt": ">", "==": "=", r"\ne": r"\neq", "≠": r"\neq", "×": r"\times", "·": r"\cdot",
    "⋅": r"\cdot", "∙": r"\cdot", "∗": "*", r"\ast": "*", "÷": r"\div", "π": r"\pi",
    "θ": r"\theta", "∞": r"\infty", "±": r"\pm", "√": r"\surd", "∪": r"\cup", "∩": r"\cap",
    "∈": r"\in", "∅": r"\emptyset", r"\varnothing": r"\emptyset", r"\lbrace": r"\{",
    r"\rbrace": r"\}", r"\lbrack": "[", r"\rbrack": "]", r"\lvert": "|", r"\rvert": "|",
    r"\vert": "|", r"\%": "%", r"\$": "$", r"\degree": "°", r"\textdegree": "°", "≈": r"\approx",
    r"\colon": ":", r"\lparen": "(", r"\rparen": ")", "ⅇ": "e", r"\arcsin": "arcsin",
    r"\arccos": "arccos", r"\arctan": "arctan", "′": "'", r"\prime": "'", "−": "-",
}  # fmt: skip
_SAME |= dict.fromkeys(DASHES, "-")
_THIN = frozenset({r"\,", r"\!", "\u202f", "\u2009", "\u00a0", "~"})  # between thousands
_SPREAD = {"²": "^{2}", "³": "^{3}", "¹": "^{1}", "⁰": "^{0}", "½": r"\frac{1}{2}",
           "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}",
           "⅕": r"\frac{1}{5}", "⅛": r"\frac{1}{8}", "｛": r"\{", "｝": r"\}"}  # fmt: skip
_SPREAD_TABLE = str.maketrans(_SPREAD)


@dataclass(frozen=True)
class Token:
    """A token, and whether a space stands before it.

    kind: digit, word (letters), text (of \\text{...}), begin, end (of a matrix), thin, sign.
    """

    kind: str
    text: str
    spaced: bool = False


def tokens(text: str) -> list[Token]:
    """The tokens of a formula; white space and sizes of brackets are none."""
    found: list[Token] = []
    spaced = False
    for match in _TOKEN.finditer(text.translate(_SPREAD_TABLE)):
        piece = match[0]
        if piece in _THIN:
            found.append(Token("thin", piece))
            spaced = True
        elif piece.isspace() or piece == "\\ " or piece in _DROPPED:
            spaced = True
        elif (said := _TEXT.fullmatch(piece)) and _NUMERAL.fullmatch(said["content"]):
            found += tokens(said["content"])  # \\textbf{42}
            spaced = False
        else:
            found.append(_token(piece, spaced))
            spaced = False
    return found


def normal(text: str) -> str:
    """The formula as one text: equal for formulas that differ in spaces and sizes only."""
    found = tokens(text.strip().removesuffix("."))
    return " ".join(token.text for token in found if token.kind != "thin")


def _token(piece: str, spaced: bool) -> Token:
    piece = _SAME.get(piece, piece)
    if piece.startswith("\\\\"):
        piece = "\\\\"  # with the distance to the next row: \\[2mm]
    if piece.isdigit() and piece.isascii():
        return Token("digit", piece, spaced)
    if found := _TEXT.fullmatch(piece):
        return _of_text(found["command"], found["content"], spaced)
    if piece.startswith("\\begin"):
        return Token("begin", piece.partition("{")[2].partition("}")[0], spaced)
    if piece.startswith("\\end"):
        return Token("end", piece.partition("{")[2].partition("}")[0], spaced)
    if piece.isalpha():
        return Token("word", piece, spaced)
    return Token("sign", piece, spaced)


def _of_text(command: str, content: str, spaced: bool) -> Token:
    r"""\mathrm{e} is the letter e; \text{ cm} is a text; \mathbf{v} is a letter of its own."""
    content = " ".join(content.replace("~", " ").split())
    if command == "mathbf" and len(content) == 1:
        return Token("sign", rf"\mathbf{{{content}}}", spaced)
    letter = command == "mathrm" and len(content) == 1 and content.isalpha()
    if letter or command.startswith("operatorname"):
        return Token("word", content, spaced)
    return Token("text", content, spaced)
