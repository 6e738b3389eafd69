r"""Where a response states its final answer: \boxed{x}, '#### x', <answer>x</answer>, 'Answer: x'.

A reader turns what follows a marker into the tuple of distinct answers that it names: none, one, or
several (ambiguous). REFUSED is what it reads where the text denies an answer ('definitely not A',
'less than 5') or names one that does not stand for itself ('5 million'): no answer, and none is
looked for elsewhere. The words of markers are those of language.py.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

from pipeline.verify.language import comma_noun, either, pattern, words
from pipeline.verify.passages import Passage, passage

Reader = Callable[[Passage], tuple[str, ...]]
REFUSED = ""
_FARTHEST = 100  # characters between 'answer' and 'is'

_HASHES = re.compile(r"####[^\S\n]*([^\n]*)")
_TAG = re.compile(r"<(/?)answer>", re.IGNORECASE)
_AND = words("conjunction") - {"to", "through", "bis", "à", "a", "到", "至"}
_BOXED = re.compile(r"\\(?:boxed|fbox)\s{0,3}\{")
_JOINED = re.compile(  # between two boxes
    rf"(?=.*\w|.*,)(?:[\s$.,&]|\\[()\[\]]|\\(?:quad|qquad)|\\text\s*\{{|\}}|{either(_AND)})*+",
    re.IGNORECASE,
)
_SEEKING = re.compile(  # 'to find the final answer: ...' announces work, not an answer
    r"\b(?:find|get|calculat|comput|determin|check|obtain|reach|solv|work)\w*"
    r"(?:\s+(?:out|for|the|an|our|your|this|final|correct))*\s+$"
    r"|\b(?:each|every|all|both|which|any|other)\s+(?:of\s+the\s+)?(?:answer\s+)?$",
    re.IGNORECASE,
)
_BEGUN = re.compile(r"[\s:：*]*+")
_NOT = (  # directly before a value: 'the number of eggs not sold is 7' denies nothing
    rf"{pattern('denial')}(?:\s*+(?:be|equal\s++to|exactly|just|about|{pattern('states')})(?!\w))*+"
)
_AROUND = " \t\n\"'“”‘’«»„*`$€£¥₹₩₽~\\-+_#"  # between a word and what it leads to
_BESIDE = " \"'“”‘’«»„*([{<>`$€£¥₹~\\-+"  # between a denial and its value
_FILLERS = tuple(
    f" {word}"
    for word in (*words("states", "perhaps"), "be", "equal to", "exactly", "about", "just")
)
_DENIALS = tuple(sorted(words("denial", "bound"), key=len, reverse=True))
_SUPPOSED = re.compile(  # 'I doubt that the', before 'answer is 5'
    rf"{pattern('supposing')}\s*(?:(?:that|dass|que)\s+)?(?:{pattern('article')}\s*)*$",
    re.IGNORECASE,
)
_SUPPOSED_VALUE = re.compile(  # what says so, up to the end of its sentence
    rf"[^\n:=.,;]{{0,60}}?(?:{pattern('states')}|\s)[^\w.,:;!?=]*+(?:[0-9]|(?-i:[A-J])\b)"
    r"(?:[^\n.;!?。]|\.(?=\d))*+",
    re.IGNORECASE,
)
_LEADS = tuple(  # before any answer, and before an amount
    tuple(words("article", "states", "perhaps", *more)) for more in ((), ("leads",))
)
_NAME = re.compile(r"\w\s+[A-Z][a-z]+$")
_CORRECTING = words("correcting")
_TAKEN_BACK = re.compile(  # 'The answer is 5. No wait, it is 6', 'the answer is 5, which is wrong'
    rf"[^\w\s]\s*(?:(?:oh|no|but|hmm*|ah|sorry)\b\W{{0,3}})?{pattern('correcting')}", re.IGNORECASE
)
_ASKED = re.compile(r"[^\w\n]{0,6}(?:[0-9][0-9.,]*+|(?-i:[A-J])\b|\W)[\w\s$*)]{0,12}[?？]")
_MOST = 200  # markers of one kind; of more, the last ones count
_DENIED_VALUE = re.compile(  # with its value: 'the answer cannot be negative' denies nothing
    rf"(?:[\s*]*+[:：][\s*]*+|[^\n:=.,;]{{0,60}}?)(?:{_NOT}(?:\s+[a-z]+){{0,3}}?|{pattern('bound')}"
    rf"(?:\s*{pattern('states')})?)"
    r"[^\w.,:;!?=]*+(?:[0-9]|(?-i:[A-J])\b)\S*+",
    re.IGNORECASE,
)
_NO_ANSWER = re.compile(  # behind 'the answer is'
    rf"(?:{either((words('denial') | words('wrong')) - words('yes', 'no'))}"
    rf"|{either(words('right') - words('yes'))}\W*(?:$|\n|and\b|because\b|[.!?]))",
    re.IGNORECASE,
)
_LETTER = re.compile(r"(?<![\w'’])[A-J](?![\w'’])")
_UNDER = re.compile(r"[ \t*:：]*+\n\s*+(?=\S)")
_DECIMAL = re.compile(  # 3,5 and 1.234,5 where no other value is beside it
    r"(?P<before>[^\w,.()\[\]{}]*+)(?:(?P<whole>[0-9]++),(?P<part>[0-9]{1,2}+|[0-9]{4,}+)"
    r"|(?P<grouped>[0-9]{1,3}(?:\.[0-9]{3})++),(?P<behind>[0-9]++))(?![0-9/]|[.,;:][0-9])",
    re.ASCII,
)
_COMMA_NOUN = re.compile(comma_noun(), re.IGNORECASE)
_NAMES = either(frozenset(word for word in words("article", "answer") if word != "a"))
_ONLY_NAMES = re.compile(rf"(?:\s|[*#]|{_NAMES})*+", re.IGNORECASE)  # A may be the answer


@dataclass(frozen=True)
class Style:
    """How a kind of answer is looked for.

    nouns: kinds of words that introduce it; formulas: whether formulas are set aside first;
    any_text: whether 'wrong' and 'not Paris' are answers like other texts;
    commas: whether 3,5 is 3.5 behind a marker of a language that writes it so;
    longest: characters of a response, from its end, in which an answer that nothing delimits is
    looked for, and no more are read of a delimited one.
    """

    nouns: tuple[str, ...] = ("answer",)
    formulas: bool = True
    any_text: bool = False
    commas: bool = False
    longest: int = 16_000

    def cut(self, text: str) -> str:
        """The end of a long response, from the start of a line on."""
        if len(text) <= self.longest:
            return text
        end = text[-self.longest :]
        return end.partition("\n")[2] or end

    def passage(self, text: str, whole: bool = False) -> Passage:
        """The text as this kind of answer is read from it."""
        if len(text) > self.longest:
            if whole:
                return Passage("", (), whole)
            text = self.cut(text)
        return passage(text, whole) if self.formulas else Passage(text, (), whole)


PLAIN = Style()


def markers(text: str, style: Style = PLAIN) -> Iterator[list[Passage]]:
    """What follows explicit markers, strongest kind first; each list is in reading order."""
    if "\\" in text and (boxed := _boxed(text)):
        yield [style.passage(content, whole=True) for content in boxed[-_MOST:]]
    if "####" in text:
        yield [style.passage(line, whole=True) for line in _HASHES.findall(text)[-_MOST:]]
    if "<" in text and (tagged := _tagged(text)):
        yield [style.passage(content, whole=True) for content in tagged[-_MOST:]]
    if tails := _phrases(style.passage(text), style):
        yield tails


def stated(text: str, read: Reader, style: Style = PLAIN) -> tuple[str, ...]:
    """Distinct answers under the strongest explicit marker that has any; or REFUSED alone."""
    for tails in markers(text, style):
        known = (_read(tail, read, style) for tail in tails[-_MOST:])
        if answers := distinct(chain.from_iterable(known)):
            return tuple(answer for answer in answers if answer != REFUSED) or answers
    return ()


def _read(tail: Passage, read: Reader, style: Style) -> tuple[str, ...]:
    """What a marker's tail names; REFUSED where it takes that back."""
    answers = read(tail)
    if not answers or tail.whole or style.any_text:
        return answers
    lower = tail.text.lower()
    taken_back = any(word in lower for word in _CORRECTING) and _TAKEN_BACK.search(tail.text)
    return (REFUSED,) if taken_back else answers


