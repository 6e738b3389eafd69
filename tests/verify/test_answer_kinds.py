r"""The kinds of fault that verifiers had, each with neighbours that are generated.

A right answer is right in every wrapping that people use; what is a part of something else, is
denied, or is one of several is no answer; and nothing is equal that only a lenient library takes
for equal. Expected verdicts follow from how each text is made, not from the code.
"""

import time
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.verify import Verdict, canonical, language, verify

WHOLE = (r"So \boxed{%s}.", "<answer>%s</answer>", "work\n#### %s", r"\fbox{%s}")
DOLLARS = ("The answer is $%s$.", "Answer: $$%s$$", r"The final answer is \(%s\).",
           "Final Answer: The final answer is $%s$. I hope it is correct.",
           r"Die Antwort lautet $%s$.", "答案是$%s$。", "# Answer\n\n$%s$")  # fmt: skip
PROSE = ("The answer is %s.", "Answer: %s", "**Final answer:** %s", "Die Antwort ist %s.",
         "La réponse est %s.", "La respuesta es %s.", "答案是%s。", "## Final Answer\n\n%s",
         "Therefore, the answer is **%s**.", "Final Answer: The final answer is %s.")  # fmt: skip
naturals = st.integers(2, 10**6)
FEW = settings(max_examples=40)
delimited = st.sampled_from(WHOLE + DOLLARS)
anywhere = st.sampled_from(WHOLE + DOLLARS + PROSE)


def right(text: str, reference: str, verifier: str) -> bool:
    return verify(text, canonical(reference, verifier), verifier).correct is True


@FEW
@given(anywhere, st.integers(-(10**7), 10**7), st.sampled_from(["number", "math"]))
def test_a_number_is_right_in_every_wrapping_and_the_next_one_wrong(
    way: str, n: int, verifier: str
) -> None:
    for said in {str(n), f"{n:,}", f"{n}.0"}:
        assert right(way % said, str(n), verifier), way % said
        assert not right(way % said, str(n + 1), verifier), way % said


FORMS = {  # of n, as people and typesetters write it
    "thin space": lambda n: rf"{n}\,345", "narrow space": lambda n: f"{n}\u202f345",
    "braced comma": lambda n: f"{n}{{,}}345", "negative space": lambda n: rf"{n},\!345",
}  # fmt: skip


@FEW
@given(delimited, st.integers(1, 999), st.sampled_from(sorted(FORMS)))
def test_thousands_are_read_however_they_are_set(way: str, n: int, form: str) -> None:
    said = FORMS[form](n)
    for verifier in ("number", "math"):
        assert right(way % said, f"{n}345", verifier), way % said
        assert not right(way % said, f"{n}", verifier)


@FEW
@given(anywhere, naturals, st.sampled_from("\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d"))
def test_every_dash_before_a_number_is_a_minus(way: str, n: int, dash: str) -> None:
    for verifier in ("number", "math"):
        assert right(way % f"{dash}{n}", str(-n), verifier)
        assert not right(way % f"{dash}{n}", str(n), verifier)


@FEW
@given(delimited, st.integers(1, 9), st.integers(1, 9), st.sampled_from(["frac", "tfrac", "dfrac"]))
def test_fractions_of_single_digits_need_no_braces(way: str, a: int, b: int, command: str) -> None:
    for verifier in ("number", "math"):
        assert right(way % rf"\{command}{a}{b}", str(Fraction(a, b)), verifier)
        assert right(way % rf"\{command}{{{a}}}{b}", str(Fraction(a, b)), verifier)


@FEW
@given(delimited, st.integers(-30, 30), st.integers(1, 99))
def test_powers_of_ten_keep_their_size(way: str, power: int, n: int) -> None:
    value = n * Fraction(10) ** power
    for said in (rf"{n} \times 10^{{{power}}}", f"{n}e{power}", f"{n} × 10^{{{power}}}"):
        for verifier in ("number", "math"):
            assert right(way % said, f"{value.numerator}/{value.denominator}", verifier), said
    assert not right(way % rf"{n} \times 10^{{{power}}}", rf"{n} \times 10^{{{power - 1}}}", "math")


