"""Forward SDEs: the derived against the closed forms, the schedule against the SDE itself."""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass, replace

import pytest
import torch
from common import FALSE_ALARM, SDES, Cubic, GaussianScore, normal
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sdeplug import (
    Denoise,
    Leg,
    LogSNR,
    OnGrid,
    PairingError,
    PerSampleNoise,
    Pipeline,
    ReverseSDE,
    Run,
    SharedNoise,
    Uniform,
    solver,
)
from sdeplug.errors import ArgumentError
from sdeplug.sde import EDMSDE, VESDE, VPSDE, CosineVPSDE, LinearSDE, SubVPSDE, derivative, expand

FRACTIONS = st.floats(0.0, 1.0)


def between(sde: LinearSDE, fraction: float) -> float:
    """A time in [eps, T]."""
    return min(sde.eps + fraction * (sde.T - sde.eps), sde.T)


def integral_of_beta(t: float) -> float:
    return 0.1 * t + 19.9 * t**2 / 2


def cosine(t: float) -> float:
    return math.cos(math.pi / 2 * (t + 0.008) / 1.008)


CLOSED = {  # alpha, sigma^2, a, g^2
    VPSDE: lambda t: (
        math.exp(-integral_of_beta(t) / 2),
        -math.expm1(-integral_of_beta(t)),
        -(0.1 + 19.9 * t) / 2,
        0.1 + 19.9 * t,
    ),
    SubVPSDE: lambda t: (
        math.exp(-integral_of_beta(t) / 2),
        math.expm1(-integral_of_beta(t)) ** 2,
        -(0.1 + 19.9 * t) / 2,
        -(0.1 + 19.9 * t) * math.expm1(-2 * integral_of_beta(t)),
    ),
    VESDE: lambda t: (
        1.0,
        (0.01 * 5000**t) ** 2,
        0.0,
        (0.01 * 5000**t) ** 2 * 2 * math.log(5000),
    ),
    CosineVPSDE: lambda t: (
        cosine(t) / cosine(0),
        1 - (cosine(t) / cosine(0)) ** 2,
        -math.pi / 2.016 * math.tan(math.pi / 2 * (t + 0.008) / 1.008),
        math.pi / 1.008 * math.tan(math.pi / 2 * (t + 0.008) / 1.008),
    ),
    EDMSDE: lambda t: (1.0, t**2, 0.0, 2 * t),
}


@pytest.mark.parametrize("sde", SDES, ids=lambda sde: type(sde).__name__)
@given(FRACTIONS)
def test_closed_forms(sde, fraction):
    t = between(sde, fraction)
    now = sde.at(t)
    alpha, variance, drift_rate, g2 = CLOSED[type(sde)](t)
    assert now.alpha == pytest.approx(alpha, rel=1e-11)
    assert now.sigma**2 == pytest.approx(variance, rel=1e-8)
    assert now.drift_rate == pytest.approx(drift_rate, rel=1e-11)
    assert now.diffusion**2 == pytest.approx(g2, rel=1e-11)
    assert now.log_snr == pytest.approx(math.log(alpha**2 / variance), rel=1e-8, abs=1e-8)


@given(FRACTIONS)
def test_overridden_rates_are_those_of_automatic_differentiation(any_sde, fraction):
    t = torch.tensor([between(any_sde, fraction)], dtype=torch.float64)
    for name in ("drift_rate", "diffusion"):
        given_, derived = getattr(any_sde, name)(t), getattr(LinearSDE, name)(any_sde, t)
        torch.testing.assert_close(given_, derived, rtol=1e-10, atol=1e-10)


class Linear(LinearSDE):
    """The example of LinearSDE's docstring."""

    def log_alpha(self, t):
        return torch.log1p(-t / 2)

    def sigma(self, t):
        return t


@given(FRACTIONS)
def test_two_functions_are_a_schedule(fraction):
    t = between(Linear(), fraction)
    now = Linear().at(t)
    assert (now.alpha, now.sigma) == pytest.approx((1 - t / 2, t), rel=1e-12)
    assert now.drift_rate == pytest.approx(-0.5 / (1 - t / 2), rel=1e-12)
    assert now.diffusion**2 == pytest.approx(2 * t + t**2 / (1 - t / 2), rel=1e-12)
    ReverseSDE(Linear(), lambda x, t: -x)
    assert Linear().prior_std == 1.0


@dataclass(frozen=True)
class Derived(LinearSDE):
    """Another SDE by its alpha and sigma alone."""

    sde: LinearSDE = VPSDE()  # noqa: RUF009  a value
    T: float = 1.0

    def log_alpha(self, t):
        return self.sde.log_alpha(t)

    def sigma(self, t):
        return self.sde.sigma(t)