def states(text: str, read: Reader, style: Style = PLAIN) -> bool:
    """True where an explicit marker names an answer."""
    return any(stated(text, read, style))


def final(text: str, read: Reader, fallback: Reader, style: Style = PLAIN) -> str | None:
    """The final answer of a response: an explicit one, else the fallback's; None if ambiguous.

    The fallback sees only what follows the last value that the text says is not the answer.
    """
    answers = stated(text, read, style)
    if not answers:
        answers = fallback(style.passage(_after_denied(style.cut(text), style)))
    return answers[0] or None if len(answers) == 1 else None


def denied(text: str, start: int) -> bool:
    """True where what begins at `start` is denied by the words right before it."""
    before = " " + " ".join(text[max(0, start - 60) : start].lower().split())
    before = before.rstrip(_BESIDE)
    while not _ends_with_denial(before) and before.endswith(_FILLERS):
        before = before[: before.rindex(" ")].removesuffix(" equal").rstrip(_BESIDE)
    return _ends_with_denial(before)


def introduced(text: str, start: int, *, amount: bool = False) -> bool:
    """True where an answer may begin at `start` of what follows a marker, by the word before it.

    'she has 5' names 5, and 'under 5', 'double 5', 'the cube of 5' and 'vitamin B' name other
    things: which words may stand there is listed, since those that may not have no end.
    """
    before = text[max(0, start - 40) : start]
    bare = before.rstrip(_AROUND)
    if not bare or not bare[-1].isalnum() or "\n" in before[len(bare) :]:
        return True
    if bare[-1].isdigit() or bare[-1] in "²³":
        return not amount  # 2/5 D
    last = f" {' '.join(bare.lower().split())}"
    leads = _LEADS[amount]
    if last.endswith(leads) and any(map(partial(_ends_with, last), leads)):
        return True
    return amount and bool(_NAME.search(bare))  # 'Jane started Sphere 3 hours ago'


