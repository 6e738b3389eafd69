"""Plots of values that leave nothing to plot between them."""

import numpy as np
import pytest

from pipeline.figures import histogram


@pytest.mark.parametrize(
    "values",
    [[], [0.5], [0.5, 0.5 + 1e-16], [0.1 + 0.2, 0.3], [1e300, 1e300], [0.0, -0.0], [1, 2, 3]],
    ids=str,
)
def test_every_value_is_in_a_bar(values: list[float]) -> None:
    (axes,) = histogram(values, "strength", "pairs").axes
    assert sum(bar.get_height() for bar in axes.patches) == len(values)


def test_values_that_differ_by_rounding_are_one_bar() -> None:
    near = [0.7, np.nextafter(0.7, 1), np.nextafter(0.7, 0)]
    (axes,) = histogram(near, "strength", "pairs").axes
    assert sorted(bar.get_height() for bar in axes.patches)[-1] == 3
