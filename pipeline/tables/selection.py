"""Tables of selection: what learnt reward models say of steps, and whose choice is right."""

import dataframely as dy

import pipeline.tables.kinds as col
from pipeline.tables.declared import table


@table("step_scores")
class StepScores(dy.Schema):
    """One row per reward model learnt from a variant's pairs and step that it scored."""

    score_id = col.identifier("hash of selector, pair, item and step", key=True)
    selector = col.text("the variant whose pairs the reward model learnt from")
    n_pairs = col.count("pairs that it learnt from; equal for all selectors")
    kind = col.choice(
        ["answer", "chosen", "rejected"], "a step of an answer, or a side of a held-out pair"
    )
    prompt_id = col.identifier("its prompt")
    pair_id = col.identifier("the held-out pair; null for an answer", nullable=True)
    item_id = col.identifier("the response, or the node of a pair's side")
    step = col.count("number of the step in its response, from 0; of a pair's side its depth")
    score = col.number(
        "reward of all up to this step, in deviations from the texts it learnt from; "
        "the mean of noise.models models"
    )
    answer = col.text("the response's final answer; null where it has none", nullable=True)
    correct = col.flag("verdict on the response; null for a pair's side", nullable=True)


@table("selections")
class Selections(dy.Schema):
    """One row per way to take one of a prompt's answers, measured on the test prompts."""

    selector = col.identifier("the variant whose reward model takes it; else nobody", key=True)
    rule = dy.String(
        primary_key=True,
        check=lambda column: column.is_in(["one draw", "vote", "best", "tournament", "any right"]),
        metadata=col.meaning(
            "one draw; vote: the commonest answer; best: the highest score; tournament: most wins "
            "of a round-robin; any right: what no rule can exceed"
        ),
    )
    n_prompts = col.count("test prompts with an answer")
    accuracy = col.share("share of prompts whose answer taken is right; ties share a choice")
    low = col.number("lower end of its bootstrap interval; null: one prompt", nullable=True)
    high = col.number("upper end of that interval", nullable=True)
    over_vote = col.number("accuracy less that of a vote, paired by prompt", nullable=True)
    over_vote_low = col.number("lower end of its bootstrap interval", nullable=True)
    over_vote_high = col.number("upper end of that interval", nullable=True)
    over_outcome = col.number(
        "accuracy less that of the same rule with the outcome verifier; null without one",
        nullable=True,
    )
    over_outcome_low = col.number("lower end of its bootstrap interval", nullable=True)
    over_outcome_high = col.number("upper end of that interval", nullable=True)
    n_pairs = col.count("pairs that the selector learnt from; null for nobody", nullable=True)
    pair_accuracy = col.share(
        "share of its variant's held-out pairs that it orders as labelled; null: none",
        nullable=True,
    )
    n_held_out = col.count("those pairs", nullable=True)
