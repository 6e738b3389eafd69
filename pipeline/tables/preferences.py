"""Tables of what is trained on: pairs, ranked lists, single texts and rationales."""

import dataframely as dy
import polars as pl

import pipeline.tables.kinds as col
from pipeline.tables.declared import table
from pipeline.tables.terms import SPLITS


@table("preferences")
class Preferences(dy.Schema):
    """One row per preference:
    (messages, prefix, chosen) over (rejected_messages, rejected_prefix, rejected).
    """

    pair_id = col.identifier("hash of variant, both contexts and both texts", key=True)
    variant = col.text("data variant: outcome, tree_plv, ...")
    level = col.choice(["step", "response", "prompt"], "what the two sides are")
    prompt_id = col.identifier("its prompt; its split is the prompt's split")
    split = col.choice(SPLITS, "the prompt's split")
    depth = col.count("steps that the shared prefix holds; 0 for whole responses")
    messages = col.messages("chat turns before both sides")
    prefix = col.text(
        "start of the assistant's turn that both sides share; empty for whole responses"
    )
    chosen = col.text("text of the better side")
    rejected = col.text("text of the worse side")
    chosen_thought = col.text(
        "what the model wrote before the chosen side's response, marks included; null: nothing",
        nullable=True,
    )
    rejected_thought = col.text("the same for the rejected side", nullable=True)
    chosen_token_ids = col.token_ids(
        "sampled tokens of the chosen side, where its texts do not give them back"
    )
    rejected_token_ids = col.token_ids("the same for the rejected side")
    chosen_ends = col.flag(
        "true where the chosen text ends the turn (an end-of-turn token follows in training)"
    )
    rejected_ends = col.flag("true where the rejected text ends the turn")
    chosen_tokens = col.count(
        "tokens of the chosen text, with its end-of-turn token "
        "and what is learned of its thought; null: not counted",
        nullable=True,
    )
    rejected_tokens = col.count("tokens of the rejected text, counted the same way", nullable=True)
    rejected_messages = col.messages(
        "the rejected side's own turns, where they differ; null: the same", nullable=True
    )
    rejected_prefix = col.text(
        "the rejected side's own prefix, where it differs; null: the same", nullable=True
    )
    chosen_id = col.identifier("response or node of the chosen side")
    rejected_id = col.identifier("response or node of the rejected side")
    strength = col.share(
        "P(chosen is better); of steps: of two rollouts of which one is right, how often it is the "
        "chosen side's; null where unknown",
        nullable=True,
    )
    margin = col.number("difference of the sides' values; null where unknown", nullable=True)
    weight = dy.Float64(
        min=0,
        allow_inf=False,
        allow_nan=False,
        metadata=col.meaning("weight of the pair in the loss; 1 by default"),
    )
    noise_score = col.share("P(the label is wrong); null where nothing voted", nullable=True)
    flipped = col.flag("true where chosen and rejected were exchanged after labelling")
    stage = col.count("stage of a curriculum, from 0; null outside of one", nullable=True)
    rationale_id = col.identifier("rationale of the pair; null where there is none", nullable=True)
    principle_id = col.identifier(
        "group of the principle that the context names; null: it names none", nullable=True
    )
    policy_id = col.identifier("the model that wrote both sides; null where unknown", nullable=True)
    method = col.text("how the pair was made")
    part = col.text("of a mixture: the variant that the pair is from; else null", nullable=True)
    loss = col.text("of a mixture: the loss that learns the pair; else null", nullable=True)

    @dy.rule()
    def sides_differ(cls) -> pl.Expr:
        same_context = pl.col("rejected_messages").is_null() & pl.col("rejected_prefix").is_null()
        return ~same_context | (
            pl.col("chosen").str.strip_chars() != pl.col("rejected").str.strip_chars()
        )

    @dy.rule()
    def both_sides_have_text(cls) -> pl.Expr:
        return (pl.col("chosen").str.len_chars() > 0) & (pl.col("rejected").str.len_chars() > 0)