def supposed(text: str, start: int) -> bool:
    """True where the words right before say that nobody states it: 'if', 'I doubt that'."""
    return bool(_SUPPOSED.search(text[max(0, start - 60) : start]))


def _ends_with_denial(text: str) -> bool:
    return text.endswith(_DENIALS) and any(map(partial(_ends_with, text), _DENIALS))


def _ends_with(text: str, word: str) -> bool:
    """True where a text ends with a whole word; n't and Chinese words are parts of longer ones."""
    if not text.endswith(word):
        return False
    a_part = word.startswith(("n'", "n’")) or ord(word[0]) >= 0x2E80
    return a_part or not text[: -len(word)][-1:].isalpha()


def distinct(answers: Iterable[str]) -> tuple[str, ...]:
    """The answers without repetition, in order."""
    return tuple(dict.fromkeys(answers))


def _phrases(read: Passage, style: Style) -> list[Passage]:
    """What follows 'the answer is', 'Antwort:' and their like, up to the next of them."""
    text = read.text
    found = list(_introduced(text, style))
    if not found:
        return []
    ends = [start for start, _ in found[1:]] + [len(text)]
    tails = [(end, max(end, stop)) for (_, end), stop in zip(found, ends, strict=True)]
    last = len(tails) - 1
    return [
        _decimal(read.part(start, end).unfenced(), text[noun:start], style)
        for number, ((noun, _), (start, end)) in enumerate(zip(found, tails, strict=True))
        # a marker that introduces another one: 'Final answer: the answer is 5'
        if number == last or not _ONLY_NAMES.fullmatch(text, start, end)
    ]


def _decimal(tail: Passage, marker: str, style: Style) -> Passage:
    """What follows a marker, with the number that it begins with in digits and a point.

    Three digits behind one comma may be thousands: they stay as they are.
    """
    if not style.commas or not _COMMA_NOUN.match(marker):
        return tail
    found = _DECIMAL.match(tail.text)
    if found is None:
        return tail
    whole, part = (
        found["whole"] or found["grouped"].replace(".", ""),
        found["part"] or found["behind"],
    )
    number = f"{whole}.{part}"
    return replace(tail, text=f"{found['before']}{number}{tail.text[found.end() :]}")


