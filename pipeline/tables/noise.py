"""Tables of reward models that vote: scores, votes, strengths, voters and the self-test."""

import dataframely as dy

import pipeline.tables.kinds as col
from pipeline.tables.declared import table
from pipeline.tables.terms import SPLITS

# kinds of reward models; the first two learn from our pairs
MODELS = ("reward head", "fine-tuned", "external")


@table("scores")
class Scores(dy.Schema):
    """One row per text and reward model that scored it."""

    score_id = col.identifier("hash of text and model", key=True)
    text_id = col.identifier("hash of context and text")
    response_id = col.identifier("response or node that the text is")
    prompt_id = col.identifier("its prompt")
    model_id = col.text("the reward model; no model scored a prompt that it was trained on")
    kind = col.choice(MODELS, "what the model is")
    aspect = col.text("what is rewarded")
    raw = col.number("reward as the model gives it, nats")
    standardised = col.number("raw less the model's mean, in its standard deviations")
    r_lsc = dy.Float64(
        max=0,
        nullable=True,
        allow_inf=False,
        allow_nan=False,
        metadata=col.meaning(
            "log-sigmoid of raw less its prompt's centre, calibrated to nats first for external "
            "models; null: the prompt's only text"
        ),
    )


@table("pair_votes")
class PairVotes(dy.Schema):
    """One row per pair of a variant and voter."""

    source = col.identifier("the variant whose pair it is", key=True)
    chosen_id = col.identifier("the labelled side", key=True)
    rejected_id = col.identifier("the other side", key=True)
    voter_id = col.identifier("who votes", key=True)
    number = dy.Int64(
        primary_key=True,
        min=0,
        metadata=col.meaning("0; of several votes by nobody who was named: 0, 1, ..."),
    )
    pair_id = col.identifier("the pair in its variant")
    prompt_id = col.identifier("its prompt")
    split = col.choice(SPLITS, "the prompt's split")
    kind = col.choice([*MODELS, "recorded"], "what the voter is")
    family = col.text(
        "voters of one origin, which have one vote together; null: it stands for itself",
        nullable=True,
    )
    margin = col.number(
        "score of the chosen side minus that of the rejected one; null where the vote has none",
        nullable=True,
    )
    p = col.share("P(chosen is better) that the voter says; calibrated where it has a margin")


@table("pair_strengths")
class PairStrengths(dy.Schema):
    """One row per pair that was voted on: how strongly, and whether its label is right."""

    source = col.identifier("the variant whose pair it is", key=True)
    chosen_id = col.identifier("the labelled side", key=True)
    rejected_id = col.identifier("the other side", key=True)
    pair_id = col.identifier("the pair in its variant")
    prompt_id = col.identifier("its prompt")
    split = col.choice(SPLITS, "the prompt's split")
    n_votes = dy.Int64(min=1, metadata=col.meaning("voters, those without a margin included"))
    mean = col.number(
        "mean margin, one a family, weighed by its calibration, in standard deviations of rewards; "
        "null where no voter has margins, or none of the pair's tells anything about labels",
        nullable=True,
    )
    spread = dy.Float64(
        min=0,
        nullable=True,
        allow_inf=False,
        allow_nan=False,
        metadata=col.meaning(
            "population standard deviation of the margins; null where none has a margin"
        ),
    )
    share_against = col.share("share of voters that prefer the rejected side")
    decile = dy.Int64(
        min=0,
        max=9,
        nullable=True,
        metadata=col.meaning("0: the tenth with the lowest means; null without a mean"),
    )
    noise_score = col.share(
        "P(the label is wrong); null where only voters of unknown reliability voted", nullable=True
    )
    flip_rate = col.share(
        "estimated share of wrong labels of the label's source: 1 less its consensus; "
        "null: unknown",
        nullable=True,
    )


@table("voters")
class Voters(dy.Schema):
    """One row per voter: how often it is right where that is known, and whom it agrees with."""

    source = col.identifier("the variant whose pairs were voted on", key=True)
    voter_id = col.identifier("who votes, or label:<method> for who gave the labels", key=True)
    kind = col.choice(["label", *MODELS, "recorded"], "what the voter is")
    family = col.text("voters of one origin, which have one vote together", nullable=True)
    n_votes = col.count("pairs that it voted on")
    n_known = col.count(
        "of these, pairs whose better side a verifier or annotators tell", nullable=True
    )
    reliability = col.share(
        "share of its sides that are the better ones, measured on the known pairs; "
        "null: none is known",
        nullable=True,
    )
    low = col.share("lower end of its 95 % interval; null where unknown", nullable=True)
    high = col.share("upper end", nullable=True)
    consensus = col.share(
        "share of its sides that all votes together take for better: agreement and not accuracy, "
        "which voters who err together share; null where the votes do not tell",
        nullable=True,
    )
    consensus_low = col.share("lower end of its 95 % interval; null where unknown", nullable=True)
    consensus_high = col.share("upper end", nullable=True)
    agreement = col.share(
        "share of labels that it agrees with; of a reward head: held out", nullable=True
    )
    calibration_error = col.share(
        "mean gap between p and the share of labels that agree, over ten bins; null for a label",
        nullable=True,
    )
    predicted = col.share(
        "share of labels that its family would agree with "
        "if its reliability by the votes' agreement with each other were true; null for a label",
        nullable=True,
    )
    contradicts = col.flag(
        "true where the labels contradict that: its family, or another one, errs together",
        nullable=True,
    )
    weighed_by = dy.String(
        nullable=True,
        check=lambda column: column.is_in(["reliability", "agreement"]),
        metadata=col.meaning(
            "how the noise scores weigh the voters: by the reliability that explains all votes, "
            "or by agreement with the labels; the better by held-out likelihood of the labels"
        ),
    )