PARTS = (  # of which n is a part, and so no answer
    "{n}^2", "2^{{-{n}}}", "{n}^{{-1}}", r"\pm {n}", r"\neq {n}", r"\ge {n}", "> {n}", "[{n}, {m}]",
    "({n}, {m}]", "{n}_7", "x_{n}", "1_000_{n}", r"{n}\pi", r"\sqrt{{{n}}}", "{n}!", "|{n}|",
    "{n}:{m}",
    "f({n})", "{n}x", r"\{{{n}, {m}\}}", "{n} + {m}", "{n} \\cdot {m}", r"\frac{{{n}}}{{x}}",
    "{n}, {m}",
    r"{n} \text{{ or }} {m}", r"{n} \text{{ million}}", r"\text{{at least }} {n}", r"\log {n}",
)  # fmt: skip


@FEW
@given(st.sampled_from(WHOLE + DOLLARS[:3]), naturals, naturals, st.sampled_from(PARTS))
def test_a_number_that_is_a_part_of_something_else_is_no_answer(
    way: str, n: int, m: int, part: str
) -> None:
    text = way % part.format(n=n, m=m)
    assert verify(text, str(n), "number").answer is None, text
    if part not in ("|{n}|", "{n}!"):  # which are numbers of their own for `math`
        assert not right(text, str(n), "math"), text
        assert not right(text, str(m), "math"), text


LOOSE = ("{n}^2", "±{n}", "≠ {n}", "> {n}", ">= {n}", "[{n}, {m}]", "({n}, {m})", "x_{n}", "1_{n}",
         "{n}x",
         "√{n}", "{n}:{m}", "f({n})", "{n} + {m}", "{n} or {m}", "{n} and {m}", "{n} to {m}",
         "{n} million", "at least {n}", "not {n}", "between {n} and {m}", "{n}-{m}",
         "{n}k")  # fmt: skip


@FEW
@given(st.sampled_from(PROSE[:3]), naturals, naturals, st.sampled_from(LOOSE))
def test_the_same_in_prose(way: str, n: int, m: int, part: str) -> None:
    assume(n != m)
    text = way % part.format(n=n, m=m)
    assert verify(text, str(n), "number").answer is None, text
    for value in (n, m):
        assert not right(text, str(value), "math"), text


LANGUAGE_WAYS = {"en": "The answer is %s.", "de": "Die Antwort ist %s.", "fr": "La réponse est %s.",
                 "es": "La respuesta es %s.", "zh": "答案是%s。"}  # fmt: skip


@pytest.mark.parametrize("name", LANGUAGE_WAYS)
def test_each_languages_hedges_bounds_and_scales_are_no_answer(name: str) -> None:
    words, way = language.LANGUAGES[name], LANGUAGE_WAYS[name]
    gap = "" if name == "zh" else " "
    assert right(way % "5", "5", "number") and right(way % "$x+1$", "1+x", "math")
    for word in words.alternative + words.conjunction:
        assert verify(way % f"5{gap}{word}{gap}6", "5", "number").answer is None, word
        assert verify(way % f"B{gap}{word}{gap}C", "B", "choice").answer is None, word
    for word in words.bound:
        assert verify(way % f"{word}{gap}5", "5", "number").answer is None, word
        assert not right(way % f"{word}{gap}$x+1$", "x+1", "math"), word
    for word in words.scale + words.behind:
        assert verify(way % f"5{gap}{word}", "5", "number").answer is None, word
        assert not right(way % f"5{gap}{word}", "5", "math"), word
    for word in words.operation:
        assert verify(way % f"5{gap}{word}{gap}6", "5", "number").answer is None, word
        assert not right(way % f"5{gap}{word}{gap}6", "5", "math"), word
    for word in words.perhaps:
        assert verify(way % f"5, {word}{gap}6", "5", "number").answer is None, word
        other = words.alternative[0]
        assert not right(way % f"5{gap}{other}{gap}{word}{gap}6", "5", "math"), word
    for word in words.negative:
        assert right(way % f"{word}{gap}5", "-5", "number"), word
        assert right(f"= 3. {word}{gap}5", "-5", "number"), word
        assert not right(way % f"{word}{gap}5", "5", "math"), word
    for said, words_of in (("yes", words.yes), ("no", words.no)):
        for word in words_of:
            assert right(way % word, said, "yesno"), word
            assert not right(way % word, {"yes": "no", "no": "yes"}[said], "yesno"), word


