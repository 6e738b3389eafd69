"""Shapes of judged pairs in files: ours, and those of public sets, brought into ours.

A layout is recognised by all of a file's columns. It names those that tell it and those that it
reads; columns of the prompt that it does not read are an error, since the pair would be judged on
another prompt than it answers; all others are kept as the pair's metadata. Of two layouts that fit,
the one that knows all that the other would read is taken; if neither does, nothing is guessed.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pipeline import cells
from pipeline.cells import BadRow, Row, Rows
from pipeline.engine.base import Reject
from pipeline.errors import OrchardError
from pipeline.sources import scored, trl, verdicts

# What a verdict says of the first response, as a probability. Graded ones keep their grade: "A>B"
# lies halfway between a tie and "A>>B", our choice. Words without a grade say all that they can.
VERDICTS = {
    **dict.fromkeys(("first", "a", "[[a]]", "a>>b", "[[a>>b]]"), 1.0),
    **dict.fromkeys(("a>b", "[[a>b]]"), 0.75),
    **dict.fromkeys(("tie", "a=b", "[[a=b]]", "[[c]]"), 0.5),
    **dict.fromkeys(("b>a", "[[b>a]]"), 0.25),
    **dict.fromkeys(("second", "b", "[[b]]", "b>>a", "[[b>>a]]"), 0.0),
}
ANNOTATORS = ("annotator1", "annotator2", "annotator3")
SIDES = {"1": "first", "2": "second", "0": "tie"}  # LLMBar's and PandaLM's numbers
OURS = "our own columns"
VOTES = "votes on pairs by id"


@dataclass(frozen=True)
class Layout:
    """A shape of files.

    Args:
        name: what people call it.
        forms: sets of columns; each alone tells the layout.
        read: brings a row into our columns; null: the file holds votes, see noise/votes.py.
        knows: what it reads besides.
        keeps: what it knows and does not read: kept as metadata.
        refuses: what says something else of the pair than the layout does.
        spread: brings rows that hold several judgements, or less than one, to one a row.
    """

    name: str
    forms: tuple[frozenset[str], ...]
    read: Callable[[Row], Row] | None
    knows: frozenset[str] = frozenset()
    spread: Callable[[Rows, str], tuple[Rows, list[Reject]]] | None = None
    keeps: frozenset[str] = frozenset()
    refuses: frozenset[str] = frozenset()

    @property
    def columns(self) -> frozenset[str]:
        """All that it reads."""
        return self.knows.union(*self.forms)

    @property
    def known(self) -> frozenset[str]:
        """All that it reads or keeps."""
        return self.columns | self.keeps

    def tells(self, columns: Iterable[str]) -> bool:
        """Whether these columns hold one of its forms."""
        return any(form <= set(columns) for form in self.forms)


def recognise(rows: Rows, columns: Sequence[str], origin: str) -> Layout:
    """The one layout that a file with these rows and columns has.

    Raises:
        OrchardError: none, several, or one that does not know a column of the prompt.
    """
    judged = [verdicts.BOTH_ORDERS] if verdicts.judges(rows) else []
    # A column without contents says nothing. Where too little is left to tell a layout, all columns
    # count: what the rows lack is the better message.
    spoken = {name for name in columns if any(not cells.is_blank(row.get(name)) for _, row in rows)}
    have = next(
        (found for found in ({*spoken, *judged}, {*columns, *judged}) if _possible(found)), None
    )
    if have is None:
        raise OrchardError(_unknown(columns, origin))
    best = _best(_fitting(rows, have, origin), have)
    if len(best) > 1:
        names = " and of ".join(layout.name for layout in best)
        raise OrchardError(f"{origin}: its columns are those of {names}: remove the columns of one")
    if best[0].name == OURS:
        _check(have, origin)
    return best[0]


def _possible(columns: set[str]) -> list[Layout]:
    return [layout for layout in LAYOUTS if layout.tells(columns)]


def _fitting(rows: Rows, columns: set[str], origin: str) -> list[Layout]:
    """The layouts that read every column of the prompt."""
    unread = {
        layout: found
        for layout in _possible(columns)
        if (found := cells.unread_meaning(rows, layout.known, layout.refuses))
    }
    fitting = [layout for layout in _possible(columns) if layout not in unread]
    if fitting:
        return fitting
    nearest = min(unread, key=lambda layout: len(unread[layout]))
    raise OrchardError(
        f"{origin}: its columns are those of {nearest.name}, "
        f"which does not read {', '.join(unread[nearest])}, "
        "and that changes what a row says: put it into a column that is read, or remove it"
    )


def _best(layouts: list[Layout], columns: set[str]) -> list[Layout]:
    """Those without another that knows all that they would read, while they lack some of its."""

    def replaces(one: Layout, other: Layout) -> bool:
        return other.columns & columns <= one.known and not one.columns & columns <= other.known

    return [layout for layout in layouts if not any(replaces(other, layout) for other in layouts)]


def grade(value: object) -> float | None:
    """P(first is better) of a label or verdict in words; null where it is none of them."""
    return VERDICTS.get(value.strip().lower()) if isinstance(value, str) else None


def verdict(value: object) -> float:
    """P(first is better): 1 for the first, 0 for the second, 0.5 for a tie, or as graded.

    Raises:
        BadRow: none of these.
    """
    found = VERDICTS.get(cells.label(value, "verdict") or "")
    if found is None:
        raise BadRow(f"verdict {value!r} is none of first, second and tie")
    return found


def side(value: object, name: str = "label") -> str | None:
    """first, second or tie for 1, 2 and 0, in whatever type; null where there is none.

    Raises:
        BadRow: another label.
    """
    found = cells.label(value, name)
    if found is not None and found not in SIDES:
        raise BadRow(f"{name} {value!r} is none of 1, 2 and 0")
    return None if found is None else SIDES[found]


def _llmbar(row: Row) -> Row:
    sides = {"first": row.get("output_1"), "second": row.get("output_2")}
    return {"prompt": row.get("input"), **sides, "label": side(row.get("label"))}


def _alpaca(row: Row) -> Row:
    """An instruction, perhaps its input; alpaca_eval's preference runs from 1 (first) to 2."""
    sides = {"first": row.get("output_1"), "second": row.get("output_2")}
    preference = cells.number(row.get("preference"), "preference")
    if preference is not None and not 1 <= preference <= 2:
        raise BadRow(f"preference is {preference}, outside [1, 2]")
    label = side(row.get("label")) if preference is None else 2 - preference
    return {"prompt": _asked(row), **sides, "label": label}


