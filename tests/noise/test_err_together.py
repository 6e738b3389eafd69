"""Voters who err together, in worlds whose truth was drawn here.

Two better voters, each for itself, and two poor ones with a common bias; the labels are right at a
known share. Where a third family votes, its two members share three quarters of their errors.
"""

from functools import cache

import numpy as np
import polars as pl
import pytest

from pipeline.config import NoiseSettings, VoterSettings
from pipeline.errors import OrchardError
from pipeline.noise.agreement import by_agreement
from pipeline.noise.calibrate import calibrate
from pipeline.noise.choice import predicted_agreement, weigh
from pipeline.noise.coding import Coded, code
from pipeline.noise.families import declared, pooled, with_families
from pipeline.noise.judgement import judge, warnings
from pipeline.noise.reliability import ABOVE_HALF, Course, by_em, lcpo
from pipeline.noise.strength import strengths
from pipeline.noise.treatments import TREATMENTS, Doubts
from pipeline.noise.voting import recorded_votes
from pipeline.tables import TABLES
from tests.noise.simulate import auroc
from tests.noise.test_elsewhere import pairs_of

N = 400
FAMILIES = {"poor": ("poor a", "poor b"), "third": ("third a", "third b")}


def votes_of(right: dict[str, np.ndarray], label: np.ndarray, name: str = "") -> pl.DataFrame:
    """Votes for the labelled side, and the labels as votes of `label`."""
    ids = [f"{name}{i:04d}" for i in range(len(label))]
    frames = [
        pl.DataFrame({"pair_id": ids, "voter_id": name + voter, "p": (said == label).astype(float)})
        for voter, said in right.items()
    ]
    return pl.concat(
        [*frames, pl.DataFrame({"pair_id": ids, "voter_id": f"{name}label", "p": 1.0})]
    )


def biased(
    rng: np.random.Generator, *, clean: float, third: bool = False
) -> tuple[pl.DataFrame, np.ndarray]:
    """The votes, and which labels are right."""
    label = rng.random(N) < clean
    right = {"fine": rng.random(N) < 0.85, "fair": rng.random(N) < 0.7}

    def family(name: str, share: float, shared: float) -> None:
        common = rng.random(N) < share
        for member in "ab":
            alone = rng.random(N) < share
            right[f"{name} {member}"] = np.where(rng.random(N) < shared, common, alone)

    family("poor", 0.42, 0.95)
    if third:
        family("third", 0.75, 0.75)
    return votes_of(right, label), label


def as_families(votes: pl.DataFrame) -> pl.DataFrame:
    families = declared(NoiseSettings(families=FAMILIES))
    return pooled(with_families(votes.with_columns(kind=pl.lit("recorded")), families))


def found_flips(votes: pl.DataFrame, label: np.ndarray) -> float:
    found = weigh(votes, None, {"label"}).found
    return auroc(found.pairs.sort("pair_id")["noise_score"].to_numpy(), ~label)


def test_a_shared_bias_does_not_turn_the_noise_score_upside_down() -> None:
    rng = np.random.default_rng(0)
    found, by_em_alone = [], []
    for _ in range(40):
        votes, label = biased(rng, clean=0.8)
        found.append(found_flips(votes, label))
        plain = lcpo(votes).pairs.sort("pair_id")["noise_score"].to_numpy()
        by_em_alone.append(auroc(plain, ~label))
    assert np.mean(found) >= 0.90 and min(found) > 0.8  # Bayes' rule: .909
    assert np.mean(by_em_alone) < 0.6  # what the choice is for


@pytest.mark.parametrize("clean", [0.7, 0.6])
@pytest.mark.parametrize("pool", [True, False])
def test_a_third_family_carries_the_score_over_many_flips(clean: float, pool: bool) -> None:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(20):
        votes, label = biased(rng, clean=clean, third=True)
        found.append(found_flips(as_families(votes) if pool else votes, label))
    assert np.mean(found) >= (0.92 if pool else 0.85)  # Bayes' rule: .945


def test_the_labels_source_stays_above_one_half() -> None:
    rng = np.random.default_rng(2)
    for _ in range(5):
        coded = code(biased(rng, clean=0.6)[0], None)
        at = coded.voter_ids.to_list().index("label")
        assert by_em(coded, Course(), {"label"}).said[0][at] >= ABOVE_HALF
        moments = by_agreement(coded, {"label"})
        assert moments is not None and moments.said[0][at] >= ABOVE_HALF