@given(FRACTIONS)
def test_what_is_derived_is_what_is_written(any_sde, fraction):
    derived = Derived(any_sde, any_sde.T)
    t = between(any_sde, fraction)
    a, b = derived.at(t), any_sde.at(t)
    assert (a.drift_rate, a.diffusion) == pytest.approx(
        (b.drift_rate, b.diffusion), rel=1e-9, abs=1e-12
    )


@given(st.floats(0.05, 0.95))
def test_the_variance_obeys_its_own_equation(any_sde, fraction):
    """d sigma^2 / dt = 2 a sigma^2 + g^2, and d alpha / dt = a alpha, by central differences."""
    t = between(any_sde, fraction)
    h = 1e-5 * t
    now, early, late = any_sde.at(t), any_sde.at(t - h), any_sde.at(t + h)
    slope = (late.sigma**2 - early.sigma**2) / (2 * h)
    terms = 2 * now.drift_rate * now.sigma**2, now.diffusion**2
    assert slope == pytest.approx(sum(terms), rel=1e-6, abs=1e-6 * max(map(abs, terms)))
    assert (late.alpha - early.alpha) / (2 * h) == pytest.approx(
        now.drift_rate * now.alpha, rel=1e-6
    )


@given(st.lists(FRACTIONS, min_size=3, max_size=3))
def test_transitions_compose(any_sde, fractions):
    s, t, u = sorted(between(any_sde, each) for each in fractions)
    (a, v), (b, w), (c, x) = (any_sde.transition(*ends) for ends in ((s, t), (t, u), (s, u)))
    assert a * b == pytest.approx(c, rel=1e-12)
    assert b**2 * v + w == pytest.approx(x, rel=1e-9, abs=1e-13 * any_sde.at(u).sigma ** 2)


@given(FRACTIONS)
def test_transitions_start_from_the_data_law(any_sde, fraction):
    t = between(any_sde, fraction)
    now, start = any_sde.at(t), any_sde.at(0.0)
    scale, variance = any_sde.transition(0.0, t)
    assert scale == pytest.approx(now.alpha / start.alpha, rel=1e-12)
    assert variance + (scale * start.sigma) ** 2 == pytest.approx(now.sigma**2, rel=1e-10)


@given(FRACTIONS, st.floats(1e-12, 1e-6))
def test_transitions_between_close_times_have_the_rate_of_the_diffusion(any_sde, fraction, step):
    s = between(any_sde, fraction * 0.99)
    t = s + step * any_sde.T
    variance = any_sde.transition(s, t)[1]
    assert variance > 0.0
    exact = (t - s) * any_sde.at(0.5 * (s + t)).diffusion ** 2
    rounding = 1e-4 + 1e-15 * t / (t - s)  # of the angle of a schedule, close to its pole
    assert variance == pytest.approx(exact, rel=rounding, abs=1e-14 * any_sde.at(t).sigma ** 2)


@given(FRACTIONS)
def test_time_at_inverts_the_log_snr(any_sde, fraction):
    t = between(any_sde, fraction)
    found = any_sde.time_at(torch.tensor([any_sde.at(t).log_snr], dtype=torch.float64))
    assert float(found) == pytest.approx(t, rel=1e-8)


def test_time_at_is_clamped_to_the_ends(any_sde):
    ends = any_sde.time_at(torch.tensor([[math.inf, 1e4], [-1e4, -math.inf]], dtype=torch.float64))
    torch.testing.assert_close(
        ends, torch.tensor([[0.0, 0.0], [any_sde.T] * 2], dtype=torch.float64)
    )


def test_the_log_snr_falls(any_sde):
    t = torch.linspace(0.0, any_sde.T, 1001, dtype=torch.float64)
    assert bool((any_sde.log_snr(t).diff() < 0.0).all())


def test_the_memo_changes_nothing(any_sde):
    times = [between(any_sde, each) for each in torch.linspace(0, 1, 50).tolist()]
    one_by_one, at_once = replace(any_sde), replace(any_sde)
    at_once.prepare(times)
    assert [one_by_one.at(t) for t in times] == [at_once.at(t) for t in times]
    assert one_by_one.at(times[3]) is one_by_one.at(times[3])
    assert one_by_one == at_once == any_sde
    assert hash(one_by_one) == hash(any_sde)


def test_the_memo_stays_small():
    sde = VPSDE()
    for k in range(5):
        sde.prepare(torch.linspace(0.0, 1.0, 5000 + k, dtype=torch.float64).tolist())
    assert len(sde._memo) <= 16384
    assert sde.at(0.5) == VPSDE().at(0.5)