def _introduced(text: str, style: Style) -> Iterator[tuple[int, int]]:
    """Start of the noun, and where what it introduces begins."""
    nouns = _nouns(text, style.nouns)
    for number, noun in enumerate(nouns, start=1):
        end = nouns[number].start() if number < len(nouns) else len(text)
        if heading := _is_heading(text, noun):
            yield noun.start(), heading
            continue
        for found in _SIGNAL.finditer(text, noun.end(), min(end, noun.end() + _FARTHEST)):
            begun = _BEGUN.match(text, found.end())
            assert begun
            if found["stop"] or (found["states"] and denied(text, found.start())):
                break  # the second: 答案不是5
            if "option" in style.nouns and _LETTER.search(text, noun.end(), found.start()):
                break  # 'option B: six' says what B is
            if not style.any_text and _NO_ANSWER.match(text, begun.end()):
                continue
            if _is_claimed(text, noun.start(), begun.end(), style):
                yield noun.start(), begun.end()
            break


def _is_claimed(text: str, noun: int, begun: int, style: Style) -> bool:
    """False for 'to find the answer: 5', 'if the answer is 5' and 'the answer is 5? No'."""
    if _SEEKING.search(text[max(0, noun - 40) : noun]) or supposed(text, noun):
        return False
    return style.any_text or not _ASKED.match(text, begun)


def _is_heading(text: str, noun: re.Match[str]) -> int:
    """Where what stands under a heading '# Answer' begins; 0 where the noun is no heading."""
    line = text.rfind("\n", 0, noun.start()) + 1
    under = _UNDER.match(text, noun.end())
    return under.end() if under and _ONLY_NAMES.fullmatch(text, line, noun.start()) else 0


def _after_denied(text: str, style: Style) -> str:
    """What follows the last value that is denied or only supposed; all of it if none is."""
    for noun in reversed(_nouns(text, style.nouns)[-_MOST:]):
        if denial := _DENIED_VALUE.match(text, noun.end(), noun.end() + 2 * _FARTHEST):
            return text[denial.end() :]
        value = _SUPPOSED_VALUE.match(text, noun.end(), noun.end() + 2 * _FARTHEST)
        if value and (supposed(text, noun.start()) or text[value.end() :][:1] in ("?", "？")):
            return text[value.end() + 1 :]
    return text


def _nouns(text: str, kinds: tuple[str, ...]) -> list[re.Match[str]]:
    """Where the words stand that introduce answers; the last ones of very many."""
    lower = text.lower()
    if not any(word in lower for word in words(*kinds)):
        return []
    return list(_NOUNS[kinds].finditer(text))[-5 * _MOST :]


_SIGNAL = re.compile(
    rf"(?P<states>{pattern('states')})|[:=：]|(?P<stop>[\n,;。，；]|\.(?!\d))", re.IGNORECASE
)
_NOUNS: dict[tuple[str, ...], re.Pattern[str]] = {
    kinds: re.compile(pattern(*kinds), re.IGNORECASE)
    for kinds in (("answer",), ("answer", "option"))
}


def _tagged(text: str) -> list[str]:
    """Contents of every <answer>...</answer>; of what is not closed, none."""
    contents, start = [], None
    for tag in _TAG.finditer(text):
        if not tag[1]:
            start = tag.end() if start is None else start
        elif start is not None:
            contents.append(text[start : tag.start()])
            start = None
    return contents


def _boxed(text: str) -> list[str]:
    r"""Contents of every \boxed{...} whose braces close; of a nested box, the outer one.

    Boxes between which only 'and' or a comma stands are one answer with several parts.
    """
    contents: list[str] = []
    position = 0
    while match := _BOXED.search(text, position):
        end = _closing(text, match.end())
        if end is None:
            break
        content = text[match.end() : end]
        if contents and _JOINED.fullmatch(text, position, match.start()):
            contents[-1] += f", {content}"
        else:
            contents.append(content)
        position = end + 1
    return contents


def _closing(text: str, start: int) -> int | None:
    depth, escaped = 1, False
    for index in range(start, len(text)):
        if escaped:
            escaped = False
        elif text[index] == "\\":
            escaped = True
        elif text[index] == "{":
            depth += 1
        elif text[index] == "}":
            depth -= 1
            if depth == 0:
                return index
    return None