def test_moments_by_hand() -> None:
    """Four pairs: a agrees with the label on three, b on three, both together on two."""
    rows = {"a": [1, 1, 1, 0], "b": [1, 1, 0, 1]}
    right = {name: np.array(said, dtype=bool) for name, said in rows.items()}
    coded = code(votes_of(right, np.ones(4, dtype=bool)), None)
    # mean agreement 1/2 each, their product 0: the slope is 0, so that m of the label is 1
    found = by_agreement(coded, {"label"})
    assert found is not None
    assert found.said[0] == pytest.approx([0.75, 0.75, 1 - 1 / 6])
    # b as a: product 1, slope 1 / (1/4) = 4, m of the label 1/2, so that both have m = 1
    same = by_agreement(
        code(votes_of({**right, "b": right["a"]}, np.ones(4, dtype=bool)), None), {"label"}
    )
    assert same is not None
    assert same.said[0] == pytest.approx([1 - 1 / 6, 1 - 1 / 6, 0.75])


@cache
def many_votes(clean: float) -> tuple[pl.DataFrame, np.ndarray]:
    """Votes of 2,000 worlds of 150 pairs and three independent voters, and which labels are wrong:
    each world has its own voters, so that one fit is 2,000 fits.
    """
    rng = np.random.default_rng(3)
    frames, wrong = [], []
    for world in range(2000):
        label = rng.random(150) < clean
        right = {f"v{eta}": rng.random(150) < eta for eta in (0.85, 0.75, 0.65)}
        frames.append(votes_of(right, label, f"{world:04d} "))
        wrong.append(~label)
    return pl.concat(frames), np.concatenate(wrong)


@cache
def many_worlds(clean: float) -> tuple[Coded, frozenset[str]]:
    """The same, coded, and the voters that are the labels' sources."""
    coded = code(many_votes(clean)[0], None)
    return coded, frozenset(name for name in coded.voter_ids if name.endswith("label"))


def test_noise_scores_are_calibrated_over_2000_worlds() -> None:
    """Of the labels that are said to be wrong by so much, about as many are."""
    votes, wrong = many_votes(0.8)
    said = lcpo(votes).pairs.sort("pair_id")["noise_score"].to_numpy()
    place = np.clip((said * 10).astype(int), 0, 9)
    parts = [(said[place == n], wrong[place == n]) for n in range(10)]
    apart = [abs(one.mean() - other.mean()) for one, other in parts if len(one)]
    size = [len(one) for one, _ in parts if len(one)]
    assert said.mean() == pytest.approx(wrong.mean(), abs=0.02)
    assert len(apart) == 10 and np.average(apart, weights=size) < 0.05


def test_the_rate_of_wrong_labels_is_calibrated_by_both_over_2000_worlds() -> None:
    coded, labels = many_worlds(0.8)
    gave = coded.voter_ids.is_in(list(labels)).to_numpy()
    moments = by_agreement(coded, labels)
    assert moments is not None
    for fit in (by_em(coded, Course(), labels), moments):
        rate = 1 - fit.said[0][gave]
        assert rate.mean() == pytest.approx(0.2, abs=0.02)
        assert np.median(rate) == pytest.approx(0.2, abs=0.02)


def test_independent_voters_are_rarely_said_to_contradict_themselves_over_2000_worlds() -> None:
    coded, labels = many_worlds(0.8)
    said = by_em(coded, Course(), labels).said
    # four voters a world, three of them tested: a level of 5 % in each of 2,000 worlds
    found = predicted_agreement(coded, said, labels, level=0.05 * 2000)
    world = pl.col("voter_id").str.slice(0, 4)
    flagged = found.group_by(world).agg(pl.col("contradicts").any())["contradicts"]
    assert flagged.len() == 2000 and flagged.mean() <= 0.05


def test_where_the_fit_of_all_votes_is_upside_down_that_is_said_aloud() -> None:
    rng = np.random.default_rng(4)
    turned, said = 0, 0
    for _ in range(60):
        votes, label = biased(rng, clean=0.8)
        coded = code(votes, None)
        fit = by_em(coded, Course(), {"label"})
        if auroc(1 - fit.w, ~label) < 0.5:
            turned += 1
            said += predicted_agreement(coded, fit.said, {"label"})["contradicts"].any()
    assert turned >= 15 and said == turned


def test_the_table_and_the_words_tell_who_contradicts_whom() -> None:
    votes, label = biased(np.random.default_rng(0), clean=0.8)
    pairs = pairs_of(votes["pair_id"].unique().sort().to_list())
    shares = votes.filter(pl.col("voter_id") != "label")
    shares = shares.with_columns(margin=pl.lit(None, pl.Float64))
    rows = recorded_votes(pairs, shares, "made")
    known = pl.DataFrame({"pair_id": pairs["pair_id"], "right": label.astype(float)})
    known = known.with_columns(verified=pl.lit(True))
    strength, voters = judge(pairs, rows, "made", NoiseSettings(method="none"), known)
    for table, found in (("pair_votes", rows), ("pair_strengths", strength), ("voters", voters)):
        good, bad = TABLES[table].filter(found)
        assert good.height == found.height and not bad.counts(), table
    by_name = {row["voter_id"]: row for row in voters.to_dicts()}
    assert {row["weighed_by"] for row in by_name.values()} == {"agreement"}
    for name, share in {"fine": 0.85, "fair": 0.7, "poor a": 0.42, "label:made": 0.8}.items():
        row = by_name[name]
        assert row["n_known"] == N and row["reliability"] == pytest.approx(share, abs=0.06)
        assert row["low"] < row["reliability"] < row["high"]
    assert by_name["fine"]["contradicts"] and by_name["fine"]["predicted"] < 0.6
    (said,) = warnings(voters)
    assert said.startswith("RELIABILITY AND AGREEMENT CONTRADICT EACH OTHER on the pairs of made:")
    assert "fine (agrees with " in said and "noise.families" in said
    # with the two poor ones declared to be one family, nothing contradicts anything
    families = declared(NoiseSettings(families=FAMILIES))
    pooled_rows = recorded_votes(pairs, shares, "made", families)
    again = judge(pairs, pooled_rows, "made", NoiseSettings(method="none"))[1]
    assert not warnings(again) and again["reliability"].null_count() == again.height
    assert set(again["n_known"]) == {0}