@pytest.mark.parametrize("t", [-1e-9, math.nan, math.inf, 81.0])
def test_times_outside_are_refused(any_sde, t):
    with pytest.raises(ArgumentError, match="t = "):
        any_sde.at(t)
    with pytest.raises(ArgumentError, match="t = "):
        any_sde.prepare((0.5, t))
    with pytest.raises(ArgumentError, match="t = "):
        any_sde.transition(0.5, t)


def test_pickles_work_the_same(any_sde):
    any_sde.at(0.5)
    copy = pickle.loads(pickle.dumps(any_sde))
    assert copy == any_sde
    assert copy.at(0.3) == replace(any_sde).at(0.3)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_any_grad_mode_gives_the_same_marginal(any_sde, mode):
    for sde in (any_sde, Derived(any_sde, any_sde.T)):
        wanted = sde.at(0.37)
        with mode():
            assert replace(sde).at(0.37) == wanted
            ReverseSDE(replace(sde), lambda x, t: -x)


def test_derivatives_have_no_graph_and_constants_slope_zero():
    t = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    slope = derivative(lambda u: u**3, t)
    assert slope.tolist() == [3.0, 12.0]
    assert not slope.requires_grad
    assert derivative(lambda u: torch.ones(2), t).tolist() == [0.0, 0.0]


def test_nothing_overflows_near_the_data(any_sde):
    start = any_sde.at(0.0)
    assert start.alpha == 1.0
    assert math.isfinite(start.sigma + start.drift_rate + start.diffusion)
    for t in (1e-300, 1e-12, any_sde.eps):
        now = any_sde.at(t)
        assert all(map(math.isfinite, (now.alpha, now.sigma, now.drift_rate, now.diffusion)))
        assert now.log_snr > 0.0
        assert any_sde.transition(0.0, t)[1] >= 0.0
    for t in (1e-9, any_sde.eps):
        assert any_sde.at(t).sigma > 0.0


# What an SDE does with states.


def test_perturb_is_alpha_x_plus_sigma_noise(any_sde):
    x = normal(3, 2, 2)
    t = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float32)
    x_t = any_sde.perturb(x, t, PerSampleNoise(0, range(3)))
    noise = PerSampleNoise(0, range(3)).stream("perturb").normal(x)
    for row in range(3):
        now = any_sde.at(float(t[row]))
        torch.testing.assert_close(x_t[row], now.alpha * x[row] + now.sigma * noise[row])
    same = any_sde.perturb(x, torch.tensor(0.5), SharedNoise(0))
    assert torch.equal(same, any_sde.perturb(x, torch.full((3,), 0.5), SharedNoise(0)))
    assert any_sde.perturb(x.float(), t, SharedNoise(0)).dtype == torch.float32


