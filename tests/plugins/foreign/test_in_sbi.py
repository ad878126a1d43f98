"""Integrators as predictors of sbi, on posteriors whose score is exact."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

import sdeplug as sp
from sdeplug_foreign import register_in_sbi
from sdeplug_foreign.in_sbi import sde_of_estimator

close = torch.testing.assert_close
MEAN, STD = torch.tensor([1.0, -0.5]), torch.tensor([0.3, 1.2])
CHOICES = {
    "VPScoreEstimator": ({"beta_min": 0.01, "beta_max": 10.0}, sp.VPSDE),
    "SubVPScoreEstimator": ({"beta_min": 0.01, "beta_max": 10.0}, sp.SubVPSDE),
    "VEScoreEstimator": ({"sigma_min": 0.05, "sigma_max": 10.0}, sp.VESDE),
}


def estimator(name, **options):
    return type(name, (), {**options, "t_min": 1e-3, "t_max": 1.0})()


@pytest.mark.parametrize("name", CHOICES)
def test_the_sde_is_that_of_the_estimator(name):
    options, sde = CHOICES[name]
    child = type("Mine", (type(estimator(name, **options)),), {})()
    assert sde_of_estimator(child) == sde(**options, eps=1e-3)


def test_an_unknown_estimator_is_refused():
    with pytest.raises(sp.ArgumentError, match="one of VPScoreEstimator"):
        sde_of_estimator(estimator("FlowMatchingEstimator"))


# With a stand-in for sbi, which is not asked for more than its base class and its register.


class StandIn:
    """The predictor of sbi, and where it finds one by name."""

    def __init__(self, potential_fn):
        self.potential_fn = potential_fn


@pytest.fixture
def registered(monkeypatch):
    """What has been registered, by name."""
    found = {}
    module = ModuleType("sbi.samplers.score.predictors")
    module.Predictor = StandIn
    module.register_predictor = lambda name: lambda made: found.setdefault(name, made)
    for name in ("sbi", "sbi.samplers", "sbi.samplers.score"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    register_in_sbi()
    return found


def small_posterior(**more):
    """A learned posterior much narrower than 1, as sbi holds one; it takes one time, or rows."""
    options, _ = CHOICES["VEScoreEstimator"]
    holder = estimator("VEScoreEstimator", **options)
    holder.input_shape = torch.Size([2])
    sde = sde_of_estimator(holder)

    def gradient(theta, time):
        assert more == {} or len(time) == 1
        sigma = sde.sigma(time.double())[..., None]
        return ((MEAN - theta) / (0.05**2 + sigma**2)).to(theta.dtype)

    return SimpleNamespace(vector_field_estimator=holder, gradient=gradient, **more), sde


@pytest.mark.parametrize("more", [{}, {"x_is_iid": True}, {"guidance_method": "affine"}])
@pytest.mark.parametrize("name", ["exponential/auto", "adaptive/row-dopri5"])
def test_a_whole_way_is_a_run_of_the_pipeline(registered, name, more):
    """What looks at the score before it runs, and what takes rows at times of their own."""
    holder, sde = small_posterior(**more)
    rows, options = (40, {"nfe": 9}) if "auto" in name else (4, {"rtol": 0.01, "atol": 0.01})
    by = sp.solver(name, **options)
    predictor = registered["sdeplug"](holder, by, stochasticity=0.0)
    x = 10.0 * torch.randn(rows, 1, 2, generator=torch.Generator().manual_seed(3))
    ends = torch.tensor(1.0), torch.tensor(sde.eps)
    got = predictor.predict(x, *ends)
    score = sp.targets.Gaussian(MEAN.double(), 0.05**2 * torch.eye(2).double()).score(sde)
    reverse = sp.ReverseSDE(sde, lambda x, t: score(x, t), 0.0)
    expected = sp.Pipeline(reverse, (sp.Leg(float(ends[1]), by),)).sample(x=x[:, 0]).x
    close(got[:, 0], expected, rtol=1e-4, atol=1e-4)
    close(predictor.predict(x, *ends), got)


# With sbi.


def potential(name):
    """The posterior N(MEAN, STD^2), as sbi holds one."""
    module = pytest.importorskip("sbi.neural_nets.estimators.score_estimator")

    class Exact(getattr(module, name)):
        def score(self, input, condition, t):
            alpha, sigma = self.mean_t_fn(t), self.std_fn(t)
            return (alpha * MEAN - input) / ((alpha * STD) ** 2 + sigma**2)

    shapes = torch.Size([2]), torch.Size([1])
    made = Exact(torch.nn.Identity(), *shapes, **CHOICES[name][0], t_min=1e-3)
    return SimpleNamespace(
        vector_field_estimator=made,
        device="cpu",
        x_is_iid=False,
        x_o=torch.zeros(1, 1),
        gradient=lambda theta, time: made.score(theta, None, time),
    )


@pytest.mark.parametrize("name", CHOICES)
def test_samples_are_those_of_the_pipeline(name):
    """A whole way at once, and step by step with memory, from the draws of sbi."""
    holder = potential(name)
    from sbi.samplers.score.diffuser import Diffuser

    register_in_sbi("ours")
    sde = sde_of_estimator(holder.vector_field_estimator)
    by = sp.solver("exponential/dpmpp-2m")
    ends, times = torch.tensor([1.0, 1e-3]), torch.tensor([1.0, 0.5, 0.2, 0.05, 1e-3])
    inner = sp.At(tuple(times[1:-1].tolist()))
    for ts, each in ((ends, sp.OnGrid(by, inner)), (times, by)):
        params = {"integrator": each, "stochasticity": 0.0}
        diffuser = Diffuser(holder, "ours", predictor_params=params)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            got = diffuser.run(5, ts, show_progress_bars=False)
            torch.manual_seed(1)
            x = diffuser.initialize(5)
        data = sp.targets.Gaussian(MEAN.double(), torch.diag(STD.double() ** 2))
        reverse = sp.ReverseSDE(sde, data.score(sde), 0.0)
        legs = (sp.Leg(float(times[-1]), sp.OnGrid(by, inner)),)
        expected = sp.Pipeline(reverse, legs).sample(x=x[:, 0], noise=sp.Silence()).x
        close(got[:, 0], expected, rtol=1e-4, atol=1e-4)


def test_what_is_no_integrator_is_refused():
    holder = potential("VPScoreEstimator")
    from sbi.samplers.score.predictors import get_predictor

    register_in_sbi("ours")

    with pytest.raises(sp.ArgumentError, match="integrator"):
        get_predictor("ours", holder, integrator=sp.solver("song/langevin"))


def test_without_sbi_it_is_said_how_to_install_it(monkeypatch):
    for name in ("sbi", "sbi.samplers.score.predictors"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(sp.MissingExtraError, match="sbi"):
        register_in_sbi()