@pytest.mark.parametrize(
    ("verifier", "text", "reference"),
    [
        ("number", "La réponse n'est pas 5.", "5"),
        ("number", "La respuesta no es 5.", "5"),
        ("number", "Die Antwort ist nicht 5.", "5"),
        ("number", "答案不是5。", "5"),
        ("choice", "答案不是B。", "B"),
        ("choice", "Die Antwort ist nicht B.", "B"),
    ],
)
def test_what_is_denied_in_any_language_is_no_answer(
    verifier: str, text: str, reference: str
) -> None:
    assert verify(text, reference, verifier) == Verdict(None, False)


NOBODY_SAYS = (  # that the answer is n
    "Suppose the answer is {n}.", "If the answer is {n}, we are done.", "The wrong answer is {n}.",
    "I doubt that the answer is {n}.", "I don't think that the answer is {n}.",
    "The answer is {n}? No.", "Wenn die Antwort {n} ist", "如果答案是{n}", "答案至少是{n}",
    "Supongamos que la respuesta es {n}.", "Supposons que la réponse est {n}.",
    "The answer is greater than or equal to {n}.", "The answer is anything but {n}.",
    "It is {m} rather than {n}.",
)  # fmt: skip


@FEW
@given(naturals, naturals, st.sampled_from(NOBODY_SAYS))
def test_what_is_only_supposed_asked_or_bounded_is_no_answer(n: int, m: int, said: str) -> None:
    assume(n != m)
    text = said.format(n=n, m=m)
    for verifier in ("number", "math"):
        assert not right(text, str(n), verifier), text
        # ... and does not stand beside the answer that is said
        assert right(f"{text}\nThe answer is {m}.", str(m), verifier), text


@FEW
@given(naturals, naturals)
def test_a_value_behind_a_semicolon_is_another_answer(a: int, b: int) -> None:
    assume(a != b)
    for verifier in ("number", "math"):
        assert not right(f"The answer is {a}; {b}.", str(a), verifier)
        assert right(f"The answer is {a}; {b} was a slip.", str(a), verifier)


@FEW
@given(naturals, naturals)
def test_a_unit_may_have_a_power(a: int, b: int) -> None:
    unit = ("cm^2", "km^3", "ft^2", "in^{2}")[b % 4]
    for verifier in ("number", "math"):
        assert right(f"The answer is {a} {unit}.", str(a), verifier)
        assert right(f"The area is {a} {unit}.", str(a), verifier)


@FEW
@given(naturals, naturals)
def test_a_factor_of_what_nobody_worked_out_is_no_answer(a: int, b: int) -> None:
    for verifier in ("number", "math"):
        assert not right(f"So we get {a}({b})", str(a), verifier)
        for sign in "*×·":
            assert right(f"The answer is {a} {sign} {b} = {a * b}.", str(a * b), verifier), sign


@FEW
@given(naturals, naturals)
def test_several_formulas_are_no_answer(a: int, b: int) -> None:
    assume(a != b)
    for text in (f"The answer is ${a}$ or ${b}$.", f"The answer is $x={a}$ and $y={b}$.",
                 f"The answer is ${a}$, ${b}$.", f"答案是${a}$或${b}$。"):  # fmt: skip
        for verifier in ("number", "math"):
            assert verify(text, str(a), verifier) == Verdict(None, False), text