def _judgebench(row: Row) -> Row:
    policy = row.get("response_model")
    sides = {"first": row.get("response_A"), "second": row.get("response_B")}
    named = cells.identifier(row.get("pair_id"), "pair_id")
    ids = {f"{one}_id": f"{named}-{letter}" for one, letter in (("first", "A"), ("second", "B"))}
    return {
        "prompt": row.get("question"),
        **sides,
        **(ids if named is not None else {}),
        "label": row.get("label"),
        "first_policy": policy,
        "second_policy": policy,
    }


def _annotators(rows: Rows, origin: str) -> tuple[Rows, list[Reject]]:
    """PandaLM's rows once for each annotator, named as the judge; a row without any stays one."""
    found: list[tuple[int, Row]] = []
    for number, row in rows:
        names = [name for name in ANNOTATORS if not cells.is_blank(row.get(name))]
        others = cells.other_columns(row, PANDALM | PANDALM_KNOWS)
        found += [
            (number, {**row, cells.OTHERS: others, "judge_id": name}) for name in names or (None,)
        ]
    return found, []


def _pandalm(row: Row) -> Row:
    """Annotators say 1, 2, or 0 for a tie; their mean is the label.

    One's vote has no seat, as two scores have none.
    """
    said = {name: side(row.get(name), "verdict") for name in ANNOTATORS}
    votes = {name: verdict(one) for name, one in said.items() if one is not None}
    mine = votes.get(row.get("judge_id") or "")
    scores = {} if mine is None else {"first_score": mine, "second_score": 1 - mine}
    first_policy, _, second_policy = (
        cells.identifier(row.get("cmp_key"), "cmp_key") or ""
    ).partition("_")
    return {
        "prompt": _asked(row),
        "first": row.get("response1"),
        "second": row.get("response2"),
        "label": sum(votes.values()) / len(votes) if votes else None,
        "first_policy": first_policy,
        "second_policy": second_policy,
        "judge_id": row.get("judge_id"),
        **scores,
    }


