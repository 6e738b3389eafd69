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
    choosing: tuple[str, ...]  # I CHOOSE B
    right: tuple[str, ...]  # option B is CORRECT
    wrong: tuple[str, ...]  # the answer 3 is WRONG
    conjunction: tuple[str, ...]  # 3 AND 4: several answers
    alternative: tuple[str, ...]  # 3 OR 4: several answers
    denial: tuple[str, ...]  # NOT 5
    bound: tuple[str, ...]  # AT LEAST 5, TWICE 5: no answer
    behind: tuple[str, ...]  # 5 OR MORE, 5 SQUARED: no answer
    operation: tuple[str, ...]  # 5 PLUS 6: nobody worked it out
    negative: tuple[str, ...]  # MINUS 5 is -5
    perhaps: tuple[str, ...]  # 5, MAYBE 6: several answers
    leads: tuple[str, ...]  # she HAS 5: may stand right before an answer, as `states` may
    correcting: tuple[str, ...]  # 5. WAIT, 6: takes back what was said
    supposing: tuple[str, ...]  # IF the answer is 5: nobody says that it is
    reason: tuple[str, ...]  # 5 BECAUSE 2 + 3: what follows explains it
    scale: tuple[str, ...]  # 5 MILLION: a number that is a part of another one
    yes: tuple[str, ...]
    no: tuple[str, ...]
    article: tuple[str, ...]  # may stand before an answer or a marker: THE answer is THE 5
    decimal_comma: bool = False  # 3,5 is 3.5


