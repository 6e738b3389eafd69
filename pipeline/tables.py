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
METHODS = ("best_first", "tot")
VALUATIONS = ("rollouts", "answer", "verdict", "score", "vote", "reward")


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
    round = _count("round of sampling and training that it belongs to, from 0; null where unknown", nullable=True)
    draw = _count("number of the draw for this prompt")
    sampling = _text("JSON of the sampling parameters")
    text = _text("the response, stripped")
    near_duplicate_of = _id("an earlier draw for the same prompt that says nearly the same; null: none", nullable=True)
    tokens = dy.Int64(min=1, metadata=_doc("sampled tokens"))
    prompt_tokens = _count("tokens of the rendered prompt")
    logprob_mean = _number(
        "mean log-probability per sampled token, nats; at most 0; null: a server gave none", nullable=True
    )
    finish_reason = _choice(["stop", "length"], "stop: ended by itself; length: cut off")
    answer = _text("the final answer found in it, normalised; null where there is none", nullable=True)
    correct = _flag("verdict of the verifier; null where the prompt has none", nullable=True)

    @dy.rule()
    def has_text(cls) -> pl.Expr:
        return pl.col("text").str.len_chars() > 0


class TreeNodes(dy.Schema):
    """One row per tree node: steps, and the rollouts that valued them. Each method is a partition of its own."""

    node_id = _id("hash of tree, parent and text", key=True)
    tree_id = _id("hash of prompt, policy and search settings")
    prompt_id = _id("its prompt")
    policy_id = _id("the model that wrote it")
    method = _choice(METHODS, "best_first: Tree-PLV; tot: tree of thoughts, and TPO's branches")
    kind = _choice(["root", "step", "rollout"], "a rollout is a completion that valued its parent")
    parent_id = _id("its parent; null at the root", nullable=True)
    depth = _count("steps from the root; a rollout has its parent's depth")
    draw = _count("number of the draw below its parent")
    prefix = _text("the response before this node's text")
    text = _text("this node's text: one step, or a rollout's rest")
    answer = _text("final answer of a terminal step or a rollout; null otherwise", nullable=True)
    correct = _flag("verdict on that answer; null for inner steps", nullable=True)
    value = _share("how good it is, as `valuation` says; null where it was not valued", nullable=True)
    valuation = dy.String(
        nullable=True,
        check=lambda column: column.is_in(list(VALUATIONS)),
        metadata=_doc(
            "where the value is from. rollouts: share of right ones; answer: 1 or 0, the verifier's word on a terminal "
            "step; verdict, score: the model's own view; vote: its share of votes in its group; reward: a reward model"
        ),
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
    chosen_tokens = _count(
        "tokens of the chosen text, its end-of-turn token included; null: not counted", nullable=True
    )
    rejected_tokens = _count("tokens of the rejected text, counted the same way", nullable=True)
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


class Instructions(dy.Schema):
    """One row per synthetic prompt and what it is compared with (MAPL)."""

    synthesis_id = _id("hash of kind, both contexts and responses", key=True)
    kind = _choice(["intra", "inter"], "one response under two prompts, or two responses under a prompt and its origin")
    condition = _choice(
        ["A", "B", "chosen", "rejected"],
        "intra: the paper's condition; inter: which response of the original pair fulfils what was added",
    )
    prompt_id = _id("the prompt it was made from; its split is that prompt's")
    split = _choice(SPLITS, "the prompt's split")
    messages = _messages("chat turns with instructions added: intra, those of the better prompt")
    other_messages = _messages("intra: the worse prompt, as many instructions; inter: the prompt as it was")
    instructions = _text("JSON of the added instructions, in IFEval's columns")
    other_instructions = _text("JSON of those of the worse prompt; null where none were added", nullable=True)
    response_id = _id("the response: inter, the one that fulfils all that was added")
    other_id = _id("inter: the response that fulfils nothing of it; intra: the same response")
    fulfilled = _share("share of `instructions` that the response fulfils")
    other_fulfilled = _share(
        "intra: share of `other_instructions` that it fulfils; inter: of `instructions`, the other response"
    )

    @dy.rule()
    def never_of_a_test_prompt(cls) -> pl.Expr:
        return pl.col("split") != "test"

    @dy.rule()
    def better_side_fulfils_more(cls) -> pl.Expr:
        return pl.col("fulfilled") > pl.col("other_fulfilled")


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
                "reward": dy.Float64(nullable=True),  # mean of the steps' adaptive rewards; null where not computed
                "steps": dy.List(  # the path, from the root; their texts joined are the item's
                    dy.Struct(
                        {
                            "text": dy.String(),
                            "value": dy.Float64(nullable=True),  # of the step's node; null where it was not valued
                            "reward": dy.Float64(nullable=True),  # adaptive: 1 + cosine to the best item's step, 0 to 2
                        }
                    ),
                    nullable=True,
                ),
            }
        ),
        metadata=_doc("items, the best first: item_id, text, ends, value in [0, 1], rank from 0, reward, steps"),
    )
    policy_id = _id("the model that wrote the items")
    method = _text("how the list was made")

    @dy.rule()
    def has_two_items(cls) -> pl.Expr:
        return pl.col("items").list.len() >= 2


