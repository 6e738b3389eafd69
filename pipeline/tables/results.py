"""Tables of what came out and what it cost."""

import dataframely as dy

import pipeline.tables.kinds as col
from pipeline.tables.declared import table
from pipeline.tables.terms import SPLITS


@table("reference_logps")
class ReferenceLogps(dy.Schema):
    """One row per text and reference model:
    its log-probability, computed once and shared by all variants.
    """

    text_id = col.identifier("hash of the context, the text and whether it ends the turn", key=True)
    policy_id = col.identifier("the reference model", key=True)
    logp = dy.Float64(
        max=1e-3,
        allow_inf=False,
        allow_nan=False,
        metadata=col.meaning("sum of log-probabilities of the text's tokens, nats"),
    )
    tokens = dy.Int64(
        min=1, metadata=col.meaning("tokens of the text, the end-of-turn token included")
    )


@table("training_runs")
class TrainingRuns(dy.Schema):
    """One row per trained policy."""

    run_id = col.identifier("hash of variant, data, settings and seed", key=True)
    variant = col.text("the data it was trained on")
    seed = col.count("training seed")
    policy_id = col.identifier("the trained policy")
    reference_id = col.identifier("the model it started from")
    checkpoint = col.text("folder of the weights, relative to the data folder")
    loss = col.text("name of the loss")
    method = col.choice(["full", "lora"], "which weights were trained")
    settings = col.text("JSON of the training settings")
    n_pairs = col.count("pairs trained on, in each epoch")
    row_ids = dy.List(dy.String(), metadata=col.meaning("ids of the pairs, lists or texts, sorted"))
    prompt_ids = dy.List(
        dy.String(), metadata=col.meaning("ids of the prompts of the pairs, lists or texts, sorted")
    )
    n_steps = col.count("optimiser steps done")
    kept_step = col.count(
        "the step whose weights were kept: the last, or the best on validation rows", nullable=True
    )
    looks = col.text(
        "JSON list of [step, loss on validation rows]; empty without early stopping", nullable=True
    )
    tries = col.text(
        "JSON list of the tries that chose its settings: changes, accuracy on validation pairs, "
        "n_pairs, taken; empty where no pair could choose; null without a search and of controls, "
        "which train as their variants",
        nullable=True,
    )
    n_tokens = col.count("tokens of chosen and rejected texts seen, all epochs")
    loss_first = col.number("mean loss over the first tenth of the steps")
    loss_last = col.number("mean loss over the last tenth of the steps")
    accuracy_last = col.share(
        "share of pairs with a positive margin over the last tenth of the steps"
    )
    curve = col.text(
        "JSON list of [step, loss, accuracy, reward margin, mean log-probability per token of the "
        "better texts, and of the others (null: none)]; rows of older code end with the margin"
    )
    length_ratio = col.number("tokens of chosen texts over tokens of rejected texts")
    seconds = col.number("wall time, seconds")


@table("evaluations")
class Evaluations(dy.Schema):
    """One row per evaluated policy, metric and unit (a prompt or a pair)."""

    evaluation_id = col.identifier("hash of policy, metric and unit", key=True)
    policy_id = col.identifier("the policy that was measured")
    variant = col.text("its data variant")
    seed = col.count("its training seed")
    metric = col.text("name of the metric; the table `metrics` has one row per metric")
    unit_id = col.identifier("the prompt or the pair")
    value = col.number("the metric on this unit")
    n = dy.Int64(min=1, metadata=col.meaning("draws behind the value"))
    tokens = col.count("tokens sampled for it")


@table("metrics")
class Metrics(dy.Schema):
    """One row per variant, metric and category:
    means over units and seeds, and what changed against the base.
    """

    variant = col.identifier("data variant", key=True)
    metric = col.identifier("name of the metric", key=True)
    category = col.identifier(
        "all; pool and task of the prompts; or the variant that the pairs are of", key=True
    )
    split = col.choice(
        SPLITS, "whose prompts were measured: test, or validation for metrics on pairs"
    )
    meaning = col.text("what the metric is, with its unit and estimator")
    value = col.number("mean over units and seeds; higher is better only where the meaning says so")
    low = col.number(
        "lower end of its bootstrap interval over units and seeds; null: one unit", nullable=True
    )
    high = col.number("upper end of that interval", nullable=True)
    base = col.number(
        "the base model's mean on the same units; null where it has none", nullable=True
    )
    change = col.number("value minus base, paired by unit", nullable=True)
    change_low = col.number(
        "lower end of the paired bootstrap interval of the change", nullable=True
    )
    change_high = col.number("upper end of that interval", nullable=True)
    p_value = col.share("accuracy by category only: sign-flip test of the change", nullable=True)
    p_holm = col.share(
        "the same, Holm-corrected across all categories of all variants", nullable=True
    )
    verdict = dy.String(
        nullable=True,
        check=lambda column: column.is_in(["better", "worse", "not distinguishable"]),
        metadata=col.meaning("what interval and p_holm say; accuracy by category only"),
    )
    n = dy.Int64(min=1, metadata=col.meaning("units: prompts or pairs"))
    n_seeds = dy.Int64(min=1, metadata=col.meaning("training seeds"))


