from __future__ import annotations

import math
import pickle

import pytest
import torch
from common import Cubic, GaussianScore, normal
from hypothesis import given
from hypothesis import strategies as st

from sdeplug.errors import ArgumentError, PairingError, ScoreModelError
from sdeplug.reverse import ReverseSDE
from sdeplug.score import Bound, Chunked, Counted, FromNoise, InDtype
from sdeplug.sde import VESDE, VPSDE, LinearSDE
from sdeplug.targets import two_modes

X = normal(3, 2)


@given(fraction=st.floats(0.01, 1.0), level=st.floats(0.0, 3.0))
def test_formulas(any_sde, fraction, level):
    t = fraction * any_sde.T
    score_model = GaussianScore(any_sde)
    reverse = ReverseSDE(any_sde, score_model, level)
    now = any_sde.at(t)
    score = (now.alpha * 0.4 - X) / (now.alpha**2 * 0.25 + now.sigma**2)
    f, g = now.drift_rate * X, now.diffusion
    close = {"rtol": 1e-10, "atol": 1e-10 * g**2}
    torch.testing.assert_close(reverse.score(X, t), score)
    torch.testing.assert_close(reverse.drift(X, t), f - (1 + level**2) / 2 * g**2 * score, **close)
    torch.testing.assert_close(reverse.flow(X, t), f - g**2 / 2 * score, **close)
    assert reverse.diffusion(t) == pytest.approx(level * g)
    denoised = 0.4 + now.alpha * 0.25 * (X - now.alpha * 0.4) / (now.alpha**2 * 0.25 + now.sigma**2)
    scale = 1e-10 * (1 + now.sigma) / now.alpha
    torch.testing.assert_close(reverse.denoised(X, t), denoised, rtol=1e-10, atol=scale)


@given(st.floats(0.1, 1.0), st.floats(0.0, 2.0))
def test_the_marginals_obey_fokker_planck_at_any_stochasticity(t, level):
    """Mean and variance of p_t, from drift and diffusion against the closed form."""
    sde = VPSDE()
    reverse = ReverseSDE(sde, GaussianScore(sde), level)

    def moments(t: float) -> tuple[float, float]:
        now = sde.at(t)
        return now.alpha * 0.4, now.alpha**2 * 0.25 + now.sigma**2

    h = 1e-5
    t = min(t, sde.T - h)
    (m0, v0), (m, v), (m1, v1) = moments(t - h), moments(t), moments(t + h)
    drift = reverse.drift(torch.tensor([[m], [m + 1.0]], dtype=torch.float64), t)[:, 0]
    slope = float(drift[1] - drift[0])  # the drift is affine in x
    assert float(drift[0]) == pytest.approx((m1 - m0) / (2 * h), rel=1e-6, abs=1e-8)
    # Backwards in time, noise widens: dv/dt = 2 slope v - (l g)^2.
    backward = 2 * slope * v - reverse.diffusion(t) ** 2
    assert backward == pytest.approx((v1 - v0) / (2 * h), rel=1e-5, abs=1e-7)


def test_stochasticity_may_be_a_function_of_time():
    sde = VPSDE()
    varying = ReverseSDE(sde, GaussianScore(sde), lambda t: 2 * t)
    for t in (0.1, 0.5, 1.0):
        fixed = ReverseSDE(sde, GaussianScore(sde), 2 * t)
        assert varying.level(t) == fixed.level(t) == 2 * t
        assert torch.equal(varying.drift(X, t), fixed.drift(X, t))
        assert varying.diffusion(t) == fixed.diffusion(t)
    with pytest.raises(ArgumentError, match="stochasticity"):
        ReverseSDE(sde, GaussianScore(sde), lambda t: t - 0.6).level(0.5)


