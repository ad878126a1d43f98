"""Log-densities: estimates, gradients and wrong input."""

from __future__ import annotations

import math

import pytest
import torch
from likelihood.densities import (
    COARSE,
    FINE,
    GAUSSIAN,
    MIXTURE,
    RK4,
    Known,
    numbers,
    reversed_,
    state,
)
from scipy import stats

from sdeplug import (
    VESDE,
    VPSDE,
    ArgumentError,
    LogSNR,
    NonFiniteError,
    OnGrid,
    PairingError,
    PerSampleNoise,
    ReverseSDE,
    SharedNoise,
    solver,
)
from sdeplug.likelihood import Exact, Hutch, Hutchinson, Normal, log_likelihood
from sdeplug.score import Counted
from sdeplug.targets import Gaussian


def without_formula(score):
    """The same score; its divergence is found by products."""
    return lambda x, t: score(x, t)


def test_standard_errors_cover():
    """The interval of Student's t over 16 probes holds the exact value in 95 rows of 100, within
    2: of 2,000 rows, four standard errors of a share.  The covariance is not diagonal."""
    target = Gaussian(torch.zeros(8).double(), factor=numbers(8, 8), std=0.2)
    x, by = state(target, VPSDE(), rows=2000), OnGrid(RK4, LogSNR(6))
    reverse = reversed_(target, VPSDE())
    found = log_likelihood(reverse, x, by, divergence=Hutchinson(16), noise=SharedNoise(1))
    exact = log_likelihood(reverse, x[:1], by).flow
    off = (found.flow - exact) / found.std_error
    inside = (off.abs() < stats.t.ppf(0.975, 15)).double().mean()
    assert abs(inside - 0.95) < 0.02
    assert found.products == 16 * found.nfe


@pytest.mark.parametrize("trace", [Hutchinson(64), Hutchinson(64, Normal()), Hutch(3)], ids=repr)
def test_estimates_agree_with_the_exact_value(trace):
    x = state(MIXTURE, VPSDE(), rows=8)
    reverse = reversed_(MIXTURE, VPSDE())
    found = log_likelihood(reverse, x, COARSE, divergence=trace, noise=SharedNoise(3))
    exact = log_likelihood(reverse, x, COARSE).log_prob
    off = (found.log_prob - exact) / found.std_error
    assert off.abs().max() < (5.0 if trace.estimates > 9 else 12.0)
    assert off.abs().max() > 0.3
    assert torch.equal(found.latent, log_likelihood(reverse, x, COARSE).latent)


def test_one_probe_tells_of_no_error():
    x = numbers(2, 2)
    for trace in (Exact(), Hutchinson()):
        found = log_likelihood(Known(VPSDE()).reverse, x, COARSE, divergence=trace)
        assert found.std_error is None


@pytest.mark.parametrize(("trace", "each"), [(Exact(), 64), (Hutchinson(), 1), (Hutch(2), 6)])
def test_evaluations_and_products_are_counted(trace, each):
    model = Counted(without_formula(GAUSSIAN.score(VPSDE())))
    found = log_likelihood(
        ReverseSDE(VPSDE(), model), state(GAUSSIAN, VPSDE()), COARSE, divergence=trace
    )
    assert found.nfe == model.nfe == 48
    assert found.products == each * found.nfe


@pytest.mark.parametrize("by", [COARSE, solver("adaptive/row-tsit5", rtol=1e-4, atol=1e-4)],
                         ids=repr)  # fmt: skip
@pytest.mark.parametrize("sde", [VPSDE(), VESDE()], ids=repr)
def test_a_divergence_that_is_known_takes_no_products(by, sde):
    """At one time, and at another one for each row, of which some leave."""
    score, x = MIXTURE.score(sde), state(MIXTURE, sde)
    known, found = (
        log_likelihood(ReverseSDE(sde, model), x, by) for model in (score, without_formula(score))
    )
    assert (known.products, found.products) == (0, 8 * found.nfe)
    assert known.nfe == found.nfe
    assert torch.allclose(known.flow, found.flow, rtol=1e-9)
    assert torch.allclose(known.latent, found.latent, rtol=1e-9)


def test_gradients_go_through_a_divergence_that_is_known():
    score, slopes = MIXTURE.score(VPSDE()), []
    for model in (score, without_formula(score)):
        x = state(MIXTURE, VPSDE(), rows=2).requires_grad_()
        found = log_likelihood(ReverseSDE(VPSDE(), model), x, COARSE, gradients=True)
        slopes += torch.autograd.grad(found.log_prob.sum(), x)
    assert torch.allclose(*slopes, rtol=1e-6)


def test_a_chunk_changes_nothing_but_memory():
    x = state(MIXTURE, VPSDE())
    reverse = ReverseSDE(VPSDE(), without_formula(MIXTURE.score(VPSDE())))
    whole, few = (log_likelihood(reverse, x, COARSE, chunk=each) for each in (None, 3))
    assert torch.allclose(whole.log_prob, few.log_prob, rtol=1e-12)
    assert whole.products == few.products