class Unpaired(dy.Schema):
    """One row per text that is good or bad on its own, without a partner (BCO)."""

    unpaired_id = _id("hash of variant and response", key=True)
    variant = _text("data variant")
    prompt_id = _id("its prompt; its split is the prompt's split")
    split = _choice(SPLITS, "the prompt's split")
    messages = _messages("chat turns before the text")
    text = _text("the text")
    ends = _flag("true where the text ends the turn")
    desirable = _flag("true: good (passed its verifier, thumbs up); false: bad")
    weight = dy.Float64(
        min=0, allow_inf=False, allow_nan=False, metadata=_doc("weight in the loss; 1, or the density ratio if bad")
    )
    response_id = _id("its response")
    policy_id = _id("the model that wrote it")
    method = _text("how the row was made")


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
    tokens = _count("sampled tokens; 0 where permuted, because they are paid for already")
    permuted = _flag("true for the control's rows: this pair's question with the text of another pair")


class Votes(dy.Schema):
    """One row per judgement of one ordered pair of responses; both orders of a pair are always there."""

    vote_id = _id("hash of judge, criterion, origin and the ordered pair", key=True)
    prompt_id = _id("its prompt")
    first_id = _id("response that was shown first")
    second_id = _id("response that was shown second")
    judge_id = _id("who judged: a model's id, or the name that a file gives")
    criterion = _text("name of the question that was asked")
    method = _choice(["pairwise", "scores"], "scores: both were scored alone, p_first follows from the two scores")
    p_first = _share("P(first is better)")
    score_first = _number("expected score of the first response; null where they were compared", nullable=True)
    score_second = _number("expected score of the second response; null where they were compared", nullable=True)
    source = _choice(["model", "recorded"], "model: asked here; recorded: imported")
    origin = _text("responses: the pair was sampled here; else the file that it was imported from")
    tokens = _count("tokens sampled for it; 0 for recorded votes")

    @dy.rule()
    def sides_differ(cls) -> pl.Expr:
        return pl.col("first_id") != pl.col("second_id")


class RecordedPairs(dy.Schema):
    """One row per imported pair of responses: it is judged and reported on, never sampled or trained on."""

    pair_id = _id("hash of origin, prompt and both responses", key=True)
    prompt_id = _id("hash of the prompt")
    messages = _messages("chat turns that both responses answer; null where the file gives none", nullable=True)
    first_id = _id("hash of prompt and text, or the id that the file gives")
    second_id = _id("hash of prompt and text, or the id that the file gives")
    first = _text("one response; null where the file gives no texts", nullable=True)
    second = _text("the other response; null where the file gives no texts", nullable=True)
    first_policy = _text("who wrote the first; null where unknown", nullable=True)
    second_policy = _text("who wrote the second; null where unknown", nullable=True)
    label = _share("share of the annotators who find the first better, ties half; null where unknown", nullable=True)
    origin = _text("the file that it was imported from")


