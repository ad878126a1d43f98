"""Values between equidistant points."""

from __future__ import annotations

import pytest
import torch

from sdeplug.testing.weak.between import means_between

POINTS = torch.linspace(-1.0, 2.0, 25, dtype=torch.float64)
PLACES = torch.tensor([[-1.0, -0.97, 0.0], [0.31, 1.99, 2.0]], dtype=torch.float64)
WEIGHTS = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)


@pytest.mark.parametrize("power", range(6))
def test_polynomials_up_to_degree_five_are_exact_to_the_ends(power):
    found = means_between((POINTS**power)[:, None], POINTS, PLACES, WEIGHTS)
    torch.testing.assert_close(found[:, 0], PLACES**power @ WEIGHTS, rtol=1e-12, atol=1e-12)


def test_each_function_is_its_own_and_the_error_falls_with_the_sixth_power():
    def worst(count):
        points = torch.linspace(-1.0, 2.0, count, dtype=torch.float64)
        values = torch.stack((points.sin(), (5.0 * points).cos()), dim=1)
        wanted = torch.stack((PLACES.sin(), (5.0 * PLACES).cos())) @ WEIGHTS
        return (means_between(values, points, PLACES, WEIGHTS) - wanted.T).abs().max()

    assert worst(41) < 1e-4
    assert worst(321) < worst(41) / 2**15


def test_outside_the_nearest_end_counts():
    far = torch.tensor([[-9.0], [9.0]], dtype=torch.float64)
    found = means_between(POINTS[:, None], POINTS, far, WEIGHTS[:1] / WEIGHTS[0])
    torch.testing.assert_close(found[:, 0], torch.tensor([-1.0, 2.0], dtype=torch.float64))
