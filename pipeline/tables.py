"""Every table's columns, types, units and rules, declared once.

Conventions for all tables: ids are content hashes, joins go by id, higher is better, probabilities lie in [0, 1],
an unknown number is null and never a sentinel, and text is stripped once, where it enters.
"""

from collections.abc import Sequence
from typing import Any, Literal

import dataframely as dy
import polars as pl

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def _doc(text: str) -> dict[str, Any]:
    return {"doc": text}


def _messages(doc: str, *, nullable: bool = False) -> dy.List:
    turn = dy.Struct({"role": dy.String(), "content": dy.String()})
    return dy.List(turn, nullable=nullable, metadata=_doc(doc))


def _id(doc: str, *, key: bool = False, nullable: bool = False) -> dy.String:
    return dy.String(primary_key=key, nullable=nullable, metadata=_doc(doc))


def _text(doc: str, *, nullable: bool = False) -> dy.String:
    return dy.String(nullable=nullable, metadata=_doc(doc))


def _count(doc: str, *, nullable: bool = False) -> dy.Int64:
    return dy.Int64(min=0, nullable=nullable, metadata=_doc(doc))


def _share(doc: str, *, nullable: bool = False) -> dy.Float64:
    return dy.Float64(min=0, max=1, nullable=nullable, allow_nan=False, metadata=_doc(doc))


def _number(doc: str, *, nullable: bool = False) -> dy.Float64:
    return dy.Float64(nullable=nullable, allow_inf=False, allow_nan=False, metadata=_doc(doc))


def _choice(values: Sequence[str], doc: str) -> dy.String:
    # A string with a rule and not an enum: DuckLake has no enum type.
    return dy.String(check=lambda column: column.is_in(list(values)), metadata=_doc(doc))


def _flag(doc: str, *, nullable: bool = False) -> dy.Bool:
    return dy.Bool(nullable=nullable, metadata=_doc(doc))


class Prompts(dy.Schema):
    """One row per prompt."""

    prompt_id = _id("hash of messages, answer and verifier", key=True)
    pool = _text("name of the pool it came from")
    task = _text("task within the pool")
    split = _choice(SPLITS, "train, validation or test: by hash of the prompt, so it never moves")
    messages = _messages("chat turns as the model sees them")
    answer = _text("reference answer; null where the pool has none", nullable=True)
    verifier = _text("name of the check that tells a right answer; null where there is none", nullable=True)
    metadata = _text("JSON that the verifier needs; null where it needs none", nullable=True)
    source = _text("where the row came from")
    licence = _text("licence of the source")

    @dy.rule()
    def has_a_turn(cls) -> pl.Expr:
        return pl.col("messages").list.len() > 0

    @dy.rule()
    def verifier_has_an_answer(cls) -> pl.Expr:
        return pl.col("verifier").is_null() | pl.col("answer").is_not_null()


class Responses(dy.Schema):
    """One row per sampled response."""

    response_id = _id("hash of prompt, policy, sampling and draw", key=True)
    prompt_id = _id("its prompt")
    policy_id = _id("the model that wrote it: name, revision and weights")
    on_policy = _flag("true where the policy is the one to be trained")
    draw = _count("number of the draw for this prompt")
    sampling = _text("JSON of the sampling parameters")
    text = _text("the response, stripped")
    tokens = dy.Int64(min=1, metadata=_doc("sampled tokens"))
    prompt_tokens = _count("tokens of the rendered prompt")
    logprob_mean = _number("mean log-probability per sampled token, nats; at most 0")
    finish_reason = _choice(["stop", "length"], "stop: ended by itself; length: cut off")
    answer = _text("the final answer found in it, normalised; null where there is none", nullable=True)
    correct = _flag("verdict of the verifier; null where the prompt has none", nullable=True)

    @dy.rule()
    def has_text(cls) -> pl.Expr:
        return pl.col("text").str.len_chars() > 0


