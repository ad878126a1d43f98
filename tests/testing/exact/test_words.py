"""The right word first: what a failure says of solvers that are wrong, each in one way."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
import torch
from wrong import Claiming, Wrong

from sdeplug import VESDE, VPSDE, Claims, Corrected, LinearSDE
from sdeplug.testing import CheckFailed, NotApplicable
from sdeplug.testing.bench import SPECTRUM
from sdeplug.testing.contract.one_call import check_claims
from sdeplug.testing.contract.times import check_short_span
from sdeplug.testing.exact import (
    check_constant,
    check_corrector_invariance,
    check_floor,
    check_marginals,
    check_own_tolerance,
)
from sdeplug.testing.exact.convergence import demand_order_and_limit, rms
from sdeplug.testing.exact.everywhere import check_levels
from sdeplug.testing.exact.factors import factors
from sdeplug.testing.exact.laws import Law
from sdeplug.testing.exact.words import difference, largest
from sdeplug.testing.findings import Curve
from sdeplug.testing.mutants import spoil
from sdeplug.testing.mutants.acts import NanNearEps
from sdeplug.testing.mutants.flows import LengthInFloat32
from sdeplug.testing.mutants.promises import Promise
from sdeplug.testing.mutants.right import CLASSICAL, EulerMaruyama
from sdeplug.testing.mutants.seen import ScoreTimes
from sdeplug_exponential import ExpMidpoint
from sdeplug_ode import Euler, Heun
from sdeplug_song import Ancestral, AnnealedLangevin, ReverseDiffusion

ON_THE_FLOW = Claims(order=2, stochastic=False)


def said(check, solver) -> str:
    with pytest.raises(CheckFailed) as failure:
        check(solver)
    return str(failure.value)


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        (Claiming(Euler(), ON_THE_FLOW), "falls as the step to the power 1.00: order 1, claimed 2"),
        (Claiming(Heun(), Claims(order=3, stochastic=False)), "order 2, claimed 3"),
        (Wrong(noise=1.03), "the noise is 1.03 times as large"),
        (Wrong(noise=1.001), "the noise is 1.001 times as large"),
        (Wrong(noise=1.0008), "the noise is 1.0008 times as large"),
        (Wrong(drift=-1.0), "the drift f of the forward SDE has the wrong sign"),
        (Wrong(drift=0.5), "the drift f of the forward SDE counts 0.5 times"),
        (Wrong(score=2.0), "the score counts 2 times: is g^2 doubled?"),
        (Wrong(score=0.5), "the score counts 0.5 times: is it the g^2 / 2"),
        (Wrong(score=-1.0), "the score has the wrong sign"),
        (spoil(Heun(), ScoreTimes(1.01)), "the score counts 1.01 times"),
        (spoil(EulerMaruyama(), NanNearEps()), "along the axis of variance 0.01 is nan"),
    ],
    ids=str,
)
def test_the_law_says_what_is_wrong(solver, words):
    """And nothing of another kind of mistake."""
    text = said(check_marginals, solver)
    assert words in text
    assert "along the axis of variance" in text
    assert ("the limit is wrong" in text) == ("claimed" not in words and "nan" not in words)
    assert text.count("times") <= 1
    assert "earlier or later step" not in text


@dataclass(frozen=True)
class TakenForNumber(Wrong):
    """It multiplies with the stochasticity, which is a number as a rule."""

    def begin(self, reverse, run):
        return replace(self, noise=self.noise + 0.0 * reverse.stochasticity)._begun(reverse, run)

    def _begun(self, reverse, run):
        return super().begin(reverse, run)


def test_who_takes_the_stochasticity_for_a_number_is_told_what_to_ask_for():
    text = said(check_levels, TakenForNumber())
    assert "ask for reverse.level(t)" in text
    assert "'Ramp'" in text


@pytest.mark.parametrize("solver", [Wrong(noise=1.03), Wrong(score=2.0), Wrong(drift=-1.0)])
def test_what_does_not_converge_is_not_told_that_it_does(solver):
    with pytest.raises(NotApplicable, match="does not vanish"):
        check_constant(solver)


def test_a_score_of_the_step_before_is_told_so_with_the_size_of_its_error():
    text = said(check_constant, Wrong(late=True))
    assert "it converges" in text
    assert "the standard deviation along the axis of variance 0.01 is 10." in text


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        (EulerMaruyama(), "drift, score and noise are right"),
        (ExpMidpoint(), "drift, score and noise are right"),
        (Ancestral(), "drift, score and noise are right"),
        (Euler(), "drift, score and noise are right"),
        (Wrong(noise=0.9999), "drift, score and noise are right"),
        (Wrong(0.5, 1.1, -1.0), "the drift f of the forward SDE counts 0.5 times, the score has "
         "the wrong sign, the noise is 1.1 times"),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("level", [1.0, 0.3])
def test_the_factors_of_a_short_step(solver, words, level):
    assert words in str(factors(solver, VPSDE(), level))


def test_where_the_forward_sde_has_no_drift_it_has_no_factor():
    assert factors(Wrong(drift=7.0), VESDE(), 1.0).drift is None


def test_what_takes_no_short_step_has_no_factors():
    @dataclass(frozen=True)
    class Raising(Wrong):
        def integrate(self, reverse, x, t, s, run):
            raise RuntimeError("oh dear")

    assert factors(Raising(), VPSDE(), 1.0) is None


@pytest.mark.parametrize(
    ("place", "size", "words"),
    [
        (1, 0.012, "standard deviation along the axis of variance 4 is 1.2 % too large"),
        (0, -0.5, "standard deviation along the axis of variance 0.1 is 50 % too small"),
        (0, 1e6, "standard deviation along the axis of variance 0.1 is 1e+06 times what"),
        (2, -0.03, "mean along the axis of variance 0.1 is off by 3 % of a standard deviation"),
        (3, math.nan, "mean along the axis of variance 4 is nan"),
        (1, math.inf, "standard deviation along the axis of variance 4 is inf"),
    ],
)
def test_the_largest_error_in_words(place, size, words):
    error = torch.full((4,), 1e-3)
    error[place] = size
    assert words in largest(error, (0.1, 4.0))


def refined(constant: float, power: float, left: float):
    """Errors C h^power plus what is left in the limit, on three grids."""
    steps = (128, 256, 512)
    errors = [torch.full((10,), constant * n**-power + left, dtype=torch.float64) for n in steps]
    return errors, Curve("a bench", steps, tuple(map(rms, errors)))


@pytest.mark.parametrize(
    ("constant", "power", "left", "claimed", "words"),
    [
        (0.5, 1.0, 0.0, 2.0, "order 1, claimed 2"),
        (0.5, 2.0, 0.0, 3.0, "order 2, claimed 3"),
        (0.5, 0.5, 0.0, 1.0, "order 0.5, claimed 1"),
        (0.5, 1.0, 0.01, 1.0, "the limit is wrong"),
        (0.5, 1.0, 0.001, 1.0, "the limit is wrong"),
        (0.5, 1.0, 0.001, 2.0, "the limit is wrong"),
        (0.5, 2.0, 0.001, 2.0, "the limit is wrong"),
        (0.5, 0.0, 0.0, 1.0, "the limit is wrong"),
        (0.5, 1.0, math.nan, 1.0, "not finite"),
    ],
)  # fmt: skip
def test_order_and_limit_are_told_apart(constant, power, left, claimed, words):
    errors, curve = refined(constant, power, left)
    with pytest.raises(CheckFailed, match=words):
        demand_order_and_limit(errors, claimed, curve)


@pytest.mark.parametrize("order", [1.0, 2.0, 3.0])
def test_an_error_that_vanishes_as_claimed_passes(order):
    errors, curve = refined(0.5, order, 0.0)
    demand_order_and_limit(errors, order, curve)


def test_long_steps_do_not_hide_a_wrong_limit():
    """The extrapolated error falls fourfold, as that of a right solver does, to 0.2 per cent."""
    steps = (16, 32, 64)
    for left, right in ((0.0, True), (0.002, False)):
        errors = [torch.full((10,), 5.0 / n + 40.0 / n**2 + left) for n in steps]
        curve = Curve("a bench", steps, tuple(map(rms, errors)))
        if right:
            demand_order_and_limit(errors, 1.0, curve)
        else:
            with pytest.raises(CheckFailed, match="the limit is wrong"):
                demand_order_and_limit(errors, 1.0, curve)


# One short span


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        (LengthInFloat32(CLASSICAL), "in float64"),
        (Wrong(score=2.0), "times as far along the drift"),
        (Wrong(drift=-1.0, score=-1.0), "it has the wrong sign"),
        (spoil(EulerMaruyama(), ScoreTimes(math.inf)), "not a number"),
    ],
    ids=str,
)
def test_only_rounding_is_asked_about_rounding(solver, words):
    text = said(check_short_span, solver)
    assert words in text
    assert ("float64:" in text or "in float64 (" in text) == (words == "in float64")


def test_what_only_linear_sdes_have_is_told_so():
    @dataclass(frozen=True)
    class Scaling(EulerMaruyama):
        def integrate(self, reverse, x, t, s, run):
            return super().integrate(reverse, x, t, s, run) * (reverse.forward.at(t).alpha > 0.0)

    assert said(check_claims, Scaling()).endswith("claim needs=LinearSDE")


# Biases


@dataclass(frozen=True)
class Lost(Wrong):
    """Right by its tolerance, were it not for a number that is none."""

    claims = Claims(affine=False, couples_batch=True)

    def integrate(self, reverse, x, t, s, run):
        return x * math.nan


def test_a_law_that_is_no_number_is_not_within_a_tolerance():
    text = said(check_own_tolerance, Lost())
    assert "the standard deviation along the axis of variance 0.01 is nan" in text


def test_a_corrector_says_which_direction_it_widens():
    wide = spoil(AnnealedLangevin(), Promise("floor", 1e-3))
    assert "along the axis of variance" in said(check_corrector_invariance, wide)


def test_a_bias_above_its_floor_says_of_what_it_is():
    inner = Corrected(ReverseDiffusion(), AnnealedLangevin())
    text = said(check_floor, Claiming(inner, replace(inner.claims, floor=1e-3)))
    assert "its floor 0.001: at 512 steps the standard deviation along the axis" in text


def test_what_differs_between_two_laws_has_words():
    mean = torch.zeros(5, dtype=torch.float64)
    wanted = Law(mean, torch.diag(torch.tensor(SPECTRUM, dtype=torch.float64)))
    tied = wanted.covariance.clone()
    tied[1, 3] = tied[3, 1] = 0.02 * math.sqrt(0.1)
    words = "the correlation of the axes of variance 0.1 and 1 is off by 0.02"
    assert difference(Law(mean, tied), wanted) == words
    shifted = Law(mean + 0.03, tied)
    assert difference(shifted, wanted).startswith("the mean along the axis of variance 0.01")
    wide = Law(mean, 1.01**2 * wanted.covariance)
    assert difference(wide, wanted).endswith("is 1 % too large")


@dataclass(frozen=True)
class Swept(EulerMaruyama):
    """A step and a Langevin sweep, which claims an order and no floor."""

    claims = Claims(order=1, needs=LinearSDE)

    def integrate(self, reverse, x, t, s, run):
        x = super().integrate(reverse, x, t, s, run)
        length = 0.01 * reverse.linear.at(s).sigma ** 2
        noise = math.sqrt(2.0 * length) * run.noise.normal(x)
        return x + length * reverse.score(x, s) + noise


def test_the_bias_of_a_corrector_inside_is_named_and_no_factor():
    text = said(check_marginals, Swept())
    assert "the limit is wrong" in text
    assert "a corrector is at work" in text
    assert "claim it as floor" in text
