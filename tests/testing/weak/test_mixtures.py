"""Leaks on a mixture in two dimensions: right solvers have none, and one per cent is seen."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import pytest
import torch

from sdeplug import VPSDE, Corrected, Corrector, LogSNR, OnGrid, option
from sdeplug.testing import CheckFailed, NotApplicable
from sdeplug.testing.claimed import own_grid, tolerant, without_correctors
from sdeplug.testing.mutants import spoil
from sdeplug.testing.mutants.chance import (
    Changed,
    Thinned,
    rare_points,
    signs,
    three_points,
    uneven_signs,
)
from sdeplug.testing.mutants.heard import Scaled
from sdeplug.testing.mutants.joined import When
from sdeplug.testing.mutants.owned import WholeGrid
from sdeplug.testing.mutants.promises import Promise
from sdeplug.testing.mutants.right import (
    AdamsBashforth,
    EulerMaruyama,
    ExponentialEuler,
    ExponentialMidpoint,
    Langevin,
    RowLangevin,
)
from sdeplug.testing.mutants.right_kinds import AdaptiveHeun
from sdeplug.testing.mutants.right_metropolis import AdjustedLangevin
from sdeplug.testing.mutants.right_random import RandomisedMidpoint, RandomSubsteps
from sdeplug.testing.mutants.right_steps import OwnGrid, RowHeun
from sdeplug.testing.mutants.seen import ScoreTimes
from sdeplug.testing.mutants.unsaid import Curved
from sdeplug.testing.mutants.when import near_zero, varying
from sdeplug.testing.weak.balanced import Balanced
from sdeplug.testing.weak.mixtures import check_mixture_leaks
from sdeplug.testing.weak.modes import of_modes, points, three_modes, told_of_modes

SDE = VPSDE()
PLAIN = EulerMaruyama()
CURVED = Curved(0.01)


def test_signs_are_balanced_in_any_four_columns():
    noise = Balanced(1, 10)
    z = noise.normal(torch.zeros(noise.repeats, 10, dtype=torch.float64))
    for count in (1, 2, 3, 4):
        for chosen in itertools.combinations(z.unbind(1), count):
            assert float(torch.stack(chosen).prod(0).sum()) == 0.0


def test_sizes_are_those_of_an_array_and_have_the_variance_of_a_normal_number():
    noise = Balanced(1, 5, 4)
    z = noise.normal(torch.zeros(noise.repeats, 5, dtype=torch.float64))
    sizes = z.abs().exp().unbind(1)
    for one, other in itertools.combinations(sizes, 2):
        assert float((one * other).mean()) == pytest.approx(float(one.mean() * other.mean()))
    assert torch.allclose(z.square().mean(0), torch.ones(5, dtype=torch.float64), atol=1e-12)


def test_all_points_have_the_same_whole_array():
    noise = Balanced(3, 2, 4)
    z = noise.normal(torch.zeros(3 * noise.repeats, 2)).reshape(3, -1, 2)
    assert torch.equal(z[0], z[1])
    assert torch.equal(z[0], z[2])


def test_a_part_of_an_array_has_each_share_of_the_law_once():
    noise = Balanced(5, 3, 16, 0)
    z = noise.normal(torch.zeros(5 * noise.repeats, 3, dtype=torch.float64))
    sizes = z.abs().reshape(5, 16, -1, 3)[:, :, 0]
    shares = (16.0 * (2.0 * torch.special.ndtr(sizes) - 1.0)).floor().sort(1).values
    assert torch.equal(shares, torch.arange(16.0, dtype=torch.float64)[:, None].expand_as(shares))


def test_sizes_that_are_drawn_have_the_law_of_a_normal_number():
    z = torch.cat([
        noise.normal(torch.zeros(16 * noise.repeats, 1, dtype=torch.float64))
        for noise in (Balanced(16, 1, 16, seed) for seed in range(40))
    ])  # fmt: skip
    for mark in (0.3, 0.9674, 2.0):
        share = float((z.abs() > mark).double().mean())
        right = 2.0 * float(torch.special.ndtr(torch.tensor(-mark)))
        # One of 16 parts is cut: 16 x 40 independent numbers, at most half a part off; 5 sigma.
        assert share == pytest.approx(right, abs=5.0 * 0.5 / 16.0 / 640.0**0.5)


def test_other_draws_than_were_to_come_are_told():
    with pytest.raises(NotApplicable, match="for some rows alone"):
        Balanced(4, 2).normal(torch.zeros(3, 2))
    with pytest.raises(NotApplicable, match="16 are the most"):
        Balanced(4, 17)
    with pytest.raises(NotApplicable, match="9 are the most"):
        Balanced(4, 10, 8)
    with pytest.raises(NotApplicable, match="16 are the most"):
        Balanced(4, 20, 32, 0)


@pytest.mark.parametrize("t", [0.15, 0.3])
def test_sums_over_points_are_integrals_over_p_t(t):
    x, weights = points(SDE, t)
    mean, covariance = three_modes().moments(t, SDE)
    off = x - mean
    assert torch.allclose(weights @ x, mean, atol=1e-4)
    assert torch.allclose(off.T @ (weights[:, None] * off), covariance, atol=3e-4)
    assert float((weights @ of_modes(x, t, SDE)).abs().max()) < 5e-4


def test_an_error_of_one_per_cent_is_one_of_its_kind():
    """Samples that are twice as wide about their mode, and more in one of them."""
    x = three_modes().means[0] + torch.zeros(1, 2, dtype=torch.float64)
    told = of_modes(x, 0.0, SDE)[0]
    share = float(three_modes().responsibilities(x)[0, 0] / three_modes().weights[0])
    assert float(told[0]) == pytest.approx(0.5 * (share - 1.0))  # half of what the weight is off
    assert told[[3, 6]].abs().max() < 1e-12  # it is where its mode is
    assert float(told[9]) == float(told[12]) == pytest.approx(-0.5 * share)
    assert told_of_modes(0, 0.01) == "the weight of mode 1 is off by +2 %"
    assert told_of_modes(11, -0.01) == "the standard deviation of mode 3 is off by -1 %"


@pytest.mark.parametrize(
    "solver",
    [
        PLAIN,
        ExponentialMidpoint(),
        AdamsBashforth(),
        OnGrid(AdamsBashforth(), LogSNR(4)),
        RandomisedMidpoint(),
        pytest.param(RandomSubsteps(3), marks=pytest.mark.slow),
        RandomSubsteps(),
        AdaptiveHeun(),
        RowHeun(),
        RowHeun(1e-5),
        OwnGrid(),
        OnGrid(PLAIN, LogSNR(4)),
        OnGrid(ExponentialEuler(), LogSNR(4, power=2.0), noiseless_last=True),
        OnGrid(RowHeun(), LogSNR(4)),
        spoil(PLAIN, Changed(signs)),
        spoil(PLAIN, Thinned(1.0)),
        pytest.param(
            spoil(RowHeun(), Changed(three_points)), marks=(pytest.mark.slow, pytest.mark.thorough)
        ),
        pytest.param(spoil(PLAIN, Changed(three_points)), marks=pytest.mark.slow),
    ],
    ids=repr,
)
def test_right_solvers_leak_nothing(solver):
    by_row = tolerant(solver) and solver.claims.stochastic and not own_grid(solver)
    assert check_mixture_leaks(solver).text.endswith(f"at {18 if by_row else 3} places")


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        (spoil(PLAIN, Scaled(1.003)), "standard deviation|mean"),
        (spoil(AdamsBashforth(), ScoreTimes(0.995)), "of mode"),
        (spoil(PLAIN, CURVED), "of mode"),
        (spoil(AdamsBashforth(), CURVED), "of mode"),
        (OnGrid(spoil(AdamsBashforth(), Curved(0.02)), LogSNR(4)), "of mode"),
        (spoil(PLAIN, Changed(signs, 1.01)), "of mode"),
        (spoil(AdaptiveHeun(), CURVED), "with tolerances 0.25 times as large: .* of mode"),
        (OnGrid(spoil(PLAIN, CURVED), LogSNR(4)), "of mode"),
        (OwnGrid(spoil(PLAIN, Scaled(1.003))), "of mode"),
        (OwnGrid(spoil(ExponentialMidpoint(), ScoreTimes(0.995))), "of mode"),
        (spoil(RowHeun(), Scaled(1.003)), "of mode"),
        (spoil(RowHeun(), ScoreTimes(0.995)), "of mode"),
        (spoil(RowHeun(), When(near_zero, Scaled(1.05))), "stochasticity 0.3.* of mode"),
        (spoil(RowHeun(), When(varying, Scaled(1.02))), "from 0.5 at t = 0 .* of mode"),
        (spoil(RowHeun(), CURVED), "of mode"),
        (spoil(PLAIN, Thinned(1.01)), "give or take"),
        pytest.param(spoil(PLAIN, Changed(rare_points)), "of mode", marks=pytest.mark.slow),
        pytest.param(spoil(RandomisedMidpoint(), Scaled(1.01)), "take", marks=pytest.mark.slow),
    ],
    ids=repr,
)
def test_one_per_cent_is_seen(solver, words):
    with pytest.raises(CheckFailed, match=f"on a mixture.*({words})"):
        check_mixture_leaks(solver)


def test_what_is_cut_between_two_levels_is_for_other_checks():
    """51 of 100 is the same as half to sixteen sizes: the moments by arrays see it."""
    assert check_mixture_leaks(spoil(PLAIN, Changed(uneven_signs)))


@dataclass(frozen=True)
class Mixing(EulerMaruyama):
    """A step with a corrector in it, which is no :class:`Corrected`."""

    corrector: Corrector = option(AdjustedLangevin(), help="in it")


@pytest.mark.parametrize("solver", [Corrected(PLAIN, Langevin()), Corrected(PLAIN, RowLangevin())])
def test_of_what_has_a_corrector_the_predictor_is_judged(solver):
    assert check_mixture_leaks(solver).text.endswith("at 3 places, its predictor alone")
    for wrong in (spoil(solver, Scaled(1.003)), replace(solver, integrator=spoil(PLAIN, CURVED))):
        with pytest.raises(CheckFailed, match="of mode"):
            check_mixture_leaks(wrong)


def test_a_solver_without_correctors_is_itself():
    assert without_correctors(PLAIN) is PLAIN
    assert without_correctors(Corrected(Corrected(PLAIN, Langevin()), Langevin())) is PLAIN
    grid = OnGrid(PLAIN, LogSNR(3))
    assert without_correctors(OnGrid(Corrected(PLAIN, Langevin()), LogSNR(3))) == grid


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        (AdjustedLangevin(), "it is a corrector"),
        (Mixing(), "a corrector is at work"),
        (spoil(RowHeun(), Promise("floor", 0.01)), "a bias that does not vanish"),
        (spoil(PLAIN, Promise("couples_batch", True)), "hang together"),
        (WholeGrid(), "which do not follow the span"),
    ],
    ids=["corrector", "mixing", "floor", "coupled", "whole-grid"],
)
def test_others_are_judged_elsewhere(solver, words):
    with pytest.raises(NotApplicable, match=words):
        check_mixture_leaks(solver)