class Judges(dy.Schema):
    """One row per judge, criterion, and source and origin of its votes: the judge's report card."""

    judge_id = _id("who judged", key=True)
    criterion = _id("the question", key=True)
    source = dy.String(primary_key=True, metadata=_doc("model: asked here; recorded: imported"))
    origin = _id("responses: pairs that were sampled here; else the file that they were imported from", key=True)
    n_votes = _count("votes")
    n_pairs = _count("pairs, both orders each")
    n_labelled = _count("pairs with a known better side")
    accuracy = _share("share of labelled pairs judged right; a tie or a flip counts half", nullable=True)
    accuracy_low = _share("lower end of its 95 % Wilson interval", nullable=True)
    accuracy_high = _share("upper end of that interval", nullable=True)
    flip_rate = _share("share of pairs whose winner changes with the order; null where only scored", nullable=True)
    first_share = _share("share of decided votes that the first seat wins; null where only scored", nullable=True)
    first_low = _share("lower end of its 95 % Wilson interval, votes taken as independent", nullable=True)
    first_high = _share("upper end of that interval", nullable=True)
    seat_p_value = _share("exact sign test over flipped pairs that no seat is favoured", nullable=True)
    seat_bias = _number("mean log-odds that the first seat wins, nats: 0 is fair; null if only scored", nullable=True)
    flip_rate_corrected = _share("flip rate once the seat bias is subtracted from every vote", nullable=True)
    first_share_corrected = _share("first-seat share once it is subtracted", nullable=True)
    seat_p_value_corrected = _share("the sign test once it is subtracted", nullable=True)
    longer_share = _share("share of decided pairs whose longer text won", nullable=True)
    longer_accuracy = _share("share of labelled pairs whose better side is longer: length alone", nullable=True)
    own_share = _share("share won by the judge's own responses against other policies'", nullable=True)
    own_truth = _share("share of those pairs, where labelled, whose own side is better", nullable=True)
    ece = _share("expected calibration error on labelled pairs, 10 bins", nullable=True)
    ece_calibrated = _share("the same after calibration, each half fitted on the other", nullable=True)
    temperature = _number("divides the log-odds; null: no label, or a judge no better than chance", nullable=True)
    curve = _text("JSON list of [mean p, share right, pairs] per bin; null without labels", nullable=True)
    tokens = _count("tokens sampled for its votes")
    verdict = _text("what the numbers say, in words")


class Scores(dy.Schema):
    """One row per text and reward model that scored it."""

    score_id = _id("hash of text and model", key=True)
    text_id = _id("hash of context and text as token ids")
    response_id = _id("response or node that the text is")
    prompt_id = _id("its prompt")
    model_id = _text("the reward model; no model scored a prompt that it was trained on")
    aspect = _text("what is rewarded")
    raw = _number("reward as the model gives it, nats")
    standardised = _number("raw less the model's mean, in its standard deviations")
    r_lsc = dy.Float64(
        max=0,
        nullable=True,
        allow_inf=False,
        allow_nan=False,
        metadata=_doc("log-sigmoid of raw less its prompt's centre; null for a prompt's only text"),
    )


class PairVotes(dy.Schema):
    """One row per pair of a variant and voter."""

    source = _id("the variant whose pair it is", key=True)
    chosen_id = _id("the labelled side", key=True)
    rejected_id = _id("the other side", key=True)
    voter_id = _id("who votes", key=True)
    pair_id = _id("the pair in its variant")
    prompt_id = _id("its prompt")
    split = _choice(SPLITS, "the prompt's split")
    kind = _choice(["reward head", "recorded"], "what the voter is")
    margin = _number(
        "score of the chosen side minus that of the rejected one; null where the vote has none", nullable=True
    )
    p = _share("P(chosen is better) that the voter says; calibrated where it has a margin")


class PairStrengths(dy.Schema):
    """One row per pair that was voted on: how strongly, and whether its label is right."""

    source = _id("the variant whose pair it is", key=True)
    chosen_id = _id("the labelled side", key=True)
    rejected_id = _id("the other side", key=True)
    pair_id = _id("the pair in its variant")
    prompt_id = _id("its prompt")
    split = _choice(SPLITS, "the prompt's split")
    n_votes = dy.Int64(min=1, metadata=_doc("voters with a margin"))
    mean = _number("mean margin of the voters, in standard deviations of their rewards")
    spread = dy.Float64(
        min=0, allow_inf=False, allow_nan=False, metadata=_doc("population standard deviation of the margins")
    )
    share_against = _share("share of voters that prefer the rejected side")
    decile = dy.Int64(min=0, max=9, metadata=_doc("0: the tenth of the pairs with the lowest means"))
    noise_score = _share("P(the label is wrong); null where only voters of unknown reliability voted", nullable=True)
    flip_rate = _share(
        "share of wrong labels of the label's source, cautious: 1 less the upper end of its reliability", nullable=True
    )