@table("voter_checks")
class VoterChecks(dy.Schema):
    """One row per reward model and set, or subset, of recorded pairs that it was not fitted on."""

    source = col.identifier("the variant whose pairs our own models learnt from", key=True)
    voter_id = col.identifier("the reward model", key=True)
    origin = col.identifier("the file that the pairs were imported from", key=True)
    subset = col.identifier("the subset that the file names; empty: all its pairs", key=True)
    kind = col.choice(MODELS, "what the model is")
    n_pairs = col.count("recorded pairs with texts and a better side, of no training prompt")
    accuracy = col.share("share of them whose better side has the higher reward, ties half")
    low = col.share("lower end of its 95 % Wilson interval")
    high = col.share("upper end of that interval")
    longer_accuracy = col.share("the same by length alone: the longer text is better")


@table("recorded_votes")
class RecordedVotes(dy.Schema):
    """One row per imported vote on a pair:
    by people, a judge behind an API, or another's reward model.
    """

    vote_id = col.identifier("hash of origin and row number", key=True)
    origin = col.text("the file that it was imported from")
    pair_id = col.identifier("the pair, of any variant")
    chosen_id = col.identifier("the pair's labelled side when it was imported")
    rejected_id = col.identifier("the other side")
    voter_id = col.text("who votes; unknown: nobody was named")
    order = col.text("how the pair was shown to the voter; empty where unknown")
    p = col.share("P(chosen is better); null where the vote is a margin", nullable=True)
    margin = col.number(
        "score of the chosen side less that of the rejected one; null if a probability",
        nullable=True,
    )
    metadata = col.text("JSON of the file's other columns; null: none", nullable=True)


@table("noise_tests")
class NoiseTests(dy.Schema):
    """One row per number of the self-test:
    labels flipped on purpose, and what finds or mends them.
    """

    test_id = col.identifier("hash of share, kind, name and metric", key=True)
    source = col.text("the variant whose pairs were used")
    flipped_share = col.share("share of the training labels that was flipped")
    kind = col.choice(["scorer", "treatment", "control"], "what was measured")
    name = col.text("scorer or treatment")
    metric = col.choice(
        ["auroc", "precision_at_k", "accuracy"],
        "auroc and precision at k = flips; held-out accuracy",
    )
    value = col.share("the metric")
    low = col.share("lower end of its interval")
    high = col.share("upper end of its interval")
    gain = col.number("accuracy less that without a treatment; null for a scorer", nullable=True)
    gain_low = col.number("lower end of its paired interval", nullable=True)
    gain_high = col.number("upper end", nullable=True)
    n = dy.Int64(min=1, metadata=col.meaning("pairs behind the number"))


@table("noise_sweep")
class NoiseSweep(dy.Schema):
    """One row per training of the noise sweep:
    labels flipped on purpose, and how well the policy ranks clean pairs.
    """

    sweep_id = col.identifier("hash of source, loss, share and seed", key=True)
    source = col.text("the variant whose pairs were used")
    loss = col.text("name of the loss")
    flipped_share = col.share("share of the training labels that was flipped")
    seed = col.count("training seed")
    n_pairs = col.count("training pairs")
    n_flipped = col.count("of these, with a flipped label")
    n_steps = col.count("optimiser steps")
    accuracy = col.share(
        "share of clean held-out pairs that the implicit reward ranks right, mean over prompts"
    )
    accuracy_low = col.share("lower end of its 95 % bootstrap interval over prompts")
    accuracy_high = col.share("upper end")
    margin = col.number("mean log-ratio of chosen minus rejected on the clean pairs, nats")
    n_held_out = dy.Int64(min=1, metadata=col.meaning("clean pairs"))
    train_accuracy = col.share(
        "share of training pairs ranked as labelled over the last tenth of the steps"
    )
    seconds = col.number("wall time of training, seconds")