class TreeNodes(dy.Schema):
    """One row per tree node: steps, and the rollouts that valued them."""

    node_id = _id("hash of tree, parent and text", key=True)
    tree_id = _id("hash of prompt, policy and search settings")
    prompt_id = _id("its prompt")
    policy_id = _id("the model that wrote it")
    method = _choice(["best_first", "tot"], "search method")
    kind = _choice(["root", "step", "rollout"], "a rollout is a completion that valued its parent")
    parent_id = _id("its parent; null at the root", nullable=True)
    depth = _count("steps from the root; a rollout has its parent's depth")
    draw = _count("number of the draw below its parent")
    prefix = _text("the response before this node's text")
    text = _text("this node's text: one step, or a rollout's rest")
    answer = _text("final answer of a terminal step or a rollout; null otherwise", nullable=True)
    correct = _flag("verdict on that answer; null for inner steps", nullable=True)
    value = _share(
        "share of right rollouts; 0 or 1 at a terminal step; null at the root and where none were made", nullable=True
    )
    n_rollouts = _count("rollouts that valued this node")
    n_correct = _count("how many of them were right")
    terminal = _flag("true where the response ends here")
    expanded_order = _count("when the search expanded it, from 0; null where it did not", nullable=True)
    merged = dy.Int64(min=1, metadata=_doc("identical siblings that this row stands for"))
    tokens = _count("sampled tokens of this node's text, merged siblings included")

    @dy.rule()
    def correct_is_at_most_all(cls) -> pl.Expr:
        return pl.col("n_correct") <= pl.col("n_rollouts")

    @dy.rule()
    def only_roots_lack_a_parent(cls) -> pl.Expr:
        return (pl.col("kind") == "root") == pl.col("parent_id").is_null()


class Preferences(dy.Schema):
    """One row per preference: (messages, prefix, chosen) over (rejected_messages, rejected_prefix, rejected)."""

    pair_id = _id("hash of variant, both contexts and both texts", key=True)
    variant = _text("data variant: outcome, tree_plv, ...")
    level = _choice(["step", "response", "prompt"], "what the two sides are")
    prompt_id = _id("its prompt; its split is the prompt's split")
    split = _choice(SPLITS, "the prompt's split")
    depth = _count("steps that the shared prefix holds; 0 for whole responses")
    messages = _messages("chat turns before both sides")
    prefix = _text("start of the assistant's turn that both sides share; empty for whole responses")
    chosen = _text("text of the better side")
    rejected = _text("text of the worse side")
    chosen_ends = _flag("true where the chosen text ends the turn (an end-of-turn token follows in training)")
    rejected_ends = _flag("true where the rejected text ends the turn")
    rejected_messages = _messages("the rejected side's own turns, where they differ; null: the same", nullable=True)
    rejected_prefix = _text("the rejected side's own prefix, where it differs; null: the same", nullable=True)
    chosen_id = _id("response or node of the chosen side")
    rejected_id = _id("response or node of the rejected side")
    strength = _share("P(chosen is better); null where unknown", nullable=True)
    margin = _number("difference of the sides' values; null where unknown", nullable=True)
    weight = dy.Float64(
        min=0, allow_inf=False, allow_nan=False, metadata=_doc("weight of the pair in the loss; 1 by default")
    )
    noise_score = _share("P(the label is wrong); null where nothing voted", nullable=True)
    flipped = _flag("true where chosen and rejected were exchanged after labelling")
    stage = _count("stage of a curriculum, from 0; null outside of one", nullable=True)
    rationale_id = _id("rationale of the pair; null where there is none", nullable=True)
    policy_id = _id("the model that wrote both sides")
    method = _text("how the pair was made")

    @dy.rule()
    def sides_differ(cls) -> pl.Expr:
        same_context = pl.col("rejected_messages").is_null() & pl.col("rejected_prefix").is_null()
        return ~same_context | (pl.col("chosen").str.strip_chars() != pl.col("rejected").str.strip_chars())

    @dy.rule()
    def both_sides_have_text(cls) -> pl.Expr:
        return (pl.col("chosen").str.len_chars() > 0) & (pl.col("rejected").str.len_chars() > 0)


class PreferenceLists(dy.Schema):
    """One row per ranked list of responses or paths to one prompt (TPO)."""

    list_id = _id("hash of variant, prompt and items", key=True)
    variant = _text("data variant")
    prompt_id = _id("its prompt; its split is the prompt's split")
    split = _choice(SPLITS, "the prompt's split")
    messages = _messages("chat turns before every item")
    items = dy.List(
        dy.Struct(
            {
                "item_id": dy.String(),  # response, or leaf node of a path
                "text": dy.String(),
                "ends": dy.Bool(),  # true where the text ends the turn
                "value": dy.Float64(),  # in [0, 1], higher is better; equal values are not ordered
                "rank": dy.Int64(),  # 0 is the best; equal values share a rank
                "reward": dy.Float64(nullable=True),  # TPO's adaptive step reward; null where not computed
            }
        ),
        metadata=_doc("items, the best first: item_id, text, ends, value in [0, 1], rank from 0, reward"),
    )
    policy_id = _id("the model that wrote the items")
    method = _text("how the list was made")

    @dy.rule()
    def has_two_items(cls) -> pl.Expr:
        return pl.col("items").list.len() >= 2


