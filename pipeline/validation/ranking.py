"""Does the policy itself rank the better text higher, and could DPO have made it do so?

Chen et al. 2024 (arXiv 2405.19534): ranking accuracy, its ideal, and the loss below which a pair is
ranked right. Only the definition of an unflippable pair is ours.
"""

import polars as pl

IDEAL_BETAS = (0.01, 0.1, 1.0, 5.0, 10.0)  # the paper's
SURE = 0.999  # a sure label: the paper keeps its shares of votes 0.001 away from 0 and 1


def measured(logps: pl.DataFrame, beta: float) -> dict[str, pl.DataFrame]:
    """Metric -> (unit_id, value) per held-out pair, of a trained policy.

    logps: pair_id; chosen, rejected: log-probabilities of the texts under the policy, nats;
    ref_chosen, ref_rejected: under its reference; chosen_tokens, rejected_tokens.
    """
    margin = (pl.col("chosen") - pl.col("ref_chosen")) - (
        pl.col("rejected") - pl.col("ref_rejected")
    )
    before, after = (
        pl.col("ref_chosen") >= pl.col("ref_rejected"),
        pl.col("chosen") >= pl.col("rejected"),
    )
    return {
        "reward_accuracy": _values(logps, (margin.sign() + 1) / 2),
        "reward_margin": _values(logps, beta * margin),
        **ranked_right(logps),
        "flipped_right": _values(logps.filter(~before), after),
        "flipped_wrong": _values(logps.filter(before), ~after),
    }


def of_reference(logps: pl.DataFrame, beta: float) -> dict[str, pl.DataFrame]:
    """Metric -> (unit_id, value) per held-out pair, of the reference:
    how it ranks, and how far DPO could bring it.

    logps: as in `measured`, and strength = P(chosen is better), null where the label is sure: a
    judge's probability, or of steps the expected share of rollouts, and no share of votes. The
    ideal policy of DPO has log pi(chosen) - log pi(rejected) = log ref(chosen) - log ref(rejected)
    + logit(strength) / beta. A pair that the reference ranks wrongly and this policy too cannot be
    flipped, however well it is learned.
    """
    own = logps.with_columns(chosen="ref_chosen", rejected="ref_rejected")
    odds = pl.col("strength").fill_null(SURE).clip(1 - SURE, SURE)
    push = (odds / (1 - odds)).log()
    gap = pl.col("ref_rejected") - pl.col("ref_chosen")  # above 0: ranked wrongly
    wrong = own.filter(gap > 0)
    longer = ((pl.col("chosen_tokens") - pl.col("rejected_tokens")).sign() + 1) / 2
    return {
        **ranked_right(own),
        "longer_right": _values(own, longer),
        "ideal_ranking": _values(own, push / beta > gap),
        **{f"ideal_ranking_beta_{b:g}": _values(own, push / b > gap) for b in IDEAL_BETAS},
        "unflippable": _values(wrong, push / beta <= gap),
        "flip_loss": _values(wrong, (1 + (-beta * gap).exp()).log()),
    }


def ranked_right(logps: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Metric -> (unit_id, value) per held-out pair: whether the chosen text is the likelier one;
    no reference is read.
    """
    per_token = pl.col("chosen") / pl.col("chosen_tokens") >= pl.col("rejected") / pl.col(
        "rejected_tokens"
    )
    return {
        "ranking_accuracy": _values(logps, pl.col("chosen") >= pl.col("rejected")),
        "ranking_accuracy_per_token": _values(logps, per_token),
    }


def _values(rows: pl.DataFrame, value: pl.Expr) -> pl.DataFrame:
    return rows.select(unit_id="pair_id", value=value.cast(pl.Float64))