@pytest.mark.parametrize(("dtype", "time"), [
    (torch.float64, torch.float64), (torch.float32, torch.float32), (torch.float16, torch.float32),
])  # fmt: skip
def test_the_model_gets_one_time_a_row_in_float32_at_least(dtype, time):
    seen = []

    def model(x, t):
        seen.append(t)
        return -x

    ReverseSDE(VPSDE(), model).score(X.to(dtype), 0.3)
    assert torch.equal(seen[0], torch.full((3,), 0.3, dtype=time))


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (X.long(), r"shape \(3, 2\), torch\.int64 .* x of shape \(3, 2\), torch\.float64"),
        (X[:2], r"shape \(2, 2\)"),
        (X.sum(1), r"shape \(3,\)"),
        (X.unsqueeze(0), r"shape \(1, 3, 2\)"),
        (X.tolist(), "returned list"),
        (None, "returned NoneType"),
    ],
)
def test_what_is_no_score_is_refused(output, message):
    reverse = ReverseSDE(VPSDE(), lambda x, t: output)
    for ask in (reverse.score, reverse.drift, reverse.flow, reverse.denoised):
        with pytest.raises(ScoreModelError, match=message):
            ask(X, 0.5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_score_of_another_dtype_becomes_that_of_the_state(dtype):
    score = ReverseSDE(VPSDE(), lambda x, t: -x.to(dtype)).score(X, 0.5)
    assert torch.equal(score, -X.to(dtype).double())


@pytest.mark.parametrize("t", [-0.1, 1.0001, math.nan, math.inf])
def test_times_outside_are_refused(t):
    for sde in (VPSDE(), Cubic()):
        reverse = ReverseSDE(sde, lambda x, t: -x)
        for ask in (reverse.score, reverse.flow):
            with pytest.raises(ArgumentError, match="t = "):
                ask(X, t)


@pytest.mark.parametrize("level", [-0.1, math.nan, math.inf, True, "1", None])
def test_wrong_stochasticity_is_refused_at_once(level):
    with pytest.raises(ArgumentError, match="stochasticity = "):
        ReverseSDE(VPSDE(), GaussianScore(VPSDE()), level)


def test_parts_in_the_wrong_places_are_refused_at_once():
    score = GaussianScore(VPSDE())
    with pytest.raises(PairingError, match=r"The order is ReverseSDE\(forward, score_model\)"):
        ReverseSDE(score, VPSDE())
    with pytest.raises(PairingError, match="score_model = 'net'"):
        ReverseSDE(VPSDE(), "net")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda score: score,
        Counted,
        lambda score: InDtype(score, torch.float32),
        lambda score: Chunked(Counted(InDtype(Bound(score), torch.float32)), 8),
    ],
)
def test_the_score_of_another_sde_is_refused(wrap):
    """It gave samples of size 5e15, in silence."""
    message = r"score_model is a score under VPSDE\(.*forward = .*: must be the same SDE"
    for other in (VESDE(), VPSDE(beta_max=10.0), Cubic()):
        with pytest.raises(PairingError, match=message):
            ReverseSDE(other, wrap(two_modes().score(VPSDE())))
        with pytest.raises(PairingError, match=message):
            ReverseSDE(other, wrap(FromNoise(lambda x, t: x, VPSDE())))


def test_an_sde_of_the_same_law_is_the_same():
    """Where sampling ends does not matter, nor the class: alpha and sigma do."""

    class Mine(LinearSDE):  # no dataclass: two of them are never equal
        def log_alpha(self, t):
            return VPSDE().log_alpha(t)

        def sigma(self, t):
            return VPSDE().sigma(t)

    score = two_modes().score(VPSDE())
    for same in (VPSDE(), VPSDE(eps=1e-5), Mine()):
        assert ReverseSDE(same, score).score_model is score
    assert ReverseSDE(Mine(), two_modes().score(Mine()))


def test_a_reverse_sde_is_a_value():
    reverse = ReverseSDE(VPSDE(), GaussianScore(VPSDE()))
    assert pickle.loads(pickle.dumps(reverse)) == reverse
    assert hash(reverse) == hash(ReverseSDE(VPSDE(), GaussianScore(VPSDE())))
    assert reverse.linear is reverse.forward
    assert reverse.stochasticity == 1.0


def test_a_reverse_sde_is_differentiable():
    x = X.clone().requires_grad_()
    reverse = ReverseSDE(VPSDE(), lambda x, t: -(x**3))
    (slope,) = torch.autograd.grad(reverse.score(x, 0.5).sum(), x)
    torch.testing.assert_close(slope, -3 * X**2)


@given(
    fractions=st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3),
    varying=st.booleans(),
    column=st.booleans(),
)
def test_each_row_can_have_a_time_of_its_own(any_sde, fractions, varying, column):
    times = [fraction * any_sde.T for fraction in fractions]
    t = torch.tensor(times, dtype=torch.float64)

    def score(x, t):
        return -x * (1.0 + t)[:, None]

    reverse = ReverseSDE(any_sde, score, (lambda u: 1.0 + u) if varying else 0.7)
    given = t[:, None] if column else t
    for function in (reverse.score, reverse.drift, reverse.flow):
        rows = torch.stack([function(X[i : i + 1], time)[0] for i, time in enumerate(times)])
        torch.testing.assert_close(function(X, given), rows, rtol=1e-10, atol=1e-10)
    alone = torch.tensor([reverse.diffusion(time) for time in times], dtype=torch.float64)
    torch.testing.assert_close(reverse.diffusion(t), alone, rtol=1e-10, atol=1e-10)
    narrow = reverse.drift(X.float(), given)
    assert narrow.dtype == torch.float32


@pytest.mark.parametrize("times", [(0.1, 0.2, 1.1), (-0.1, 0.2, 0.3), (0.1, math.nan, 0.2)])
def test_a_time_of_a_row_is_checked_too(times):
    reverse = ReverseSDE(VPSDE(), GaussianScore(VPSDE()))
    with pytest.raises(ArgumentError, match=r"\[0, T\]"):
        reverse.flow(X, torch.tensor(times))
