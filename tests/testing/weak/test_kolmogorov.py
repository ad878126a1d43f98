"""The weak error without noise: its own error, known figures, and wrong solvers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch

from sdeplug import (
    VPSDE,
    Claims,
    Corrected,
    Denoise,
    Integrator,
    LogSNR,
    OnGrid,
    ReverseSDE,
    Uniform,
)
from sdeplug.targets import Gaussian, GaussianMixture
from sdeplug.testing import CheckFailed, NotApplicable, weak_error
from sdeplug.testing.mutants import spoil
from sdeplug.testing.mutants.chance import Changed, signs, three_points
from sdeplug.testing.weak import check_nonlinear_order
from sdeplug.testing.weak.features import Bias, features
from sdeplug_exponential import ExpRK3
from sdeplug_ode import RK4, AdamsBashforth, Heun
from sdeplug_song import Ancestral, AnnealedLangevin, EulerMaruyama, Hold, Langevin

SDE = VPSDE()
MIXTURE = GaussianMixture((0.4, 0.6), ((-1.0,), (1.0,)), std=(0.3, 0.5))
NORMAL = Gaussian((0.3,), std=0.5)


@dataclass(frozen=True)
class Exact(Integrator):
    """The exact step for N(0.3, 0.25) data: the law of x_s given x_t under the reverse SDE."""

    claims = Claims(order=1)
    draws: int = 1

    def integrate(self, reverse, x, t, s, run):
        late, early = reverse.linear.at(t), reverse.linear.at(s)
        scale, variance = reverse.linear.transition(s, t)
        before = early.alpha**2 * 0.25 + early.sigma**2
        after = late.alpha**2 * 0.25 + late.sigma**2
        mean = early.alpha * 0.3 + before * scale / after * (x - late.alpha * 0.3)
        std = math.sqrt(before * variance / after)
        if self.draws == 3:
            path = run.noise.brownian(x, t, s)
            middle = 0.5 * (t + s)
            noise = path.increment(t, middle) + path.increment(middle, s)
            return mean + std * noise / math.sqrt(t - s)
        noise = sum(run.noise.normal(x) for _ in range(self.draws))
        return mean + std * noise / math.sqrt(self.draws)


def error(integrator, steps, target=MIXTURE, level=1.0):
    reverse = ReverseSDE(SDE, target.score(SDE), level)
    return weak_error(integrator, reverse, target, LogSNR(steps))


@pytest.mark.parametrize("draws", [1, 2, 3], ids=["one draw", "two draws", "a path"])
def test_an_exact_step_has_no_error(draws):
    assert error(Exact(draws), 8, NORMAL) < 1e-6


def test_no_steps_to_speak_of_have_no_error():
    reverse = ReverseSDE(SDE, MIXTURE.score(SDE))
    assert weak_error(EulerMaruyama(), reverse, MIXTURE, Uniform(1), 0.5, 0.499999) < 1e-6


@pytest.mark.parametrize(
    ("integrator", "level", "steps", "figure"),
    [
        (EulerMaruyama(), 1.0, 16, 5.5e-2),
        (EulerMaruyama(), 1.0, 32, 2.6e-2),
        (Ancestral(), 1.0, 16, 1.7e-1),
        (Ancestral(), 1.0, 32, 8.7e-2),
    ],
    ids=lambda value: str(value).split("(")[0],
)
def test_figures_that_another_program_measured_on_another_mixture(integrator, level, steps, figure):
    assert error(integrator, steps, level=level) == pytest.approx(figure, rel=0.2)


@pytest.mark.parametrize(
    ("integrator", "order"), [(Heun(), 2.0), (RK4(), 4.0)], ids=["heun", "rk4"]
)
def test_orders_of_flows(integrator, order):
    observed = math.log2(error(integrator, 32) / error(integrator, 64))
    assert observed == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize(
    "solver", [EulerMaruyama(), Ancestral(), Heun(), RK4()], ids=lambda each: type(each).__name__
)
def test_right_solvers_pass(solver):
    finding = check_nonlinear_order(solver)
    assert finding.curves[0].steps == (16, 32, 64)
    assert "claimed" in finding.text


@dataclass(frozen=True)
class Wrong(Integrator):
    """Euler-Maruyama with a factor on the score, and on the noise."""

    claims = Claims(order=1)
    pull: float = 1.0
    noise: float = 1.0
    order: float = 1.0

    def integrate(self, reverse, x, t, s, run):
        h, g = t - s, reverse.forward.diffusion_at(t)
        drift = reverse.forward.drift_at(x, t)
        score = self.pull * 0.5 * (1.0 + reverse.level(t) ** 2) * g**2 * reverse.score(x, t)
        scale = self.noise * math.sqrt(h) * reverse.diffusion(t)
        return x - h * (drift - score) + (scale * run.noise.normal(x) if scale else 0.0)


@dataclass(frozen=True)
class TooProud(EulerMaruyama):
    """Euler-Maruyama that claims order 2."""

    claims = Claims(order=2)


@dataclass(frozen=True)
class Capped(EulerMaruyama):
    """Right for scores of Gaussians of moderate size, since it cuts off large ones."""

    claims = Claims(order=1)

    def integrate(self, reverse, x, t, s, run):
        def capped(x, t):
            score = reverse.score_model(x, t)
            return 3.0 * torch.tanh(score / 3.0)

        return super().integrate(
            ReverseSDE(reverse.forward, capped, reverse.stochasticity), x, t, s, run
        )


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        pytest.param(
            *(Wrong(pull=0.5), "the standard deviation is 151 % too large"),
            marks=pytest.mark.thorough,
        ),
        (
            Wrong(noise=1.01),
            r"with ever shorter steps the standard deviation is 0\.3\d+ % too large",
        ),
        (Wrong(noise=0.0), "the limit is wrong with the score of a mixture"),
        (TooProud(), "order 1.00 observed, 2 claimed"),
        pytest.param(
            *(Capped(), r"the standard deviation is 17\.\d % too large"),
            marks=pytest.mark.thorough,
        ),
    ],
    ids=["half the drift", "loud", "silent", "proud", "capped"],
)
def test_wrong_solvers_fail_and_are_told_of_what(solver, words):
    with pytest.raises(CheckFailed, match=words):
        check_nonlinear_order(solver)


def test_one_per_cent_of_noise_that_is_not_affine_is_seen():
    with pytest.raises(CheckFailed, match=r"the standard deviation is 0\.3\d+ % too small"):
        check_nonlinear_order(spoil(EulerMaruyama(), Changed(signs, 0.99)))


def test_where_a_draw_decides_at_a_threshold_other_checks_judge():
    """Right in three points, which lie between the nodes of the quadrature."""
    with pytest.raises(NotApplicable, match="thresholds between the nodes"):
        check_nonlinear_order(spoil(EulerMaruyama(), Changed(three_points)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x + 0.02, "the mean is off by 1.9 % of a standard deviation"),
        (lambda x: 0.5 + 1.01 * (x - 0.5), "the standard deviation is 1 % too large"),
        (lambda x: x * float("nan"), "the law is not finite"),
        (lambda x: x + 0.1 * torch.sin(5.0 * x), "the mean of cos 5x is off by"),
    ],
    ids=["shifted", "wide", "nan", "rippled"],
)
def test_words_of_biases_that_are_known(change, words):
    """Of 10^5 quantiles of N(0.5, 1.05^2), and of what was made of them."""
    shares = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    x = 0.5 + 1.05 * torch.special.ndtri(shares)
    right, wrong = features(x), features(change(x))
    bias = Bias(wrong.mean(0) - right.mean(0), right.mean(0), right.std(0))
    assert bias.largest().startswith(words)


def test_a_weight_that_is_off_has_words():
    """A tenth of the lower mode has gone to the upper one."""
    shares = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    mode = 0.3 * torch.special.ndtri(shares)
    right, wrong = (
        torch.cat((mode.repeat(lower) - 1.0, mode.repeat(upper) + 1.0))
        for lower, upper in ((40, 60), (36, 64))
    )
    right, wrong = features(right), features(wrong)
    bias = Bias(wrong.mean(0) - right.mean(0), right.mean(0), right.std(0))
    assert bias.largest() == "the weight of what is above 0.3 is 6.67 % too large"


@pytest.mark.slow
@pytest.mark.thorough
def test_an_order_that_rises_is_judged_where_it_has_risen():
    """The third stage makes the error small before its order can be seen."""
    finding = check_nonlinear_order(ExpRK3())
    first = finding.curves[0]
    assert first.steps == (16, 32, 64, 128)
    assert math.log2(first.errors[-2] / first.errors[-1]) < 1.8
    assert finding.text.startswith("order 1.8")


def test_the_wrong_solver_without_its_defect_passes():
    check_nonlinear_order(Wrong())


@dataclass(frozen=True)
class Moody(EulerMaruyama):
    """Draws once more where the state is large."""

    claims = Claims(order=1)

    def integrate(self, reverse, x, t, s, run):
        if float(x.abs().max()) > 1.0:
            run.noise.normal(x)
        return super().integrate(reverse, x, t, s, run)


@dataclass(frozen=True)
class Coupled(EulerMaruyama):
    claims = Claims(order=1, couples_batch=True)


@pytest.mark.parametrize(
    ("solver", "why"),
    [
        (Langevin(), "corrector"),
        (OnGrid(Heun(), LogSNR(8)), "grid is fixed"),
        (AdamsBashforth(), "remembers"),
        (Hold(), "no consistency"),
        (Denoise(), "no consistency"),
        (EulerMaruyama(reference_steps=100), "no order"),
        (Coupled(), "couples"),
        (Exact(draws=4), "draws 4 times"),
        (Moody(), "depends on the data"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_where_it_does_not_apply_it_says_why(solver, why):
    with pytest.raises(NotApplicable, match=why):
        check_nonlinear_order(solver)


def test_a_declared_bias_is_reported_and_not_tested():
    finding = check_nonlinear_order(Corrected(Ancestral(), AnnealedLangevin()))
    assert "declares a bias" in finding.text
    assert finding.curves[0].steps == (16, 32)