@FEW
@given(naturals, naturals, naturals)
def test_amounts_of_money_are_no_formulas(a: int, b: int, c: int) -> None:
    for text in (
        f"She pays ${a} for one and ${b} for another. The total is ${c}.",
        f"One is ${a}, two are ${b}.\nSo ${a}+${b}=${c}",
        f"It costs ${a} (${b} less).\nThe answer is ${c}.",
        f"He has {a}*{b}=$<<{a}*{b}={c}>>{c}\nA: {c}",
    ):
        for verifier in ("number", "math"):
            assert right(text, str(c), verifier), text


@FEW
@given(naturals, naturals)
def test_what_stands_in_brackets_or_behind_a_reason_explains(a: int, b: int) -> None:
    n = a + b
    for end in (f"{n} ({a} + {b})", f"{n} ({a} apples and {b} pears)",
                f"{n}, because {a} + {b} = {n}",
                f"{n} - that is {a} + {b}", f"{n} ({a} × 1 + {b})"):  # fmt: skip
        for verifier in ("number", "math"):
            assert right(f"The answer is {end}.", str(n), verifier), end


@FEW
@given(naturals)
def test_a_letter_in_dollars_is_a_name_and_not_the_conclusion(n: int) -> None:
    for text in (f"Let $n$ be even. So the total is {n}.", f"The maximum of $f(x)$ is {n}.",
                 f"Final Answer: The largest value of $f(x)$ is {n}."):  # fmt: skip
        for verifier in ("number", "math"):
            assert right(text, str(n), verifier), text


letters = st.sampled_from("abcnpqrtuvxyz")
LEAVES = st.one_of(st.integers(1, 99).map(str), letters)


@FEW
@given(st.sampled_from(WHOLE + DOLLARS), st.lists(LEAVES, min_size=4, max_size=4))
def test_rows_of_a_matrix_keep_their_order(way: str, cells: list[str]) -> None:
    a, b, c, d = cells
    matrix = r"\begin{pmatrix} %s & %s \\ %s & %s \end{pmatrix}"
    same = rf"\begin{{bmatrix}}{a}&{b}\\{c}&{d}\end{{bmatrix}}"
    text = way % (matrix % (a, b, c, d))
    assert right(text, same, "math")
    assert right(text, matrix % (a, c, b, d), "math") is (b == c)
    vector = r"\begin{pmatrix} %s \\ %s \end{pmatrix}"
    assert right(way % (vector % (a, b)), rf"\begin{{pmatrix}}{a}\\{b}\end{{pmatrix}}", "math")
    assert right(way % (vector % (a, b)), vector % (b, a), "math") is (a == b)


