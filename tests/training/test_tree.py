"""The tree of texts: common beginnings once, everything else in its place."""

import random

import pytest
import torch

from pipeline.training.tree import grow, micro_batches

CPU = torch.device("cpu")


def test_a_small_tree_by_hand() -> None:
    tree = grow([((7, 8), (1, 2)), ((7, 8), (1, 3)), ((7,), (9,)), ((7, 8), (1, 2))], CPU)
    assert tree.ids.tolist() == [[7, 8, 1, 2, 3, 9]]
    assert tree.positions.tolist() == [[0, 1, 2, 3, 3, 1]]
    assert [(p.start, p.stop, p.spans) for p in tree.paths] == [
        (0, 4, ((0, 4),)),
        (4, 5, ((0, 3), (4, 5))),
        (5, 6, ((0, 1), (5, 6))),
    ]
    assert list(zip(tree.parents.tolist(), tree.targets.tolist(), strict=True)) == [
        (1, 1),
        (2, 2),
        (2, 3),
        (0, 9),
    ]
    assert tree.paths[0].later.int().tolist() == [
        [0, 1, 1, 1],
        [0, 0, 1, 1],
        [0, 0, 0, 1],
        [0, 0, 0, 0],
    ]
    assert tree.tokens.tolist() == [0, 1, 0, 2, 3, 0, 1]
    assert tree.lengths == (2, 2, 1, 2)


def test_random_trees_hold_every_prefix_once_and_spell_every_side() -> None:
    rng = random.Random(0)
    for _ in range(50):
        drawn = [tuple(rng.choices((1, 2), k=rng.randint(2, 9))) for _ in range(8)]
        sides = [(s[:cut], s[cut:]) for s in drawn for cut in [rng.randint(1, len(s) - 1)]]
        tree = grow(sides, CPU)
        ids, depths = tree.ids[0].tolist(), tree.positions[0].tolist()
        spelled = [[node for a, b in path.spans for node in range(a, b)] for path in tree.paths]
        assert len(ids) == len({s[: i + 1] for s in drawn for i in range(len(s))})
        assert {tuple(ids[n] for n in nodes) for nodes in spelled} == set(drawn)
        assert all([depths[n] for n in nodes] == list(range(len(nodes))) for nodes in spelled)
        texts = tree.targets[tree.tokens].split(tree.lengths)
        assert [tuple(text.tolist()) for text in texts] == [text for _, text in sides]


@pytest.mark.parametrize("trees", [True, False])
@pytest.mark.parametrize("budget", [1, 20, 60, 2000])
def test_micro_batches_hold_every_item_once_within_the_budget(budget: int, trees: bool) -> None:
    rng = random.Random(budget)
    items = [
        [((1,) * rng.randint(1, 5), tuple(rng.choices(range(3), k=4))) for _ in range(2)]
        for _ in range(40)
    ]
    found = list(micro_batches(items, lambda item: item, budget, trees))
    assert sorted(item for micro in found for item in micro) == sorted(items)
    for micro in found:
        sequences = [context + text for item in micro for context, text in item]
        prefixes = {s[: i + 1] for s in sequences for i in range(len(s))}
        size = len(prefixes) if trees else len(set(sequences)) * max(map(len, sequences))
        assert len(micro) == 1 or size <= budget
    assert len(found) == {1: 40, 2000: 1}.get(budget, len(found))
