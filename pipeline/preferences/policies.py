"""Variants whose sides other policies wrote: delta learning, off-policy pairs, the best of all.

Delta learning (arXiv 2507.06187): the response of a stronger model is preferred to that of a weaker
one, whatever either says, and no verifier is asked. Which pairs of responses are taken, and the
other two variants, are our choice.
"""

from collections.abc import Sequence

import polars as pl

from pipeline.config import Settings
from pipeline.config.policies import BASE
from pipeline.errors import OrchardError
from pipeline.preferences.controls import shuffled
from pipeline.preferences.judged import OSP_READS, judged_pairs
from pipeline.preferences.variant import Variant, register
from pipeline.steps.declared import Reads
from pipeline.store.reader import Reader

PER_PROMPT = "preferences.max_pairs_per_prompt"


def answers(lake: Reader, policies: Sequence[str]) -> pl.DataFrame:
    """The responses of some policies, by their names, as rows of `policy_responses`."""
    found = []
    if BASE in policies:
        found.append(lake.read("responses").with_columns(policy=pl.lit(BASE)))
    if others := [name for name in policies if name != BASE]:
        rows = lake.read("policy_responses")
        found.append(rows.filter(pl.col("policy").is_in(others)))
    return pl.concat(found, how="diagonal")


def delta(lake: Reader, settings: Settings) -> pl.DataFrame:
    """A response of the better policy over one of the worse, as `delta` names them."""
    better, worse = compared(settings)
    return lake.query_file(
        "pairs_delta",
        frames={"better": answers(lake, [better]), "worse": answers(lake, [worse])},
        per_prompt=settings.preferences.max_pairs_per_prompt,
    )


def off_policy(lake: Reader, settings: Settings) -> pl.DataFrame:
    """Right against wrong responses of each further policy by itself: `outcome` off policy.

    Both sides are of one policy: else the verifier would often tell two policies apart, as `delta`
    does.
    """
    limit = settings.preferences.max_pairs_per_prompt
    rows = answers(lake, others(settings))
    found = [
        lake.query_file("pairs_outcome", frames={"responses": own}, per_prompt=limit)
        for own in (rows.filter(pl.col("policy") == name) for name in others(settings))
    ]
    return pl.concat(found).sort("chosen_id", "rejected_id")


def best_of_policies(lake: Reader, settings: Settings) -> pl.DataFrame:
    """Of all policies' responses to a prompt the best over the worst, by the judge's votes.

    Of the pairs that its votes order, the one with the greatest strength: two responses that it was
    asked about in vain (tied, or another winner in the other order) make none.
    """
    rows = answers(lake, everyone(settings))
    labels = lake.query_file("verified_pairs", frames={"responses": rows})
    votes, prompts = lake.read("policy_votes"), lake.read("prompts")
    pairs = judged_pairs(votes, rows, labels, prompts, settings, "all")
    order = ["strength", "chosen_id", "rejected_id"]
    ordered = pairs.sort(order, descending=[True, False, False])
    best = ordered.unique("prompt_id", keep="first", maintain_order=True)
    return best.sort("chosen_id", "rejected_id")


def compared(settings: Settings) -> tuple[str, ...]:
    """Whose responses `delta` prefers, and to whose; none where the profile does not say."""
    better = settings.delta.better
    return () if better is None else (better, settings.delta.worse)


def others(settings: Settings) -> tuple[str, ...]:
    """The names of the policies that are not trained."""
    return tuple(own.name for own in settings.policies)


def everyone(settings: Settings) -> tuple[str, ...]:
    """The names of all policies, where there are several."""
    return (BASE, *others(settings)) if settings.policies else ()


def check_policies(names: Sequence[Variant], settings: Settings) -> None:
    """Refuses variants that compare policies which the profile does not have.

    Raises:
        OrchardError: one does; the message says which setting is missing.
    """
    for one in names:
        if one.policies is None or one.policies(settings):
            continue
        asks = "delta.better" if one.policies is compared else "policies"
        raise OrchardError(
            f"variant {one.name!r} compares policies: name another one in {asks}, "
            "or leave the variant out"
        )


DELTA = Variant(
    "delta",
    "response",
    "a better policy's responses",
    Reads(queries=("pairs_delta",), settings=(PER_PROMPT,)),
    delta,
    policies=compared,
)
OFF_POLICY = Variant(
    "off_policy",
    "response",
    "outcome pairs of other policies",
    # the query reads other rows under the name of that table
    Reads(queries=("pairs_outcome",), uncounted=("responses",), settings=(PER_PROMPT,)),
    off_policy,
    policies=others,
)
BEST_OF_POLICIES = Variant(
    "best_of_policies",
    "response",
    "best against worst of all policies, as judged",
    Reads(
        tables=("policy_votes", "prompts"),
        queries=("verified_pairs",),
        settings=tuple(one for one in OSP_READS.settings if one != "judge.ranks"),
        gates=("judges",),
    ),
    best_of_policies,
    loss="soft",
    policies=everyone,
)
for made in (DELTA, OFF_POLICY, BEST_OF_POLICIES):
    register(made, made.control("shuffled", "sides shuffled", shuffled(made.build)))