class Rationales(dy.Schema):
    """One row per reason why a pair's chosen side is better."""

    rationale_id = _id("hash of pair, kind, judge and text", key=True)
    prompt_id = _id("its prompt")
    chosen_id = _id("response of the pair's chosen side")
    rejected_id = _id("response of the pair's rejected side")
    kind = _choice(["general", "detailed"], "how much was asked for")
    messages = _messages("chat turns that the rationale answers, as the model saw them")
    text = _text("the rationale, stripped")
    chosen_first = _flag("true where the chosen side was shown first")
    p_chosen = _share("P(chosen is better) judged from the rationale alone; null where not asked", nullable=True)
    agrees = _flag("true where the rationale argues for the chosen side; null where not asked", nullable=True)
    judge_id = _id("the model that wrote it")
    tokens = _count("sampled tokens")


class CodeChanges(dy.Schema):
    """One row per commit that changed one function or file, mined from a git repository (CodeFavor)."""

    change_id = _id("hash of repository, commit, path and name", key=True)
    repository = _text("name of the repository's folder")
    commit = _text("its hash")
    path = _text("the changed file")
    unit = _choice(["function", "file"], "what changed: one function or method, or more of a small file")
    name = _text("qualified name of the function; null for a file", nullable=True)
    message = _text("the commit's message, stripped")
    old = _text("the code before")
    new = _text("the code after")
    licence = _text("SPDX name of the repository's licence at that commit")


class CodePairs(dy.Schema):
    """One row per naive and improved code for one task (CodeFavor), and what execution and analysis say of them."""

    code_pair_id = _id("hash of method, prompt, both codes and critic", key=True)
    method = _choice(["commit", "evol"], "Commit-Instruct or Critic-Evol")
    prompt_id = _id("its prompt: of the pool (evol), or hash of messages (commit)")
    split = _choice(SPLITS, "the prompt's split, by hash of its messages")
    messages = _messages("chat turns that both codes answer")
    instruction = _text("the task in words")
    criteria = _text("what the improvement is about")
    naive = _text("the code before: a first attempt, or the commit's old code rephrased")
    improved = _text("the code after")
    feedback = _text("the critic's comparison")
    reflection = _text("what the critic thought of the draft; null for commits", nullable=True)
    source = _text("the mined change or the prompt it came from")
    licence = _text("licence of that source")
    policy_id = _id("the critic")
    draft_id = _id("the model that wrote the naive code")
    tokens = _count("sampled tokens, all turns")
    naive_held = _share(
        "share of the task's assertions that hold for the naive code; null without tests", nullable=True
    )
    improved_held = _share("the same for the improved code", nullable=True)
    naive_passed = _flag("true where the naive code passes its tests; null without tests", nullable=True)
    improved_passed = _flag("the same for the improved code", nullable=True)
    naive_seconds = _number("least CPU time of its timing runs; null where it was not timed", nullable=True)
    improved_seconds = _number("the same for the improved code", nullable=True)
    naive_findings = _count("findings of the security rules in the naive code")
    improved_findings = _count("the same for the improved code")
    correctness_margin = _number("improved minus naive share of assertions; null without tests", nullable=True)
    speed_margin = _number("binary logarithm of naive over improved time; 0 below the threshold", nullable=True)
    security_margin = _number("naive minus improved findings")
    improved_is_better = _flag("what execution says; null where it says nothing", nullable=True)
    decided_by = _text("correctness, speed or security; null where execution says nothing", nullable=True)

    @dy.rule()
    def codes_differ(cls) -> pl.Expr:
        return pl.col("naive") != pl.col("improved")


class ReferenceLogps(dy.Schema):
    """One row per text and reference model: its log-probability, computed once and shared by all variants."""

    text_id = _id("hash of the context, the text and whether it ends the turn", key=True)
    policy_id = _id("the reference model", key=True)
    logp = dy.Float64(
        max=1e-3, allow_inf=False, allow_nan=False, metadata=_doc("sum of log-probabilities of the text's tokens, nats")
    )
    tokens = dy.Int64(min=1, metadata=_doc("tokens of the text, the end-of-turn token included"))