@pytest.mark.parametrize(
    ("verifier", "said", "reference", "other"),
    [
        ("math", "The answer is:\n```\nn!\n```", "n!", "n"),
        ("math", "**Answer:**\n```text\n42\n```\nIn 3 steps.", "42", "3"),
        ("number", "The answer is:\n```\n42\n```", "42", "4"),
        ("exact", "The answer is:\n```\nParis\n```", "Paris", "Par"),
        ("math", "<answer>The answer is 7</answer>", "7", "8"),
        ("math", "\\begin{align*}\nx &= 3 + 4 \\\\\n&= 7.\n\\end{align*}", "7", "4"),
        ("number", "\\begin{equation}\nx = 7\n\\end{equation}", "7", "8"),
        ("math", r"\boxed{\begin{pmatrix}1\\[2mm] 2\end{pmatrix}}",
         r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1&2\end{pmatrix}"),
        ("number", "So we need 2½ cups.", "2.5", "2"),
        ("math", "The answer is ½.", "0.5", "2"),
    ],
)  # fmt: skip
def test_what_a_fence_or_an_environment_delimits_is_read_whole(
    verifier: str, said: str, reference: str, other: str
) -> None:
    assert right(said, reference, verifier)
    assert not right(said, other, verifier)


@pytest.mark.parametrize("verifier", ["number", "math"])
def test_a_fence_that_never_closes_takes_no_time(verifier: str) -> None:
    start = time.process_time()
    assert not right("The answer is:\n```\n" + " " * 15_000, "5", verifier)
    assert time.process_time() - start < 0.5


@FEW
@given(delimited, letters, st.integers(2, 9))
def test_nothing_cuts_into_what_is_delimited(way: str, x: str, n: int) -> None:
    for said in (
        f"{x}!",
        f"({x}-{n})!",
        f"{x}={n}; y=4",
        f"{x}^2.5",
        f"{n},{x}",
        rf"{x} \text{{ if }} y",
    ):
        assert right(way % said, said, "math"), way % said
    assert not right(way % f"{x}!", x, "math")
    assert not right(way % f"({x}-{n})!", f"{x}-{n}", "math")
    assert not right(way % f"{x}={n}; y=4", f"{x}={n}", "math")


@FEW
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 9))
def test_small_numbers_differ(a: int, b: int, n: int) -> None:
    assume(a != b)
    for one, other in (
        (f"10^{{-{a}}}", f"10^{{-{b}}}"),
        (rf"\frac{{1}}{{2^{{{a + 40}}}}}", rf"\frac{{1}}{{2^{{{b + 40}}}}}"),
        (rf"\frac{{1}}{{{a + 10}!}}", rf"\frac{{1}}{{{b + 10}!}}"),
        (rf"\sqrt{{2}} \cdot 10^{{-{a}}}", rf"\sqrt{{2}} \cdot 10^{{-{b}}}"),
        (rf"0.\overline{{{n}}}", "0"),
        (rf"1+\frac{{{n}}}{{\mathrm{{e}}}}", rf"1-\frac{{{n}}}{{\mathrm{{e}}}}"),
    ):
        assert not right(rf"\boxed{{{one}}}", other, "math"), (one, other)
        assert right(rf"\boxed{{{one}}}", one, "math"), one


@settings(max_examples=12)
@given(st.integers(2, 99), st.integers(2, 99), letters)
def test_equal_values_are_right_and_their_neighbours_wrong(a: int, b: int, x: str) -> None:
    for one, other, wrong in (
        (rf"\sqrt{{{a * a * b}}}", rf"{a}\sqrt{{{b}}}", rf"{a + 1}\sqrt{{{b}}}"),
        (
            rf"\frac{{\sqrt{{{a}}}}}{{{a}}}",
            rf"\frac{{1}}{{\sqrt{{{a}}}}}",
            rf"\frac{{2}}{{\sqrt{{{a}}}}}",
        ),
        (rf"({x}+{a})({x}+{b})", rf"{x}^2+{a + b}{x}+{a * b}", rf"{x}^2+{a + b}{x}-{a * b}"),
        (rf"{a} \pm {b}", f"{a - b}, {a + b}", f"{a - b}, {a + b + 1}"),
        (rf"\{{{a},{a + b}\}}", rf"\{{{a + b}, {a}\}}", f"({a},{a + b})"),
        (f"({a},{a + b}]", f"({a}, {a + b}]", f"({a}, {a + b})"),
        (f"y={a}{x}+{b}", f"{b}+{a}{x}-y=0", f"y={a}{x}-{b}"),
        (f"{x}<{a}", f"{a}>{x}", rf"{x} \le {a}"),
        (r"\text{Evelyn}", "Evelyn", "Evelin"),
    ):
        assert right(rf"\boxed{{{one}}}", other, "math"), (one, other)
        assert not right(rf"\boxed{{{one}}}", wrong, "math"), (one, wrong)


