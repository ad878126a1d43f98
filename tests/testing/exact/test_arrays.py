"""Orthogonal arrays: exact for sums of functions of one draw; what is not affine is judged."""

from __future__ import annotations

import pytest
import torch

import sdeplug as sp
from sdeplug.errors import PairingError
from sdeplug.testing import CheckFailed, NotApplicable, Unproven
from sdeplug.testing.exact import moments
from sdeplug.testing.exact.arrays import LEVELS, Apart, Arrays, array_moments, counted_draws, nodes
from sdeplug.testing.exact.moments import check_moments
from sdeplug.testing.mutants import spoil
from sdeplug.testing.mutants.chance import (
    Changed,
    Thinned,
    rare_points,
    signs,
    three_points,
    uneven_signs,
    uniform,
)
from sdeplug.testing.mutants.right import EulerMaruyama, ExponentialMidpoint, Langevin
from sdeplug.testing.mutants.seen import ScoreTimes


@pytest.mark.parametrize("levels", LEVELS)
def test_values_of_the_levels_have_the_moments_of_a_normal_number(levels):
    found = nodes(levels)
    assert float(found.mean()) == pytest.approx(0.0, abs=1e-14)
    assert float(found.square().mean()) == pytest.approx(1.0, abs=1e-12)
    assert bool((found != 0.0).all())
    assert float(found.pow(4).mean()) == pytest.approx(3.0, abs=4.0 / levels**0.8)


@pytest.mark.parametrize("levels", LEVELS[:1])
def test_any_two_columns_meet_in_every_pair_of_levels_once(levels):
    noise = Arrays(levels)
    columns = [noise.next_column() for _ in range(levels + 1)]
    for first in range(levels + 1):
        for other in range(first):
            pairs = torch.stack((columns[first], columns[other]), 1)
            assert len(torch.unique(pairs, dim=0)) == levels**2
    again = noise.next_column()
    assert len(torch.unique(torch.stack((again, columns[0]), 1), dim=0)) < levels**2


def test_drawn_values_are_inside_their_levels():
    drawn, fixed = Arrays(16, seed=3, drawn=True), Arrays(16, seed=3)
    part = torch.special.ndtr(drawn.next_column()) * 16
    order = nodes(16).argsort().argsort()
    ranks = (fixed.next_column()[:, None] == nodes(16)).float().argmax(1)
    assert torch.equal(part.floor().long(), order[ranks])


def test_moments_of_a_sum_are_exact():
    def sampler(x, run):
        return 0.5 * x + 2.0 * torch.sign(run.noise.normal(x)) - 0.3 * run.noise.normal(x)

    mean, variance = array_moments(sampler, 1.0, 4.0, Arrays(16))
    assert mean == pytest.approx(0.5, abs=1e-12)
    assert variance == pytest.approx(0.25 * 4.0 + 4.0 + 0.09, abs=1e-12)
    assert counted_draws(sampler) == 2


def test_one_number_serves_all_numbers_of_a_row():
    x = torch.zeros(256, 3, 2, dtype=torch.float64)
    numbers = Arrays(16).normal(x)
    assert numbers.shape == x.shape
    assert bool((numbers == numbers[:, :1, :1]).all())


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize(
    "defect", [Changed(signs), Changed(uniform), Changed(three_points), Thinned(1.0)]
)
@pytest.mark.parametrize("solver", [EulerMaruyama(), ExponentialMidpoint()], ids=repr)
def test_right_noise_of_every_kind_passes(solver, defect):
    assert "in the limit" in check_moments(spoil(solver, defect)).text


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize(
    "defect",
    [
        Changed(signs, 1.01),
        Changed(signs, 0.99),
        Changed(uniform, 1.01),
        Changed(three_points, 1.01),
        Changed(rare_points),
        Changed(uneven_signs),
        Thinned(1.01),
    ],
)
def test_a_small_error_is_seen(defect):
    with pytest.raises(CheckFailed, match="the limit is wrong"):
        check_moments(spoil(EulerMaruyama(), defect))


@pytest.mark.slow
def test_what_chance_hides_is_unproven(monkeypatch):
    """Noise in half of the steps, by chance: eight arrays leave 1.2 % open, and 160 do not."""
    monkeypatch.setattr(moments, "_LOOKS", moments._LOOKS[:1])
    with pytest.raises(Unproven, match=r"errors of up to 1\.\d% of what it chooses"):
        check_moments(spoil(EulerMaruyama(), Thinned(1.0)))


@pytest.mark.thorough
@pytest.mark.slow
def test_an_adaptive_flow_is_judged_by_whether_its_error_falls_with_its_tolerance():
    for tolerance in (1e-3, 0.05):
        dopri = sp.solver("adaptive/row-dopri5", rtol=tolerance, atol=tolerance)
        assert "off by" in check_moments(dopri).text
    with pytest.raises(CheckFailed, match=r"0\.7% is right"):
        check_moments(spoil(sp.solver("adaptive/row-dopri5"), ScoreTimes(1.01)))


@pytest.mark.parametrize(
    ("solver", "why"),
    [
        (EulerMaruyama(), "it is affine"),
        (Langevin(), "a corrector"),
        (sp.solver("adaptive/row-adams"), "steps of its own"),
        (sp.solver("torchdiffeq/dopri5"), "hang together"),
    ],
)
def test_what_others_judge_is_left_to_them(solver, why):
    with pytest.raises(NotApplicable, match=why):
        check_moments(solver)


def test_numbers_of_a_row_come_in_orders_of_their_own():
    noise = Apart(32, 0, (3,))
    x = torch.zeros(noise.rows, 3, dtype=torch.float64)
    first, second = noise.normal(x), noise.normal(x)
    assert torch.equal(first[:, 0].sort().values, first[:, 1].sort().values)
    inside = torch.special.ndtr(torch.stack((first, second))).mul(32).floor()  # the levels
    pairs = inside[0] * 32 + inside[1]
    assert all(len(torch.unique(pairs[:, k])) == 32**2 for k in range(3))
    across = inside[0, :, 0] * 32 + inside[0, :, 1]
    assert len(torch.unique(across)) < 0.7 * 32**2  # as independent numbers meet
    assert noise.normal(x[:, 0]).shape == (noise.rows,)
    with pytest.raises(PairingError, match="4 numbers in each of"):
        noise.normal(torch.zeros(noise.rows, 4, dtype=torch.float64))