@pytest.mark.parametrize("by", [FINE, solver("adaptive/row-tsit5", rtol=1e-7, atol=1e-7)], ids=repr)
def test_gradients_reach_the_data_and_the_network(by):
    known = Known(VPSDE())
    x = numbers(3, 2).requires_grad_()
    found = log_likelihood(known.reverse, x, by, gradients=True).log_prob
    slopes = torch.autograd.grad(found.sum(), (x, known.s))
    exact = torch.autograd.grad(known.log_prob(x, VPSDE().eps).sum(), (x, known.s))
    for one, other in zip(slopes, exact, strict=True):
        assert torch.allclose(one, other, rtol=1e-4)


def test_gradients_reach_the_network_alone():
    known = Known(VPSDE())
    found = log_likelihood(known.reverse, numbers(3, 2), COARSE, gradients=True).log_prob
    found.sum().backward()
    exact = torch.autograd.grad(known.log_prob(numbers(3, 2), VPSDE().eps).sum(), known.s)[0]
    assert torch.allclose(known.s.grad, exact, rtol=1e-2)


def test_it_does_not_ask_how_torch_is_set():
    x = numbers(2, 2)
    wanted = log_likelihood(Known(VPSDE()).reverse, x, COARSE).log_prob
    with torch.no_grad():
        assert torch.equal(log_likelihood(Known(VPSDE()).reverse, x, COARSE).log_prob, wanted)
    known = Known(VPSDE())
    with torch.inference_mode():
        found = log_likelihood(known.reverse, x + 0.0, COARSE).log_prob
    assert torch.equal(found, wanted)


def test_half_precision_is_carried_in_float32():
    found = log_likelihood(Known(VPSDE()).reverse, numbers(2, 2).bfloat16(), COARSE)
    assert found.log_prob.dtype == torch.float32


REVERSE = reversed_(MIXTURE, VPSDE())
X = state(MIXTURE, VPSDE(), rows=2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: log_likelihood(REVERSE, X, solver("song/euler-maruyama")), "it draws noise"),
        (lambda: log_likelihood(REVERSE, X, solver("exponential/auto")), "be a flow integrator"),
        (lambda: log_likelihood(REVERSE, X, solver("song/langevin")), "be a flow integrator"),
        (lambda: log_likelihood(REVERSE, X, "ode/rk4"), "be a flow integrator"),
        (lambda: log_likelihood(REVERSE, X.numpy()), "torch.as_tensor"),
        (lambda: log_likelihood(REVERSE, X[0]), r"\(8,\) torch.float64.: must be"),
        (lambda: log_likelihood(REVERSE, X.long()), "floating-point"),
        (lambda: log_likelihood(REVERSE, X / torch.tensor([[1.0], [0.0]])), "row 1 is not finite"),
        (lambda: log_likelihood(REVERSE, X[:, :3]), r"of shape \(B, 8\)"),
        (lambda: log_likelihood(REVERSE, X, t=1.0), "0 <= t < T = 1.0"),
        (lambda: log_likelihood(REVERSE, X, t="soon"), "0 <= t < T = 1.0"),
        (lambda: log_likelihood(REVERSE, X, t=0.0), "sigma is not 0"),
        (lambda: log_likelihood(REVERSE, X, divergence="exact"), "Hutchinson"),
        (lambda: log_likelihood(REVERSE, X, noise=3), "NoiseSource"),
        (lambda: log_likelihood(REVERSE, X, chunk=0), "at least 1"),
        (lambda: log_likelihood(VPSDE(), X), "must be a ReverseSDE"),
        (lambda: log_likelihood(X, REVERSE), r"reverse = Tensor\(\.\.\.\): must be a ReverseSDE"),
        (lambda: log_likelihood(REVERSE, X, "ode/rk4"), r"carries a longer state\. solver"),
        (lambda: log_likelihood(REVERSE, X, noise=PerSampleNoise(0, [1]), divergence=Hutchinson()),
         "one number for each row"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_a_sentence(call, message):
    with pytest.raises((ArgumentError, PairingError), match=message):
        call()


@pytest.mark.parametrize(
    "score", [lambda x, t: -x.detach(), torch.no_grad()(lambda x, t: -x)], ids=["detach", "no_grad"]
)
def test_a_network_that_hides_its_derivative_is_refused(score):
    """The derivative of the drift alone would be a number too."""
    with pytest.raises(PairingError, match="does not depend on x"):
        log_likelihood(ReverseSDE(VPSDE(), score), X, COARSE)


class Lost(torch.autograd.Function):
    """x, whose derivative is no number in some rows."""

    @staticmethod
    def forward(ctx, x, rows):
        ctx.save_for_backward(rows)
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return torch.where(ctx.saved_tensors[0], math.nan, grad), None


@pytest.mark.parametrize("by", [COARSE, solver("adaptive/row-tsit5")], ids=repr)
@pytest.mark.parametrize("term", ["velocity", "divergence"])
def test_what_is_not_finite_is_told_with_time_row_and_term(by, term):
    def score(x, t):
        bad = (t > 0.5)[:, None] & (x[:, :1] > 0.0)
        return torch.where(bad, math.nan, -x) if term == "velocity" else Lost.apply(-x, bad)

    x = torch.tensor([[-1.0, 0.5], [1.0, 0.5]], dtype=torch.float64)
    with pytest.raises(NonFiniteError, match=f"row 1 .*The {term}.* is not finite") as caught:
        log_likelihood(ReverseSDE(VPSDE(), score), x, by)
    assert caught.value.row == 1
    assert 0.4 < caught.value.t < 0.7
    assert caught.value.last.shape == x.shape