class Voters(dy.Schema):
    """One row per voter: how reliable it is."""

    source = _id("the variant whose pairs were voted on", key=True)
    voter_id = _id("who votes, or label:<method> for who gave the labels", key=True)
    kind = _choice(["label", "reward head", "recorded"], "what the voter is")
    n_votes = _count("pairs that it voted on")
    reliability = _share("P(its side is the better one); null where the votes do not tell", nullable=True)
    low = _share("lower end of its 95 % interval; null where unknown", nullable=True)
    high = _share("upper end", nullable=True)
    agreement = _share("share of labels that it agrees with; of a reward head: held out", nullable=True)
    calibration_error = _share(
        "mean gap between p and the share of labels that agree, over ten bins; null for a label", nullable=True
    )


class NoiseTests(dy.Schema):
    """One row per number of the self-test: labels flipped on purpose, and what finds or mends them."""

    test_id = _id("hash of share, kind, name and metric", key=True)
    source = _text("the variant whose pairs were used")
    flipped_share = _share("share of the training labels that was flipped")
    kind = _choice(["scorer", "treatment", "control"], "what was measured")
    name = _text("scorer or treatment")
    metric = _choice(["auroc", "precision_at_k", "accuracy"], "auroc and precision at k = flips; held-out accuracy")
    value = _share("the metric")
    low = _share("lower end of its interval")
    high = _share("upper end of its interval")
    gain = _number("accuracy less that without a treatment; null for a scorer", nullable=True)
    gain_low = _number("lower end of its paired interval", nullable=True)
    gain_high = _number("upper end", nullable=True)
    n = dy.Int64(min=1, metadata=_doc("pairs behind the number"))


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
    row_ids = dy.List(dy.String(), metadata=_doc("ids of the pairs, lists or texts, sorted"))
    row_marks = dy.List(dy.String(), metadata=_doc("hashes of those rows with all that the loss reads, sorted"))
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
    p_value = _share("two-sided p-value of the gain: sign-flip test over prompts; null for the base", nullable=True)
    p_holm = _share("the same, Holm-corrected across all variants", nullable=True)
    verdict = _choice(["better", "worse", "not distinguishable", "baseline"], "what interval and p_holm say")
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


class Usage(dy.Schema):
    """One row per step of a run that asked a model: what it cost."""

    run_id = _id("the run", key=True)
    step = _id("the step: responses, trees, evaluate outcome, ...", key=True)
    table = _text("the table that the step wrote")
    requests = _count("requests that reached the model")
    cache_hits = _count("requests that the completion cache answered")
    prompt_tokens = _count("tokens of the prompts that reached the model")
    cached_prompt_tokens = _count("of these, tokens that the model's prefix cache held")
    sampled_tokens = _count("tokens that the model sampled")
    saved_tokens = _count("sampled tokens that the completion cache saved")
    seconds = _number("wall time of the step, seconds")
    engine_seconds = _number("of these, spent in the model, loading left out")
    load_seconds = _number("of these, spent loading weights")
    occupancy = _share("share of the continuous batch that was filled, mean over its steps", nullable=True)
    price = _number("sampled tokens at the profile's price; null where it names none", nullable=True)
    finished = _flag("false where the step failed or its budget was reached: its table was not written")


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
    "instructions": Instructions,
    "preference_lists": PreferenceLists,
    "unpaired": Unpaired,
    "votes": Votes,
    "recorded_pairs": RecordedPairs,
    "judges": Judges,
    "rationales": Rationales,
    "scores": Scores,
    "pair_votes": PairVotes,
    "pair_strengths": PairStrengths,
    "voters": Voters,
    "noise_tests": NoiseTests,
    "code_changes": CodeChanges,
    "code_pairs": CodePairs,
    "reference_logps": ReferenceLogps,
    "training_runs": TrainingRuns,
    "evaluations": Evaluations,
    "leaderboard": Leaderboard,
    "usage": Usage,
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