@table("leaderboard")
class Leaderboard(dy.Schema):
    """One row per variant, and per policy that was trained elsewhere."""

    variant = col.identifier("data variant, or the name of a policy trained elsewhere", key=True)
    brought_from = col.text(
        "where a policy that was trained elsewhere came from; null: it was trained here",
        nullable=True,
    )
    policy_ids = dy.List(
        dy.String(), metadata=col.meaning("the policies that were measured, sorted")
    )
    n_seeds = col.count("training seeds")
    metric = col.text(
        "what ranks: accuracy, another metric, or a weighted sum; "
        "null: an older version wrote it, by accuracy",
        nullable=True,
    )
    value = col.number("the variant's mean of it; null: as for `metric`", nullable=True)
    accuracy = col.share(
        "exact-match accuracy on held-out test prompts, mean over draws, prompts and seeds; "
        "null: no test prompt has a verifier",
        nullable=True,
    )
    greedy = col.share("the same with one answer at temperature 0; null: not asked", nullable=True)
    n_prompts = col.count(
        "prompts on which the base model and every seed of the variant were measured, "
        "those of held-out pairs where these rank: the verdict's size"
    )
    n_failed = col.count(
        "prompts left out, because a request of the base model or the variant failed"
    )
    gain = col.number("value minus the base model's, paired by prompt")
    gain_low = col.number(
        "lower end of its interval: over prompts (bootstrap), with several seeds over both (t)"
    )
    gain_high = col.number("upper end of that interval")
    method = col.text("how interval and p-value were found, and what they answer for")
    p_value = col.share(
        "two-sided p-value of the gain over prompts (sign flips) "
        "or prompts and seeds (t); null: base",
        nullable=True,
    )
    p_holm = col.share("the same, Holm-corrected across all variants", nullable=True)
    seed_sd = col.number(
        "spread of the true gain from seed to seed, standard deviation; null: one seed",
        nullable=True,
    )
    verdict = col.choice(
        ["better", "worse", "not distinguishable", "baseline"], "what interval and p_holm say"
    )
    detectable_gain = col.number(
        "smallest true gain that this many prompts would show with the profile's power; "
        "null: nothing varies",
        nullable=True,
    )
    prompts_needed = col.count(
        "prompts that would show the profile's smallest gain of interest; "
        "null: nothing varies, or seeds vary too much",
        nullable=True,
    )
    conclusion = col.text("the verdict in a sentence, with the prompts that it would take")
    reward_accuracy = col.share(
        "share of held-out pairs whose chosen side the policy prefers more than its reference does",
        nullable=True,
    )
    reward_pairs = col.count("held-out pairs behind it")
    ranking_accuracy = col.share(
        "share of held-out pairs whose chosen side is the likelier one", nullable=True
    )
    win_rate = col.share(
        "share of judged comparisons won against the base model's answers; null: not asked",
        nullable=True,
    )
    length_controlled_win_rate = col.share(
        "the same for answers as long as the base model's (Dubois et al. 2024)", nullable=True
    )
    n_pairs = col.count("training pairs")
    n_train_prompts = col.count(
        "training prompts that they are of, out of a pool that all variants share"
    )
    n_tokens = col.count("trained tokens")
    n_steps = col.count("optimiser steps, the most of any seed")
    length_ratio = col.number("tokens of chosen over rejected in training", nullable=True)
    response_tokens = col.number(
        "mean tokens of a sampled answer at the test; null: no test prompt has a verifier",
        nullable=True,
    )
    answer_length_ratio = col.number(
        "the same over the base model's, each in tokens of its own tokenizer; null: as for it",
        nullable=True,
    )
    data_tokens = col.count(
        "tokens that the variant's data would cost alone: "
        "all sampled tokens of the tables that it is made from, "
        "those included that it shares with another variant through the cache; "
        "what was really spent stands in `usage`"
    )
    data_seconds = col.number(
        "time that sampling these takes at the engine's mean speed so far; "
        "null where that is unknown",
        nullable=True,
    )
    train_seconds = col.number("wall time of training, seconds, all seeds")
    gain_per_million_tokens = col.number("gain per million of data_tokens", nullable=True)
    gain_per_hour = col.number(
        "gain per hour of data_seconds and of training one seed; null where either is unknown",
        nullable=True,
    )