def _asked(row: Row) -> str | None:
    """An instruction and, below it, its input; one alone where the row lacks the other."""
    names = [name for name in ("instruction", "input") if cells.text(row.get(name), name)]
    return "\n\n".join(row[name] for name in names) or None


def _unknown(columns: Sequence[str], origin: str) -> str:
    """What to do with a file of no known layout, and which one lacks least."""
    forms = [
        (form - set(columns), layout.name)
        for layout in LAYOUTS
        for form in layout.forms
        if form & set(columns)
    ]
    forms = [(lacking, name) for lacking, name in forms if verdicts.BOTH_ORDERS not in lacking]
    lacking, name = min(forms, key=lambda one: len(one[0]), default=(frozenset(), ""))
    nearest = (
        f"; the nearest known layout, {name}, lacks {', '.join(sorted(lacking))}" if name else ""
    )
    return (
        f"{origin}: its columns are {', '.join(sorted(columns)) or 'none'}: "
        f"name the pair by prompt, first and second (texts), or by first_id and second_id{nearest}"
    )


def _check(have: set[str], origin: str) -> None:
    if "label" not in have and not (
        "judge_id" in have and ({"p_first", "verdict", "first_score"} & have)
    ):
        missing = "judge_id" if "judge_id" not in have else "p_first or verdict"
        raise OrchardError(
            f"{origin}: column {missing} is missing: "
            "a vote needs judge_id, and p_first, verdict or two scores"
        )


def _columns(names: str) -> frozenset[str]:
    return frozenset(names.split())


def _forms(*names: str) -> tuple[frozenset[str], ...]:
    return tuple(map(_columns, names))


OWN_COLUMNS = _columns(
    "first_id second_id judge_id p_first verdict first_score second_score criterion label "
    "first_policy second_policy prompt first second"
)
PANDALM = _columns("instruction response1 response2 annotator1")
PANDALM_KNOWS = _columns("input annotator2 annotator3 cmp_key")
LAYOUTS = (
    Layout(
        OURS,
        _forms("prompt first second", "first_id second_id"),
        lambda row: row,
        knows=OWN_COLUMNS,
        keeps=_columns("pair_id"),
    ),
    Layout(
        "single scores",
        _forms("prompt response judge_id score"),
        lambda row: row,
        knows=_columns("criterion policy"),
        spread=scored.pairs,
    ),
    Layout("LLMBar", _forms("input output_1 output_2 label"), _llmbar),
    Layout(
        "Alpaca pairs",
        _forms("instruction output_1 output_2 label"),
        _alpaca,
        knows=_columns("input"),
    ),
    Layout(
        "alpaca_eval",
        _forms("instruction output_1 output_2 preference"),
        _alpaca,
        knows=_columns("input"),
    ),
    Layout(
        "JudgeBench",
        _forms("question response_A response_B label"),
        _judgebench,
        knows=_columns("pair_id response_model"),
    ),
    Layout(
        "JudgeBench's verdicts",
        _forms(f"pair_id {verdicts.BOTH_ORDERS}"),
        lambda row: row,
        knows=_columns("label"),
        spread=verdicts.spread,
    ),
    Layout(
        "PandaLM",
        (PANDALM,),
        _pandalm,
        knows=PANDALM_KNOWS,
        spread=_annotators,
    ),
    Layout(
        "TRL, with a prompt",
        _forms("prompt chosen rejected"),
        trl.explicit,
        refuses=_columns("label"),
    ),
    Layout(
        "TRL, the prompt in both sides",
        _forms("chosen rejected"),
        trl.implicit,
        refuses=_columns("label"),
    ),
    Layout(
        "UltraFeedback binarized",
        _forms("prompt prompt_id chosen rejected messages score_chosen score_rejected"),
        trl.explicit,
        refuses=_columns("label"),
    ),
    Layout(
        VOTES,
        _forms(
            "pair_id p",
            "pair_id probability",
            "pair_id label",
            "pair_id margin",
            "pair_id score",
            "pair_id chosen_score rejected_score",
        ),
        read=None,
        knows=_columns("voter_id judge_id annotator order"),
    ),
)
