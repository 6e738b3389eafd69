"""Batches and learning rates are functions of the seed and the step."""

import pytest

from pipeline.config import TrainingSettings
from pipeline.training.schedule import batches, learning_rate, n_steps, plan
from tests.training.toy import example

SETTINGS = TrainingSettings(batch_pairs=4, epochs=3, learning_rate=1.0, warmup=0.2)
EXAMPLES = [
    example(f"{i:03}", (1,) * (1 + i * 7 % 40), (2,), (3, 4), stage=i % 3) for i in range(42)
]


def test_every_epoch_sees_every_pair_once_in_another_order() -> None:
    steps = batches(EXAMPLES, SETTINGS, seed=0)
    per_epoch = n_steps(len(EXAMPLES), SETTINGS) // 3
    epochs = [
        [i for step in steps[e * per_epoch : (e + 1) * per_epoch] for i in step] for e in range(3)
    ]
    assert len(steps) == n_steps(len(EXAMPLES), SETTINGS) == 33
    assert all(sorted(epoch) == list(range(42)) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_the_same_seed_gives_the_same_pairs_whatever_the_order_of_rows() -> None:
    first = [[EXAMPLES[i].row_id for i in step] for step in batches(EXAMPLES, SETTINGS, seed=0)]
    turned = EXAMPLES[::-1]
    assert [
        sorted(turned[i].row_id for i in step) for step in batches(turned, SETTINGS, seed=0)
    ] == [sorted(step) for step in first]
    assert batches(EXAMPLES, SETTINGS, seed=1) != batches(EXAMPLES, SETTINGS, seed=0)


def test_the_rate_rises_to_its_peak_and_falls_along_a_cosine() -> None:
    rates = [learning_rate(step, 50, SETTINGS) for step in range(50)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == rates[10] == 1.0
    assert rates[30] == pytest.approx(0.5)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.01


def test_a_single_step_has_the_full_rate() -> None:
    assert learning_rate(0, 1, SETTINGS) == 1.0


def test_stages_follow_each_other_each_with_a_schedule_of_its_own() -> None:
    steps = plan(EXAMPLES, SETTINGS, seed=0)
    stages = [{EXAMPLES[i].stage for i in step.rows} for step in steps]
    assert stages == [{stage} for stage in range(3) for _ in range(12)]
    assert [len(step.opens) for step in steps] == [
        14 * (number in (12, 24)) for number in range(36)
    ]
    assert {EXAMPLES[i].stage for i in steps[12].opens} == {1}
    assert [step.rate for step in steps] == 3 * [
        learning_rate(number, 12, SETTINGS) for number in range(12)
    ]