ENGLISH = Words(
    answer=("answer", "answers", "ans"),
    states=("is", "are", "was", "equals", "will be", "would be", "should be", "must be"),
    option=("option", "choice", "letter"),
    choosing=("choose", "pick", "select", "go with", "chose", "opt for"),
    right=("correct", "right", "true"),
    wrong=("wrong", "incorrect", "false"),
    conjunction=("and", "to", "through"),
    alternative=("or",),
    denial=("not", "never", "cannot", "neither", "nor", "unlikely to", "n't", "n’t",
            "rather than", "instead of", "not necessarily"),
    bound=("less than", "more than", "fewer than", "greater than", "other than", "at least",
           "at most", "greater than or equal to", "less than or equal to", "anything but", "except",
           "twice", "half of", "square root of", "cube root of"),
    behind=("or more", "or less", "or fewer", "or greater", "or higher", "or lower", "or above",
            "or below", "or over", "or under", "or larger", "or smaller", "or so", "and up",
            "and above", "and below", "at most", "at least", "minimum", "maximum", "tops", "ish",
            "squared", "cubed", "factorial", "plus", "times the", "times as", "times that"),
    operation=("plus", "minus", "times", "multiplied by", "divided by", "more than", "less than",
               "fewer than", "percent of"),
    negative=("minus", "negative"),
    perhaps=("maybe", "perhaps", "possibly", "probably", "might be", "could be"),
    leads=("be", "has", "have", "had", "needs", "need", "needed", "gets", "get", "got", "makes",
           "make", "made", "costs", "cost", "pays", "pay", "paid", "spends", "spend", "spent",
           "earns", "earn", "earned", "saves", "save", "saved", "sells", "sell", "sold", "buys",
           "buy", "bought", "takes", "take", "took", "gives", "give", "gave", "uses", "use", "used",
           "eats", "eat", "ate", "receives", "received", "contains", "holds", "weighs", "worth",
           "requires", "scored", "won", "lost", "becomes", "became", "remains", "totals", "read",
           "walked", "ran", "drove", "left with", "up with", "about", "around", "approximately",
           "roughly", "nearly", "almost", "only", "all", "another", "additional", "extra",
           "indeed", "of course", "clearly", "currently", "now", "in total", "number", "in", "for",
           "at", "after", "to be", "total of", "sum of", "value of", "amount of", "profit of",
           "loss of", "price of", "cost of", "length of", "width of", "height of", "weight of",
           "area of", "volume of", "distance of", "speed of", "rate of", "score of", "average of",
           "probability of", "age of", "balance of", "difference of", "increase of",
           "decrease of"),
    correcting=("wait", "i mean", "scratch that", "correction", "oops", "hold on",
                "that is wrong", "that's wrong", "that is incorrect", "that's incorrect",
                "that is not correct", "that is not right", "that's not right", "which is wrong",
                "which is incorrect", "which is not correct", "this is wrong", "this is incorrect"),
    supposing=("not sure", "n't sure", "n’t sure", "unsure", "not certain", "false", "not true",
               "n't true", "n’t true", "untrue", "unlikely", "not the case", "unclear",
               "if", "suppose", "supposing", "assume", "assuming", "imagine", "whether", "unless",
               "wrong", "incorrect", "worst", "least likely", "least plausible",
               "n't think", "n’t think", "not think", "n't believe", "n’t believe", "doubt"),
    reason=("because", "since", "as", "for", "where", "when", "if", "after", "by", "which", "that",
            "so", "given", "assuming", "with", "per", "each", "every"),
    scale=("hundred", "hundreds", "thousand", "thousands", "million", "millions", "billion",
           "billions", "trillion", "trillions", "dozen", "dozens", "halves", "thirds", "fifths",
           "tenth", "tenths", "hundredth", "hundredths", "thousandth", "thousandths", "millionths"),
    yes=("yes", "true"),
    no=("no", "false"),
    article=("the", "a", "an", "my", "our", "your", "this", "that", "so", "final", "correct",
             "simply", "just", "therefore", "thus", "hence", "exactly", "equal to"),
)  # fmt: skip
GERMAN = Words(
    answer=("antwort", "antworten", "endergebnis", "lösung"),
    states=("ist", "sind", "lautet", "lauten", "beträgt", "wäre"),
    option=("option", "antwortmöglichkeit", "auswahl"),
    choosing=("wähle", "nehme"),
    right=("richtig", "korrekt"),
    wrong=("falsch",),
    conjunction=("und", "bis"),
    alternative=("oder",),
    denial=("nicht", "kein", "keine", "keinesfalls", "niemals", "weder"),
    bound=("weniger als", "mehr als", "kleiner als", "größer als", "mindestens", "höchstens",
           "größer oder gleich", "kleiner oder gleich", "hälfte von", "quadratwurzel von",
           "quadratwurzel aus"),
    behind=("oder mehr", "oder weniger", "oder so", "oder darüber", "oder darunter",
            "zum quadrat", "hoch", "fakultät"),
    operation=("plus", "minus", "mal", "geteilt durch"),
    negative=("minus",),
    perhaps=("vielleicht", "möglicherweise", "eventuell"),
    leads=("hat", "haben", "hatte", "braucht", "brauchen", "kostet", "kosten", "bekommt", "zahlt",
           "bezahlt", "verdient", "etwa", "ungefähr", "rund", "circa", "ca", "nur", "insgesamt",
           "gleich", "daher", "demnach", "folglich", "noch", "nach", "in", "nummer"),
    correcting=("moment", "halt", "korrektur", "ich meine", "das ist falsch", "was falsch ist",
                "das stimmt nicht"),
    supposing=("nicht sicher", "unsicher", "falsch", "nicht wahr", "wenn", "falls", "angenommen",
               "ob", "falsche", "bezweifle, dass", "glaube nicht, dass"),
    reason=("weil", "da", "denn", "wenn", "für", "pro", "mit", "nachdem", "wobei", "je"),
    scale=("hundert", "tausend", "million", "millionen", "milliarde", "milliarden"),
    yes=("ja", "wahr"),
    no=("nein", "falsch"),
    article=("die", "der", "das", "ein", "eine", "meine", "unsere", "also", "endgültige",
             "richtige", "korrekte", "genau", "somit"),
    decimal_comma=True,
)  # fmt: skip
FRENCH = Words(
    answer=("réponse", "réponses"),
    states=("est", "sont", "vaut", "serait"),
    option=("option", "choix"),
    choosing=("choisis",),
    right=("correcte", "correct", "juste", "bonne"),
    wrong=("fausse", "faux", "incorrecte"),
    conjunction=("et", "à"),
    alternative=("ou",),
    denial=("pas", "jamais", "ni"),
    bound=("moins de", "plus de", "au moins", "au plus", "inférieur à", "supérieur à",
           "inférieure à", "supérieure à", "supérieur ou égal à", "inférieur ou égal à",
           "moitié de", "double de", "racine carrée de"),
    behind=("ou plus", "ou moins", "au plus", "au moins", "au carré", "au cube"),
    operation=("plus", "moins", "fois", "divisé par", "multiplié par"),
    negative=("moins",),
    perhaps=("peut-être", "éventuellement"),
    leads=("a", "ont", "avait", "coûte", "coûtent", "paie", "gagne", "reçoit", "environ", "égal à",
           "égale à", "dans", "en", "après", "total de", "ainsi", "alors"),
    correcting=("attends", "attendez", "correction", "je veux dire", "c'est faux", "c’est faux",
                "ce qui est faux"),
    supposing=("pas sûr", "pas sûre", "pas certain", "faux", "pas vrai", "si", "supposons",
               "supposant", "mauvaise", "fausse", "doute", "pense pas"),
    reason=("parce que", "car", "puisque", "si", "pour", "par", "avec", "quand", "où"),
    scale=("cent", "mille", "million", "millions", "milliard", "milliards"),
    yes=("oui", "vrai"),
    no=("non", "faux"),
    article=("la", "le", "les", "un", "une", "ma", "notre", "donc", "finale", "bonne",
             "correcte", "exactement"),
    decimal_comma=True,
)  # fmt: skip
SPANISH = Words(
    answer=("respuesta", "respuestas"),
    states=("es", "son", "sería"),
    option=("opción", "elección"),
    choosing=("elijo", "escojo"),
    right=("correcta", "correcto"),
    wrong=("incorrecta", "falsa", "falso"),
    conjunction=("y", "a"),
    alternative=("o", "u"),
    denial=("no", "nunca", "tampoco", "ni"),
    bound=("menos de", "más de", "al menos", "a lo sumo", "como máximo", "como mínimo",
           "menor que", "mayor que", "mayor o igual a", "menor o igual a", "mayor o igual que",
           "menor o igual que", "mitad de", "doble de", "raíz cuadrada de"),
    behind=("o más", "o menos", "como máximo", "como mínimo", "al menos", "al cuadrado", "al cubo"),
    operation=("más", "menos", "por", "dividido por", "dividido entre", "multiplicado por"),
    negative=("menos",),
    perhaps=("quizás", "quizá", "tal vez", "posiblemente"),
    leads=("tiene", "tienen", "tenía", "cuesta", "cuestan", "paga", "gana", "recibe", "necesita",
           "aproximadamente", "unos", "unas", "solo", "sólo", "igual a", "total de", "en",
           "después de", "entonces", "hay", "quedan"),
    correcting=("espera", "espere", "corrección", "quiero decir", "eso es falso",
                "eso es incorrecto", "lo cual es falso"),
    supposing=("no estoy seguro", "no estoy segura", "falso", "no es cierto", "no es verdad",
               "si", "supongamos", "suponiendo", "dudo", "no creo"),
    reason=("porque", "ya que", "pues", "si", "para", "por", "con", "cuando", "donde", "cada"),
    scale=("cien", "mil", "millón", "millones"),
    yes=("sí", "verdadero"),
    no=("no", "falso"),
    article=("la", "el", "los", "las", "un", "una", "mi", "nuestra", "por lo tanto", "final",
             "correcta", "exactamente"),
    decimal_comma=True,
)  # fmt: skip
CHINESE = Words(
    answer=("答案", "正确答案", "最终答案"),
    states=("是", "为", "等于", "应为", "应该是"),
    option=("选项", "故选", "应选", "选择", "选"),
    choosing=(),
    right=("正确", "对的"),
    wrong=("错误", "不对", "不正确"),
    conjunction=("和", "与", "及", "、", "到", "至"),
    alternative=("或者", "或"),
    denial=("不是", "并非", "不为", "不等于", "不会是", "不", "非"),
    bound=("至少", "至多", "最多", "最少", "小于", "大于", "少于", "多于", "不超过", "超过",
           "根号"),
    behind=("以上", "以下", "的", "次方"),
    operation=("加", "减", "乘以", "乘", "除以"),
    negative=("负",),
    perhaps=("可能", "也许", "或许"),
    leads=("有", "约", "大约", "共", "一共", "需要", "得", "得到", "剩", "剩下", "还剩", "要",
           "了", "花", "卖", "买", "第", "只", "就", "恰好", "正好", "总共"),
    correcting=("等等", "更正", "我是说", "这是错的", "这不对"),
    supposing=("不确定", "不一定", "如果", "假设", "假如", "若", "错误", "错误的"),
    reason=("因为", "由于", "因此", "如果", "当", "每"),
    scale=("百", "千", "万", "亿"),
    yes=("是的", "是", "正确", "对"),
    no=("不是", "否", "错误", "不对", "不正确", "不"),
    article=("因此", "所以", "最终", "正确的", "该", "故", "这个", "题的"),
)  # fmt: skip

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


@cache
def comma_noun() -> str:
    """A regular expression for a word that introduces one answer, of a language with a decimal
    comma and of no other: behind a plural, 3,5 may be two answers.
    """
    nouns = {
        comma: {word for own in LANGUAGES.values() if own.decimal_comma is comma
                for word in own.answer}
        for comma in (True, False)
    }  # fmt: skip
    single = {word for word in nouns[True] if not word.startswith(tuple(nouns[True] - {word}))}
    return either(frozenset(single - nouns[False]))


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


# Those that limit a number behind its unit as well: 5 cm OR MORE, and not 5 cm squared.
BEHIND_UNITS = frozenset(word for word in words("behind") if " " in word)
