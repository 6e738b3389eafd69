"""The words of answers in each language: to add a language, add a Words to LANGUAGES.

Words stand in lower case and are matched whole, except in Chinese, which has no spaces between
words. A phrase may have spaces. The lists are our choice.
"""

import re
from dataclasses import dataclass, fields
from functools import cache


@dataclass(frozen=True)
class Words:
    """What one language says around an answer."""

    answer: tuple[str, ...]  # what introduces an answer, before `states` or a colon
    states: tuple[str, ...]  # the answer IS 5
    option: tuple[str, ...]  # the OPTION is B
    right: tuple[str, ...]  # option B is CORRECT
    wrong: tuple[str, ...]  # the answer 3 is WRONG
    conjunction: tuple[str, ...]  # 3 AND 4: several answers
    alternative: tuple[str, ...]  # 3 OR 4: several answers
    denial: tuple[str, ...]  # NOT 5
    bound: tuple[str, ...]  # AT LEAST 5: no answer
    scale: tuple[str, ...]  # 5 MILLION: a number that is a part of another one
    yes: tuple[str, ...]
    no: tuple[str, ...]
    article: tuple[str, ...]  # may stand before an answer or a marker: THE answer is THE 5


ENGLISH = Words(
    answer=("answer", "answers", "ans"),
    states=("is", "are", "was", "equals", "will be", "would be", "should be", "must be"),
    option=("option", "choice"),
    right=("correct", "right", "true"),
    wrong=("wrong", "incorrect", "false"),
    conjunction=("and", "to", "through"),
    alternative=("or",),
    denial=("not", "never", "cannot", "neither", "nor", "unlikely to", "n't", "n’t"),
    bound=("less than", "more than", "fewer than", "greater than", "other than", "at least",
           "at most"),
    scale=("hundred", "hundreds", "thousand", "thousands", "million", "millions", "billion",
           "billions", "trillion", "trillions", "dozen"),
    yes=("yes", "true"),
    no=("no", "false"),
    article=("the", "a", "an", "my", "our", "your", "this", "that", "so", "final", "correct",
             "simply", "just", "therefore", "thus", "hence", "exactly", "equal to"),
)  # fmt: skip
GERMAN = Words(
    answer=("antwort", "antworten", "endergebnis", "lösung"),
    states=("ist", "sind", "lautet", "lauten", "beträgt", "wäre"),
    option=("option", "antwortmöglichkeit", "auswahl"),
    right=("richtig", "korrekt"),
    wrong=("falsch",),
    conjunction=("und", "bis"),
    alternative=("oder",),
    denial=("nicht", "kein", "keine", "keinesfalls", "niemals", "weder"),
    bound=("weniger als", "mehr als", "kleiner als", "größer als", "mindestens", "höchstens"),
    scale=("hundert", "tausend", "million", "millionen", "milliarde", "milliarden"),
    yes=("ja", "wahr"),
    no=("nein", "falsch"),
    article=("die", "der", "das", "ein", "eine", "meine", "unsere", "also", "endgültige",
             "richtige", "korrekte", "genau", "somit"),
)  # fmt: skip
FRENCH = Words(
    answer=("réponse", "réponses"),
    states=("est", "sont", "vaut", "serait"),
    option=("option", "choix"),
    right=("correcte", "correct", "juste", "bonne"),
    wrong=("fausse", "faux", "incorrecte"),
    conjunction=("et", "à"),
    alternative=("ou",),
    denial=("pas", "jamais", "ni"),
    bound=("moins de", "plus de", "au moins", "au plus", "inférieur à", "supérieur à"),
    scale=("cent", "mille", "million", "millions", "milliard", "milliards"),
    yes=("oui", "vrai"),
    no=("non", "faux"),
    article=("la", "le", "les", "un", "une", "ma", "notre", "donc", "finale", "bonne",
             "correcte", "exactement"),
)  # fmt: skip
SPANISH = Words(
    answer=("respuesta", "respuestas"),
    states=("es", "son", "sería"),
    option=("opción", "elección"),
    right=("correcta", "correcto"),
    wrong=("incorrecta", "falsa", "falso"),
    conjunction=("y", "a"),
    alternative=("o", "u"),
    denial=("no", "nunca", "tampoco", "ni"),
    bound=("menos de", "más de", "al menos", "a lo sumo", "como máximo", "como mínimo",
           "menor que", "mayor que"),
    scale=("cien", "mil", "millón", "millones"),
    yes=("sí", "verdadero"),
    no=("no", "falso"),
    article=("la", "el", "los", "las", "un", "una", "mi", "nuestra", "por lo tanto", "final",
             "correcta", "exactamente"),
)  # fmt: skip
CHINESE = Words(
    answer=("答案", "正确答案", "最终答案"),
    states=("是", "为", "等于", "应为", "应该是"),
    option=("选项", "故选", "应选", "选择", "选"),
    right=("正确", "对的"),
    wrong=("错误", "不对", "不正确"),
    conjunction=("和", "与", "及", "、"),
    alternative=("或者", "或"),
    denial=("不是", "并非", "不为", "不等于", "不会是", "不", "非"),
    bound=("至少", "至多", "最多", "最少", "小于", "大于", "少于", "多于", "不超过", "超过"),
    scale=("百", "千", "万", "亿"),
    yes=("是的", "是", "正确", "对"),
    no=("不是", "否", "错误", "不对", "不正确", "不"),
    article=("因此", "所以", "最终", "正确的", "该", "故", "这个", "题的"),
)

LANGUAGES = {"en": ENGLISH, "de": GERMAN, "fr": FRENCH, "es": SPANISH, "zh": CHINESE}


@cache
def words(*kinds: str) -> frozenset[str]:
    """All languages' words of these kinds, in lower case."""
    names = {field.name for field in fields(Words)}
    assert names.issuperset(kinds), kinds
    return frozenset(
        word
        for language in LANGUAGES.values()
        for kind in kinds
        for word in getattr(language, kind)
    )


def pattern(*kinds: str) -> str:
    """A regular expression that matches one of these kinds' words, whole, the longest first.

    Chinese words need no borders. A space in a phrase matches any white space; the word after
    "n't" has none before it.
    """
    return either(words(*kinds))


def either(found: frozenset[str]) -> str:
    """A regular expression that matches one of these words, as `pattern` does."""
    ordered = sorted(found, key=lambda word: (-len(word), word))
    first = "".join(sorted({letter for word in found for letter in word[0] + word[0].upper()}))
    # Most places of a text fail at the first letter: without it every word is tried there.
    return f"(?:(?=[{re.escape(first)}])(?:{'|'.join(_whole(word) for word in ordered)}))"


def _whole(word: str) -> str:
    spaced = r"\s++".join(re.escape(part) for part in word.split(" "))
    if not word.isascii() and all(ord(letter) >= 0x2E80 for letter in word):
        return spaced
    return (r"\b" if word.split("'")[0].split("’")[0] != "n" else "") + spaced + r"(?!\w)"