def siblings_and_a_strong_model(n: int = 2000) -> tuple[pl.DataFrame, np.ndarray]:
    """Margins of ten heads that share their errors and are right on .68, and of one model that is
    right on .998; a fifth of the labels is wrong.
    """
    rng = np.random.default_rng(5)
    label = rng.random(n) < 0.8
    truth = np.where(label, 1.0, -1.0)  # of the labelled side
    ids = [f"p{i:04d}" for i in range(n)]
    common = 0.47 * truth + rng.normal(0, 1, n)  # Phi(.47) = .68
    margins = {f"head {m}": common + rng.normal(0, 0.2, n) for m in range(10)}
    margins["strong"] = 2.9 * truth + rng.normal(0, 1, n)  # Phi(2.9) = .998
    frames = [
        pl.DataFrame(
            {
                "pair_id": ids,
                "voter_id": name,
                "kind": "external" if name == "strong" else "reward head",
                "margin": margin * 2**0.5 / np.sqrt((margin**2).mean()),
            }
        )
        for name, margin in margins.items()
    ]
    votes = pl.concat(frames).with_columns(p=pl.lit(None, pl.Float64))
    return calibrate(votes), label


def test_ten_siblings_do_not_outvote_a_strong_reward_model() -> None:
    votes, label = siblings_and_a_strong_model()

    def right(mean: pl.Series) -> float:
        return float(((mean.to_numpy() > 0) == label).mean())

    plain = strengths(votes)
    assert right(plain["mean"]) < 0.8  # one vote a model
    weighed = strengths(with_families(votes, {}))
    assert right(weighed["mean"]) > 0.99
    flipped = TREATMENTS["flip"](
        Doubts(
            weighed["pair_id"].to_list(),
            weighed["mean"].to_numpy(),
            np.zeros(len(label)),
            np.zeros(len(label)),
        ),
        NoiseSettings(flip_share=0.2),
    ).flip
    assert (flipped == ~label).mean() > 0.97


def test_a_voter_without_margins_has_its_part_in_the_mean_beside_those_who_have_them() -> None:
    votes, label = siblings_and_a_strong_model(600)
    heads = votes.filter(pl.col("kind") == "reward head")
    people = heads.filter(pl.col("voter_id") == "head 0").with_columns(
        voter_id=pl.lit("ann"), kind=pl.lit("recorded"), margin=pl.lit(None, pl.Float64),
        p=pl.Series(np.where(label, 0.95, 0.05)),
    )  # fmt: skip
    found = strengths(with_families(pl.concat([heads, people]), {}))
    assert ((found["mean"].to_numpy() > 0) == label).mean() > 0.99
    alone = strengths(with_families(people, {}))
    assert alone["mean"].null_count() == 600  # no margins at all: no mean


def test_a_voter_of_two_families_is_one_line() -> None:
    settings = NoiseSettings(families={"one": ("ann",), "two": ("ann", "bob")})
    with pytest.raises(OrchardError, match="noise.families: voter 'ann' is of 'one' and 'two'"):
        declared(settings)


def test_families_are_those_of_own_models_of_judges_and_of_the_profile() -> None:
    kinds = {"head 0 on m": "reward head", "rm@1": "external", "j on help": "recorded",
             "j on safe": "recorded", "ann": "recorded", "k on help": "recorded"}  # fmt: skip
    asked = pl.DataFrame({"judge_id": ["j", "j", "k"], "criterion": ["help", "safe", "help"]})
    external = (VoterSettings(name="rm", model="m", family="llama"),)
    settings = NoiseSettings(external=external, families={"llama": ("k",)})
    votes = pl.DataFrame({"voter_id": list(kinds), "kind": list(kinds.values())})
    found = with_families(votes, declared(settings, asked))
    assert dict(found.select("voter_id", "family").iter_rows()) == {
        "head 0 on m": "own models", "rm@1": "llama", "j on help": "j", "j on safe": "j",
        "ann": "ann", "k on help": "llama",
    }  # fmt: skip