def test_perturb_has_the_moments_of_the_marginal(any_sde):
    n, t = 100_000, 0.4
    x = any_sde.perturb(
        torch.full((n, 1), 2.0, dtype=torch.float64), torch.tensor(t), SharedNoise(0)
    )
    now = any_sde.at(t)
    z = (x - now.alpha * 2.0) / now.sigma
    assert abs(float(z.mean())) * math.sqrt(n) < stats.norm.isf(FALSE_ALARM / 4)
    chi2 = stats.chi2(n)
    assert chi2.ppf(FALSE_ALARM / 4) < float(z.square().sum()) < chi2.isf(FALSE_ALARM / 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_drift_is_linear_and_rows_have_their_times(any_sde, dtype):
    x, t = normal(3, 2, 2, dtype=dtype), torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    drift = any_sde.drift(x, t)
    assert drift.dtype == dtype
    for row in range(3):
        wanted = any_sde.at(float(t[row])).drift_rate * x[row]
        torch.testing.assert_close(drift[row], wanted)
        torch.testing.assert_close(any_sde.drift_at(x, float(t[row]))[row], wanted)
    assert any_sde.diffusion_at(0.5) == any_sde.at(0.5).diffusion


def test_the_prior(any_sde):
    std = any_sde.prior_std
    largest = max(getattr(any_sde, "sigmas", None) or (1.0,))
    wanted = {VESDE: 50.0, EDMSDE: 80.0}.get(type(any_sde), largest)
    assert std == pytest.approx(wanted, rel=1e-12)
    x = any_sde.prior((3, 2, 2), SharedNoise(0), torch.float64)
    assert torch.equal(x, std * SharedNoise(0).normal(x))
    assert any_sde.prior((3, 2), SharedNoise(0)).dtype == torch.float32
    torch.testing.assert_close(
        any_sde.prior_log_prob(x),
        torch.distributions.Normal(0.0, std).log_prob(x).flatten(1).sum(1),
    )


@given(st.integers(0, 3))
def test_expand_gives_the_rank(rank):
    x = normal(2, *(3,) * rank)
    assert expand(torch.zeros(2), x).shape == (2,) + (1,) * rank
    assert expand(torch.tensor(1.0), x).shape == ()


# Unsound schedules.


def changed(**members: object) -> LinearSDE:
    cls = type("Changed", (Linear,), {k: (lambda self, t, f=f: f(t)) for k, f in members.items()})
    return cls()


@pytest.mark.parametrize(
    ("sde", "message"),
    [
        (changed(sigma=lambda t: 2 - t), "falling log-SNR"),
        (changed(sigma=lambda t: 0.1 + 0 * t, log_alpha=lambda t: 0 * t), "falling log-SNR"),
        (changed(sigma=lambda t: (0.5 - t).sqrt()), "finite"),
        (changed(log_alpha=lambda t: -1 / (t - 1)), "finite"),
        (changed(sigma=lambda t: -t), "positive alpha and sigma"),
        (changed(sigma=lambda t: t - 0.001), "positive alpha and sigma"),
        (changed(log_alpha=lambda t: -1e4 * t), "positive alpha and sigma"),
        (changed(diffusion=lambda t: 1 + t), "diffusion"),
        (changed(drift_rate=lambda t: -t), "drift_rate"),
    ],
)
def test_unsound_schedules_are_refused_when_the_reverse_sde_is_built(sde, message):
    for _ in range(2):  # and not only the first time
        with pytest.raises(ArgumentError, match=message):
            ReverseSDE(sde, lambda x, t: -x)


@pytest.mark.parametrize(
    "make",
    [
        lambda: VESDE(sigma_min=1.0, sigma_max=1.0),
        lambda: VESDE(sigma_min=0.0),
        lambda: CosineVPSDE(T=1.0),
        lambda: VPSDE(beta_max=0.0),
        lambda: VPSDE(beta_min=-0.1),
        lambda: EDMSDE(T=0.0),
        lambda: EDMSDE(T=math.nan),
        lambda: VPSDE(T="1"),
        lambda: SubVPSDE(eps=-1e-3),
    ],
)
def test_options_that_make_no_sde_are_refused_at_once(make):
    with pytest.raises(ArgumentError):
        make()


@pytest.mark.parametrize("eps", [1.0, 2.0])
def test_eps_is_below_the_end(eps):
    with pytest.raises(ArgumentError, match=r"eps.*0 <= eps < T = 1\.0"):
        ReverseSDE(VPSDE(eps=eps), lambda x, t: -x)
    with pytest.raises(ArgumentError, match="eps"):
        ReverseSDE(Cubic(eps=eps), lambda x, t: -x)


@pytest.mark.parametrize("sde", [VPSDE(eps=0.0), VESDE(eps=0.0), EDMSDE(eps=0.0)])
def test_eps_may_be_zero(sde):
    ReverseSDE(sde, GaussianScore(sde))


# SDEs that are not linear.


def test_a_general_sde_runs_with_what_needs_only_drift_and_diffusion():
    reverse = ReverseSDE(Cubic(), lambda x, t: -x)
    legs = (Leg(0.5, OnGrid(solver("song/euler-maruyama"), Uniform(5))),)
    out = Pipeline(reverse, legs).sample((4, 2), seed=1, dtype=torch.float64)
    noise = SharedNoise(1)
    x = noise.normal(torch.empty(4, 2, dtype=torch.float64))
    for _ in range(5):
        x = x - 0.1 * (-(x**3) + x) + math.sqrt(0.1) * noise.normal(x)
    torch.testing.assert_close(out.x, x)
    assert out.nfe == 5


@pytest.mark.parametrize(
    "by",
    [
        Denoise(),
        solver("song/reverse-diffusion"),
        OnGrid(solver("song/ancestral"), Uniform(3)),
        OnGrid(solver("song/euler-maruyama"), LogSNR(3)),
    ],
    ids=repr,
)
def test_a_general_sde_is_refused_by_what_needs_a_linear_one(by):
    with pytest.raises(PairingError, match=r"needs a LinearSDE, not Cubic"):
        Pipeline(ReverseSDE(Cubic(), lambda x, t: -x), (Leg(0.0, by),))


def test_a_general_sde_has_no_alpha():
    reverse = ReverseSDE(Cubic(), lambda x, t: -x)
    with pytest.raises(PairingError, match="must be a LinearSDE"):
        reverse.denoised(normal(2, 2), 0.5)
    by = OnGrid(solver("song/euler-maruyama"), LogSNR(3))
    with pytest.raises(PairingError, match=r"LogSNR.*Use Uniform or At"):
        by.integrate(reverse, normal(2, 2), 1.0, 0.5, Run(SharedNoise(0)))


def test_every_sde_of_the_core_is_tested():
    from sdeplug.sde import BUILTIN_SDES

    assert {type(sde) for sde in SDES} == set(BUILTIN_SDES.values()) == set(CLOSED)
