"""Log-densities along the flow, against exact ones."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from sdeplug import (
    EDMSDE,
    VESDE,
    VPSDE,
    ArgumentError,
    Bound,
    FromScore,
    LogSNR,
    NonFiniteError,
    OnGrid,
    PairingError,
    PerSampleNoise,
    ReverseSDE,
    SharedNoise,
    SubVPSDE,
    solver,
)
from sdeplug.likelihood import Exact, Hutch, Hutchinson, Normal, log_likelihood
from sdeplug.score import Counted
from sdeplug.targets import Gaussian, GaussianMixture, eight_gaussians, mixture_64

RK4 = solver("ode/rk4")
FINE, COARSE = OnGrid(RK4, LogSNR(48)), OnGrid(RK4, LogSNR(12))


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


MIXTURE = GaussianMixture(
    (1.0, 2.0, 3.0), numbers(3, 8), factors=0.5 * numbers(3, 8, 8, seed=1), std=0.1
)
GAUSSIAN = Gaussian(numbers(64) / 2, factor=numbers(64, 64, seed=1) / 8, std=0.3)


def state(target, sde, rows=4, t=None):
    t = sde.eps if t is None else t
    return target.sample(rows, noise=SharedNoise(0), t=t, sde=sde, dtype=torch.float64)


def reversed_(target, sde):
    return ReverseSDE(sde, target.score(sde))


def without_formula(score):
    """The same score; its divergence is found by products."""
    return lambda x, t: score(x, t)


def error(found, target, sde, x):
    """In nats per dimension, with the exact p_T in the place of the prior that stands for it."""
    exact = target.log_prob(x, found.t, sde) - target.log_prob(found.latent, sde.T, sde)
    return float((found.flow - exact).detach().abs().max()) / x[0].numel()


@pytest.mark.parametrize(
    "target",
    [
        MIXTURE,
        *(pytest.param(e, marks=pytest.mark.thorough) for e in (eight_gaussians(), GAUSSIAN)),
    ],
    ids=["8", "2", "64"],
)
def test_the_error_is_a_tenth_of_what_is_promised(target, any_sde):
    """The promise: 1e-4 nats per dimension."""
    x = state(target, any_sde, rows=2)
    found = log_likelihood(reversed_(target, any_sde), x)
    assert error(found, target, any_sde, x) < 1e-5
    assert torch.equal(found.log_prob, found.prior + found.flow)
    assert torch.equal(found.prior, any_sde.prior_log_prob(found.latent))


@pytest.mark.parametrize(
    "target",
    [
        MIXTURE,
        *(
            pytest.param(each, marks=pytest.mark.thorough)
            for each in (eight_gaussians(), GAUSSIAN, mixture_64())
        ),
    ],
    ids=["8", "2", "64", "64 modes"],
)
@pytest.mark.parametrize("sde", [
    VPSDE(), VESDE(), *(pytest.param(each, marks=pytest.mark.thorough)
                        for each in (SubVPSDE(), EDMSDE())),
], ids=repr)  # fmt: skip
def test_the_error_falls_with_the_tolerance(target, sde):
    """To a twentieth at a tolerance a hundred times less, where rounding is no part of it."""
    x, errors = state(target, sde, rows=2), []
    for tolerance in (1e-6, 1e-8):
        by = solver("adaptive/row-tsit5", rtol=tolerance, atol=tolerance)
        found = log_likelihood(reversed_(target, sde), x, by)
        errors.append(error(found, target, sde, x))
    assert errors[0] < 1e-5
    assert errors[1] < max(errors[0] / 20, 1e-8)


class Known:
    """N(0, s^2 I) with a number s that is learned; the flow is a scale, so that all is known."""

    def __init__(self, sde, s=0.7):
        self.sde, self.s = sde, torch.tensor(s, dtype=torch.float64, requires_grad=True)

    def variance(self, t):
        return (self.sde.alpha(t) * self.s) ** 2 + self.sde.sigma(t) ** 2

    @property
    def reverse(self):
        return ReverseSDE(
            self.sde, lambda x, t: -x / self.variance(t.double()).reshape(-1, *[1] * (x.ndim - 1))
        )

    def log_prob(self, x, t):
        wide = torch.tensor([t, self.sde.T], dtype=torch.float64)
        before, after = self.variance(wide)
        stretch = 0.5 * x[0].numel() * (after / before).log()
        return self.sde.prior_log_prob(x * (after / before).sqrt()) + stretch


@pytest.mark.parametrize("t", [None, 0.2])
def test_with_the_prior_it_is_the_density_of_the_sampler(any_sde, t):
    known, x = Known(any_sde), numbers(3, 2, 2)
    found = log_likelihood(known.reverse, x, t=t)
    assert torch.allclose(found.log_prob, known.log_prob(x, found.t).detach(), atol=1e-5)
    assert found.t == (any_sde.eps if t is None else t)
    assert not found.log_prob.requires_grad


def test_beyond_the_horizon_the_flow_is_a_scale():
    known = Known(EDMSDE(T=1e7))
    assert known.sde.horizon < 2e5
    found = log_likelihood(known.reverse, numbers(3, 2))
    assert torch.allclose(found.log_prob, known.log_prob(numbers(3, 2), found.t), atol=1e-4)


class Backward(torch.autograd.Function):
    """Minus x; it counts how often its derivative is asked for."""

    asked = 0

    @staticmethod
    def forward(ctx, x):
        return -x

    @staticmethod
    def backward(ctx, grad):
        Backward.asked += 1
        return -grad


def test_a_product_is_one_pass_back_and_the_look_at_the_network_one_more():
    reverse = ReverseSDE(VPSDE(), lambda x, t: Backward.apply(x))
    Backward.asked = 0
    found = log_likelihood(reverse, numbers(3, 2), COARSE, divergence=Hutchinson(1))
    assert found.products == found.nfe == 48
    assert Backward.asked == found.products + 1


@pytest.mark.parametrize(
    ("by", "within"),
    [
        (FINE, 1e-4),
        (OnGrid(solver("ode/adams-bashforth", order=4), LogSNR(100)), 1e-2),
        (OnGrid(solver("ode/adams-moulton"), LogSNR(100)), 1e-3),
        (OnGrid(OnGrid(RK4, LogSNR(8)), LogSNR(6)), 1e-4),
        (solver("ode/heun"), 1e-2),  # on the grid of a hundred steps that it gets
        (solver("adaptive/row-dopri5"), 1e-3),
        (solver("torchdiffeq/dopri5"), 1e-4),
        (OnGrid(solver("torchdiffeq/fixed-rk4"), LogSNR(24)), 1e-2),
        (solver("torchdiffeq/scipy-rk45"), 1e-4),
    ],
    ids=repr,
)
def test_any_flow_integrator_will_do(by, within):
    x = state(MIXTURE, VPSDE(), rows=2)
    found = log_likelihood(reversed_(MIXTURE, VPSDE()), x, by)
    assert error(found, MIXTURE, VPSDE(), x) < within


def test_the_shape_of_a_sample_does_not_matter():
    flat, wide = (Known(VPSDE()).reverse, Known(VPSDE()).reverse)
    x = numbers(3, 8)
    one, other = (log_likelihood(r, each) for r, each in ((flat, x), (wide, x.reshape(3, 2, 2, 2))))
    assert torch.equal(one.log_prob, other.log_prob)
    assert other.latent.shape == (3, 2, 2, 2)
    assert torch.equal(one.latent, other.latent.flatten(1))


def test_labels_and_probes_stay_with_their_rows():
    """Rows that arrive early leave the batch; what belongs to a row leaves with it."""
    variance = torch.tensor([0.01, 1.0, 25.0, 4.0], dtype=torch.float64)

    def network(x, t, variance):
        sde = VPSDE()
        total = sde.alpha(t) ** 2 * variance + sde.sigma(t) ** 2
        return -torch.sinh(x @ MATRIX.T) / total[:, None]

    x = torch.tensor([[0.1, 0.0], [0.5, -0.5], [4.0, 1.0], [-0.2, 0.3]], dtype=torch.float64)
    x = x.clamp(-0.6, 0.6)
    whole = ReverseSDE(VPSDE(), FromScore(Bound(network, variance=variance), VPSDE()))
    options = {"divergence": Hutchinson(2, Normal()), "t": 0.05}
    together = log_likelihood(whole, x, noise=PerSampleNoise(0, range(4)), **options)
    for row in range(4):
        bound = Bound(network, variance=variance[row : row + 1])
        alone = log_likelihood(
            ReverseSDE(VPSDE(), FromScore(bound, VPSDE())), x[row : row + 1],
            noise=PerSampleNoise(0, [row]), **options,
        )  # fmt: skip
        assert torch.allclose(alone.log_prob, together.log_prob[row], rtol=1e-10)
        assert torch.allclose(alone.std_error, together.std_error[row], rtol=1e-8)
    assert len(set(together.std_error.tolist())) == 4


MATRIX = torch.tensor([[0.8, 0.3], [-0.2, 0.9]], dtype=torch.float64)


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