FAMILIES = (
    "base", "control", "pairwise", "sets", "brought", "brought_pairwise", "brought_sets",
)  # fmt: skip


@table("comparisons")
class Comparisons(dy.Schema):
    """One row per test of a variant against the base model, a control of its own, or a rival,
    and per evaluation set against the base model.
    """

    variant = col.identifier("data variant; of two rivals the one that is ahead", key=True)
    against = col.identifier("base, or another variant", key=True)
    family = col.choice(
        FAMILIES,
        "tests that are corrected together: against the base model, of variants against their "
        "controls, of variants that are no controls against each other, and against the base model "
        "on each evaluation set; those of policies trained elsewhere are families of their own",
    )
    metric = col.identifier(
        "what ranks: a metric, or a weighted sum; of a set with its name: accuracy@gsm8k_test",
        key=True,
    )
    n_prompts = col.count("prompts on which both were measured")
    gain = col.number("value of the variant minus the other's, paired by prompt")
    gain_low = col.number("lower end of its interval, as on the leaderboard; of this test alone")
    gain_high = col.number("upper end of that interval")
    method = col.text("how interval and p-value were found, and what they answer for")
    p_value = col.share("two-sided")
    p_holm = col.share("the same, Holm-corrected within the family")
    verdict = col.choice(["better", "worse", "not distinguishable"], "what interval and p_holm say")
    effect_size = col.number(
        "gain over the standard deviation of the prompts' differences (Cohen's d_z); "
        "null: nothing varies",
        nullable=True,
    )
    seed_sd = col.number("spread of the true gain from seed to seed; null: one seed", nullable=True)
    detectable_gain = col.number(
        "smallest true gain that so many prompts would show; null: nothing varies", nullable=True
    )
    prompts_needed = col.count(
        "prompts that would show the profile's smallest gain of interest; "
        "null: nothing varies, or seeds vary too much",
        nullable=True,
    )
    conclusion = col.text("the test in a sentence")


@table("usage")
class Usage(dy.Schema):
    """One row per step of a run that asked a model, or took five seconds or more: what it cost."""

    run_id = col.identifier("the run", key=True)
    step = col.identifier("the step: responses, trees, evaluate outcome, ...", key=True)
    table = col.text("the table that the step wrote")
    requests = col.count("requests that reached the model")
    cache_hits = col.count("requests that the completion cache answered")
    prompt_tokens = col.count("tokens of the prompts that reached the model")
    cached_prompt_tokens = col.count("of these, tokens that the model's prefix cache held")
    sampled_tokens = col.count("tokens that the model sampled")
    saved_tokens = col.count("sampled tokens that the completion cache saved")
    seconds = col.number("wall time of the step, seconds")
    engine_seconds = col.number("of these, spent in the model, loading left out")
    load_seconds = col.number("of these, spent loading weights")
    occupancy = col.share(
        "share of the continuous batch that was filled, mean over its steps", nullable=True
    )
    price = col.number(
        "sampled tokens at the profile's price; null where it names none", nullable=True
    )
    finished = col.flag(
        "false where the step failed or its budget was reached: its table was not written"
    )


@table("rejects")
class Rejects(dy.Schema):
    """One row per row that was dropped."""

    reject_id = col.identifier("hash of table, step, row and reason", key=True)
    table = col.text("the table it would have gone to")
    step = col.text("the step that dropped it")
    row_id = col.text("its id, where it had one", nullable=True)
    reason = col.text(
        "why; it ends in `the next run asks again` "
        "where only a passing fault of a server cost the row"
    )
    row = col.text("the row as JSON")
    prompt_id = col.identifier("its prompt; null where it has none", nullable=True)
    passing = col.flag(
        "true: a passing fault of a server cost it, the next run asks again", nullable=True
    )
    recipe = col.identifier(
        "hash of what its prompt was made from; null where the step makes all prompts at once, "
        "or where the fault may pass",
        nullable=True,
    )
