"""Which rows are made from which: the ids that name a row, and those of what it was made from.

An erasure follows them, so a table whose rows hold a text of one prompt must be in LINKS. An id is
of a kind, since ids of different kinds may be equal. The expressions are DuckDB's SQL over the
table's columns; one that gives a list names several.
"""

from dataclasses import dataclass

Id = tuple[str, str]  # kind, and a column or expression
ANY = "*"  # an id of whichever kind: of what says no kind


@dataclass(frozen=True)
class Links:
    """own: the ids by which other rows name this one, the first of which is its key.

    made_from: ids of what the row was made from: it goes with them. enters: its rows come from
    outside. source: the column that says from which pool or file.
    """

    own: tuple[Id, ...] = ()
    made_from: tuple[Id, ...] = ()
    enters: bool = False
    source: str | None = None


_PROMPT = ("prompt", "prompt_id")
_CHOSEN = ("side", "chosen_id")
_REJECTED = ("side", "rejected_id")
_FIRST = ("side", "first_id")
_SECOND = ("side", "second_id")
_PAIR = ("pair", "pair_id")
# Votes name no pair: they are of the pair with the same two sides.
_SIDES = (
    "sides",
    "concat_ws(' ', origin, prompt_id, least(first_id, second_id), greatest(first_id, second_id))",
)
_CODES = ("codes", "md5(concat(naive, chr(0), improved))")

LINKS = {
    "prompts": Links(own=(_PROMPT,), enters=True, source="pool"),
    "responses": Links(
        own=(("side", "response_id"),), made_from=(_PROMPT, ("side", "near_duplicate_of"))
    ),
    "policy_responses": Links(
        own=(("side", "response_id"),), made_from=(_PROMPT, ("side", "near_duplicate_of"))
    ),
    "tree_nodes": Links(own=(("side", "node_id"),), made_from=(_PROMPT, ("side", "parent_id"))),
    "votes": Links(
        own=(("vote", "vote_id"),), made_from=(_PROMPT, _FIRST, _SECOND, _SIDES), source="origin"
    ),
    "policy_votes": Links(own=(("vote", "vote_id"),), made_from=(_PROMPT, _FIRST, _SECOND)),
    "recorded_pairs": Links(
        own=(_PAIR, _SIDES), made_from=(_PROMPT, _FIRST, _SECOND), enters=True, source="origin"
    ),
    "recorded_responses": Links(
        own=(("side", "response_id"),), made_from=(_PROMPT,), enters=True, source="origin"
    ),
    "source_prompts": Links(
        made_from=(_PROMPT, ("prompt", "recorded_id")), source="origin"
    ),
    "imports": Links(source="origin"),
    "principles": Links(
        own=(("principle", "principle_id"), ("group", "group_id")),
        made_from=(_PROMPT, ("side", "response_id"), ("group", "group_id")),
    ),
    "judge_contexts": Links(
        own=(("context", "context_id"),), made_from=(_PROMPT, ("side", "a_id"), ("side", "b_id"))
    ),
    "judges": Links(source="origin"),
    "prompt_ratings": Links(made_from=(_PROMPT,)),
    "scores": Links(own=(("score", "score_id"),), made_from=(_PROMPT, ("side", "response_id"))),
    "pair_votes": Links(made_from=(_PROMPT, _PAIR, _CHOSEN, _REJECTED)),
    "pair_strengths": Links(made_from=(_PROMPT, _PAIR, _CHOSEN, _REJECTED)),
    "voter_checks": Links(source="origin"),
    "recorded_votes": Links(
        own=(("vote", "vote_id"),),
        made_from=(_PAIR, _CHOSEN, _REJECTED),
        enters=True,
        source="origin",
    ),
    "preferences": Links(
        own=(_PAIR,),
        made_from=(
            _PROMPT, _CHOSEN, _REJECTED, ("rationale", "rationale_id"), ("group", "principle_id"),
        ),
    ),
    "preference_lists": Links(
        own=(("list", "list_id"),),
        made_from=(_PROMPT, ("side", "list_transform(items, lambda item: item.item_id)")),
    ),
    "unpaired": Links(
        own=(("unpaired", "unpaired_id"),), made_from=(_PROMPT, ("side", "response_id"))
    ),
    # The control's rows have the words of a rationale of another pair.
    "rationales": Links(
        own=(
            ("rationale", "rationale_id"), ("words", "CASE WHEN NOT permuted THEN md5(text) END"),
        ),
        made_from=(
            _PROMPT, _CHOSEN, _REJECTED, ("words", "CASE WHEN permuted THEN md5(text) END"),
        ),
    ),
    "step_scores": Links(
        own=(("score", "score_id"),), made_from=(_PROMPT, _PAIR, ("side", "item_id"))
    ),
    "instructions": Links(
        own=(("instruction", "synthesis_id"),),
        made_from=(_PROMPT, ("side", "response_id"), ("side", "other_id")),
    ),
    "code_changes": Links(
        own=(("change", "change_id"), ("from", "concat('change ', change_id)")),
        enters=True,
        source="repository",
    ),
    "recorded_code": Links(
        own=(("record", "record_id"), _CODES), enters=True, source="origin"
    ),
    "code_pairs": Links(
        own=(
            ("code", "code_pair_id"),
            ("side", "[concat(code_pair_id, '.naive'), concat(code_pair_id, '.improved')]"),
        ),
        made_from=(_PROMPT, ("from", "source"), _CODES),
    ),
    "evaluations": Links(made_from=(("prompt", "unit_id"), ("pair", "unit_id"))),
    "brought_evaluations": Links(made_from=(("prompt", "unit_id"), ("pair", "unit_id"))),
    "rejects": Links(
        own=(("reject", "reject_id"),),
        made_from=(
            _PROMPT,
            (ANY, "row_id"),
            (ANY, """regexp_extract_all("row", '"([^"\\\\]{1,200})"', 1)"""),
            (ANY, "regexp_extract_all(reason, '[0-9a-f]{20}')"),
        ),
    ),
}  # fmt: skip
# Numbers over many rows, hashes with a number, and what was done: no row has a text of one prompt.
# A training run names what it learned from by ids: an erasure reads them, and says which did.
TEXTLESS = frozenset(
    {
        "voters", "noise_tests", "noise_sweep", "reference_logps", "training_runs", "metrics",
        "leaderboard", "comparisons", "selections", "usage", "erasures", "erased_ids",
        "brought_policies",
    }
)  # fmt: skip