class TrainingRuns(dy.Schema):
    """One row per trained policy."""

    run_id = _id("hash of variant, data, settings and seed", key=True)
    variant = _text("the data it was trained on")
    seed = _count("training seed")
    policy_id = _id("the trained policy")
    reference_id = _id("the model it started from")
    checkpoint = _text("folder of the weights, relative to the data folder")
    loss = _text("name of the loss")
    method = _choice(["full", "lora"], "which weights were trained")
    settings = _text("JSON of the training settings")
    n_pairs = _count("pairs trained on, in each epoch")
    n_steps = _count("optimiser steps")
    n_tokens = _count("tokens of chosen and rejected texts seen, all epochs")
    loss_first = _number("mean loss over the first tenth of the steps")
    loss_last = _number("mean loss over the last tenth of the steps")
    accuracy_last = _share("share of pairs with a positive margin over the last tenth of the steps")
    curve = _text("JSON list of [step, loss, accuracy, margin]")
    length_ratio = _number("tokens of chosen texts over tokens of rejected texts")
    seconds = _number("wall time, seconds")


class Evaluations(dy.Schema):
    """One row per evaluated policy, metric and unit (a prompt or a pair)."""

    evaluation_id = _id("hash of policy, metric and unit", key=True)
    policy_id = _id("the policy that was measured")
    variant = _text("its data variant")
    seed = _count("its training seed")
    metric = _text("accuracy or reward_accuracy")
    unit_id = _id("the prompt or the pair")
    value = _share("the metric on this unit: share of right draws, or 1, 0.5, 0")
    n = dy.Int64(min=1, metadata=_doc("draws behind the value"))
    tokens = _count("tokens sampled for it")


class Leaderboard(dy.Schema):
    """One row per variant."""

    variant = _id("data variant", key=True)
    n_seeds = _count("training seeds")
    accuracy = _share("exact-match accuracy on held-out test prompts, mean over draws, prompts and seeds")
    gain = _number("accuracy minus the base model's, paired by prompt")
    gain_low = _number("lower end of the paired bootstrap interval of the gain")
    gain_high = _number("upper end of that interval")
    verdict = _choice(["better", "worse", "not distinguishable", "baseline"], "what the interval says")
    reward_accuracy = _share(
        "share of held-out pairs whose chosen side the policy prefers more than its reference does", nullable=True
    )
    reward_pairs = _count("held-out pairs behind it")
    n_pairs = _count("training pairs")
    n_tokens = _count("trained tokens")
    length_ratio = _number("tokens of chosen over rejected in training", nullable=True)
    response_tokens = _number("mean tokens of a sampled answer at the test")
    data_tokens = _count("tokens sampled to make the variant's data")
    train_seconds = _number("wall time of training, seconds, all seeds")
    gain_per_million_tokens = _number("gain per million sampled tokens", nullable=True)


class Rejects(dy.Schema):
    """One row per row that was dropped."""

    reject_id = _id("hash of table, step, row and reason", key=True)
    table = _text("the table it would have gone to")
    step = _text("the step that dropped it")
    row_id = _text("its id, where it had one", nullable=True)
    reason = _text("why")
    row = _text("the row as JSON")


TABLES: dict[str, type[dy.Schema]] = {
    "prompts": Prompts,
    "responses": Responses,
    "tree_nodes": TreeNodes,
    "preferences": Preferences,
    "preference_lists": PreferenceLists,
    "rationales": Rationales,
    "code_changes": CodeChanges,
    "code_pairs": CodePairs,
    "reference_logps": ReferenceLogps,
    "training_runs": TrainingRuns,
    "evaluations": Evaluations,
    "leaderboard": Leaderboard,
    "rejects": Rejects,
}


def columns(table: str) -> list[tuple[str, str, str]]:
    """(name, type, meaning) of every column of a table, for documentation and the web UI."""
    schema = TABLES[table]
    return [
        (name, str(column.dtype), (column.metadata or {}).get("doc", "")) for name, column in schema.columns().items()
    ]


def empty(table: str) -> pl.DataFrame:
    """An empty frame with a table's columns and types."""
    return TABLES[table].create_empty()