def test_what_is_not_read_whole_is_equal_to_the_same_text_only() -> None:
    said = r"\int_0^1 f(x) dx"
    assert right(rf"\boxed{{{said}}}", r"\int _0 ^1 f(x)\,dx".replace(r"\,", " "), "math")
    assert not right(rf"\boxed{{{said}}}", "f(x)", "math")
    assert not right(rf"\boxed{{{said}}}", r"\int_0^2 f(x) dx", "math")


def test_a_number_in_a_base_is_that_number_in_that_base() -> None:
    assert right(r"\boxed{204_{5}}", "204_5", "math")
    for wrong in ("54", "204", "204_6", "104_5"):
        assert not right(rf"\boxed{{{wrong}}}", "204_5", "math"), wrong


@FEW
@given(naturals, naturals)
def test_two_values_with_or_between_them_are_no_answer_without_a_marker_either(
    a: int, b: int
) -> None:
    assume(a != b)
    for text in (f"So it is {a} or {b}.", f"Therefore $x = {a}$ or $x = {b}$.",
                 f"x = {a} or x = {b}",
                 f"Also {a} oder {b}.", f"所以是{a}或{b}"):  # fmt: skip
        for verifier in ("number", "math"):
            assert verify(text, str(b), verifier) == Verdict(None, False), text


@FEW
@given(naturals, naturals, st.sampled_from(["and", ",", r"\quad \text{and} \quad"]))
def test_boxes_joined_by_and_are_one_answer_with_parts(a: int, b: int, join: str) -> None:
    assume(a != b)
    text = rf"\[\boxed{{{a}}} {join} \boxed{{{b}}}\]"
    assert right(text, f"{b}, {a}", "math") and not right(text, str(a), "math")
    assert verify(text, str(a), "number") == Verdict(None, False)
    assert not right(rf"\boxed{{{a}}} or \boxed{{{b}}}", f"{a}, {b}", "math")


@FEW
@given(naturals, naturals, letters)
def test_an_interval_is_what_its_inequality_says(a: int, b: int, x: str) -> None:
    c = a + b
    assert right(rf"\boxed{{{a} \le {x} < {c}}}", f"[{a}, {c})", "math")
    assert right(rf"The answer is [{a}, {c}).", rf"{x} \in [{a},{c})", "math")
    assert not right(rf"\boxed{{{a} < {x} < {c}}}", f"[{a}, {c})", "math")
    assert right(rf"\boxed{{{x} > {a}}}", rf"({a}, \infty)", "math")


SHAPES = (  # our own, in the shapes that answers of competitions have
    r"\left( 3, \frac{\pi}{2} \right)", r"\frac{14}{3}", r"6 - 5i", r"11\sqrt2", r"[-2, 7]",
    "3x + 12",
    r"(-\infty, 2) \cup (3, \infty)", r"\begin{pmatrix} -2 \\ 16/49 \end{pmatrix}",
    r"1 \pm \sqrt{19}",
    r"5x - 7y + 11z + 4 = 0", r"11,\! 111", r"\frac{270}{7}\text{ degrees}", r"2k + 2", "x^4 - 9",
    r"\{-1, 5, 8\}", r"4210_{5}", r"0.35\overline{6}", r"\sqrt[3]{17}", r"\sin 40^\circ",
    r"\binom{12}{2}",
)  # fmt: skip


@FEW
@given(st.sampled_from(SHAPES), anywhere, st.data())
def test_an_answer_of_any_shape_is_right_and_with_one_digit_changed_wrong(
    shape: str, way: str, data: st.DataObject
) -> None:
    assert right(way % shape, shape, "math"), way % shape
    at = data.draw(st.sampled_from([i for i, letter in enumerate(shape) if letter.isdigit()]))
    digit = data.draw(st.sampled_from("123456789").filter(lambda digit: digit != shape[at]))
    changed = shape[:at] + digit + shape[at + 1 :]
    assert not right(way % changed, shape, "math"), way % changed