@table("preference_lists")
class PreferenceLists(dy.Schema):
    """One row per ranked list of finished responses to one prompt (TPO)."""

    list_id = col.identifier("hash of variant, prompt and items", key=True)
    variant = col.text("data variant")
    prompt_id = col.identifier("its prompt; its split is the prompt's split")
    split = col.choice(SPLITS, "the prompt's split")
    messages = col.messages("chat turns before every item")
    items = dy.List(
        dy.Struct(
            {
                "item_id": dy.String(),  # response, leaf, or the rollout that completes a leaf
                "text": dy.String(),
                "ends": dy.Bool(),  # true where the text ends the turn: of every tree's item
                # its leaf's, or its place by votes; in [0, 1]; equal values are not ordered
                "value": dy.Float64(),
                "rank": dy.Int64(),  # 0 is the best; equal values share a rank
                # mean of the steps' adaptive rewards; null where not computed
                "reward": dy.Float64(nullable=True),
                "steps": dy.List(  # the path, from the root; their texts joined are the item's
                    dy.Struct(
                        {
                            "text": dy.String(),
                            # of the step's node; null where it was not valued
                            "value": dy.Float64(nullable=True),
                            # adaptive: 1 + cosine to the best item's step, 0 to 2
                            "reward": dy.Float64(nullable=True),
                        }
                    ),
                    nullable=True,
                ),
            }
        ),
        metadata=col.meaning(
            "items, the best first: item_id, text, ends, value in [0, 1], "
            "rank from 0, reward, steps"
        ),
    )
    orders = dy.List(
        dy.Struct(
            {"better": dy.Int64(), "worse": dy.Int64(), "strength": dy.Float64(nullable=True)}
        ),
        nullable=True,
        metadata=col.meaning(
            "pairs of items whose values differ, by their places from 0, with the strength of the "
            "better one's leaf over the worse one's; null: made before strengths were estimated"
        ),
    )
    thoughts = dy.List(
        dy.Struct({"item_id": dy.String(), "thought": dy.String()}),
        nullable=True,
        metadata=col.meaning(
            "what the model wrote before an item's response, by item_id; null: nothing before any"
        ),
    )
    policy_id = col.identifier(
        "the model that wrote the items; null: several, or unknown", nullable=True
    )
    method = col.text("how the list was made")

    @dy.rule()
    def has_two_items(cls) -> pl.Expr:
        return pl.col("items").list.len() >= 2


@table("unpaired")
class Unpaired(dy.Schema):
    """One row per text that is good or bad on its own, without a partner (BCO)."""

    unpaired_id = col.identifier("hash of variant and response", key=True)
    variant = col.text("data variant")
    prompt_id = col.identifier("its prompt; its split is the prompt's split")
    split = col.choice(SPLITS, "the prompt's split")
    messages = col.messages("chat turns before the text")
    text = col.text("the text")
    thought = col.text(
        "what the model wrote before the text, marks included; null: nothing", nullable=True
    )
    token_ids = col.token_ids(
        "sampled tokens of thought and text, where these do not give them back"
    )
    ends = col.flag("true where the text ends the turn")
    desirable = col.flag("true: good (passed its verifier, thumbs up); false: bad")
    weight = dy.Float64(
        min=0,
        allow_inf=False,
        allow_nan=False,
        metadata=col.meaning("weight in the loss; 1, or, if bad, the density ratio, 0.5 to 10"),
    )
    response_id = col.identifier("its response")
    policy_id = col.identifier("the model that wrote it; null where unknown", nullable=True)
    method = col.text("how the row was made")


@table("rationales")
class Rationales(dy.Schema):
    """One row per reason why a pair's chosen side is better."""

    rationale_id = col.identifier("hash of pair, kind, judge and text", key=True)
    prompt_id = col.identifier("its prompt")
    chosen_id = col.identifier("response of the pair's chosen side")
    rejected_id = col.identifier("response of the pair's rejected side")
    kind = col.choice(["general", "detailed"], "how much was asked for")
    messages = col.messages("chat turns that the rationale answers, as the model saw them")
    text = col.text("the rationale, stripped")
    chosen_first = col.flag("true where the chosen side was shown first")
    p_chosen = col.share(
        "P(chosen is better) judged from the rationale alone; null where not asked", nullable=True
    )
    agrees = col.flag(
        "true where the rationale argues for the chosen side; null where not asked", nullable=True
    )
    judge_id = col.identifier("the model that wrote it")
    tokens = col.count("sampled tokens; 0 where permuted, because they are paid for already")
    permuted = col.flag(
        "true for the control's rows: this pair's question with the text of another pair"
    )
    recipe = col.recipe()
