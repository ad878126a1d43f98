"""float16 and bfloat16: what the score model sees and what comes out; steps are in float32."""

from __future__ import annotations

import pytest
import torch
from common import GaussianScore

from sdeplug import (
    EDMSDE,
    VESDE,
    VPSDE,
    Corrected,
    Denoise,
    FromDenoiser,
    InDtype,
    Leg,
    LogSNR,
    NonFiniteError,
    OnGrid,
    Pipeline,
    ReverseSDE,
    Trajectory,
    solver,
)

HALVES = (torch.float16, torch.bfloat16)
LOUD = VESDE(sigma_max=1000.0)  # whose square no float16 holds


def run(sde, by, dtype, score=None, shape=(16, 2), **more):
    reverse = ReverseSDE(sde, score or GaussianScore(sde))
    return Pipeline(reverse, (Leg(sde.eps, by),)).sample(shape, dtype=dtype, **more)


STEPS = """exponential/adams exponential/deis exponential/sde-dpm exponential/exp-heun
    exponential/er-sde song/ancestral song/euler-maruyama song/reverse-diffusion ode/heun ode/rk4
    ode/adams-bashforth""".split()
WHOLE = """exponential/auto exponential/edm-heun exponential/restart
    row-adams row-tsit5""".split()


@pytest.mark.parametrize(
    "sde",
    [VPSDE(), LOUD, pytest.param(EDMSDE(), marks=pytest.mark.thorough)],
    ids=lambda sde: type(sde).__name__,
)
@pytest.mark.parametrize(
    "name", [*STEPS, *WHOLE[:-1], pytest.param(WHOLE[-1], marks=pytest.mark.thorough)]
)
def test_a_run_in_half_precision_is_that_in_float32_rounded(name, sde):
    by = OnGrid(solver(name), LogSNR(40)) if name in STEPS else solver(name)
    wide = run(sde, by, torch.float32).x
    for dtype in HALVES:
        samples = run(sde, by, dtype)
        assert samples.x.dtype == dtype
        gap = (samples.x.float() - wide).abs().mean()
        # With noise other steps are another sample, by what the tolerance allows.
        assert float(gap) < (0.1 if name == "row-adams" else 2.0 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("name", ["langevin", "annealed-langevin"])
def test_correctors_too(name):
    by = Corrected(OnGrid(solver("ode/heun"), LogSNR(10)), solver(f"song/{name}"))
    for sde in (VPSDE(), LOUD):
        wide = run(sde, by, torch.float32).x
        for dtype in HALVES:
            gap = (run(sde, by, dtype).x.float() - wide).abs().mean()
            assert float(gap) < 4.0 * torch.finfo(dtype).eps


@pytest.mark.parametrize("dtype", HALVES)
def test_the_score_model_sees_half_precision_and_the_observers_float32(dtype):
    seen, trajectory = set(), Trajectory()

    def score(x, t):
        seen.add((x.dtype, t.dtype))
        return GaussianScore(VPSDE())(x, t)

    by = OnGrid(solver("exponential/ddim"), LogSNR(5))
    run(VPSDE(), by, dtype, score, observers=(trajectory,))
    assert seen == {(dtype, torch.float32)}
    assert {x.dtype for x in trajectory.states} == {torch.float32}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nothing_is_cast_in_other_dtypes(dtype):
    seen = set()

    def score(x, t):
        seen.add((x.dtype, t.dtype))
        return -x

    assert run(VPSDE(), OnGrid(solver("ode/heun"), LogSNR(2)), dtype, score).x.dtype == dtype
    assert seen == {(dtype, dtype)}


def test_a_state_that_is_given_keeps_its_dtype():
    x = torch.ones(4, 2, dtype=torch.bfloat16)
    by = OnGrid(solver("ode/heun"), LogSNR(2))
    assert run(VPSDE(), by, torch.float32, shape=(4, 2), x=x).x.dtype == torch.bfloat16


@pytest.mark.parametrize(
    "score", [lambda net: InDtype(net, torch.float16), lambda net: net], ids=["InDtype", "state"]
)
def test_a_denoiser_in_float16_near_the_data(score):
    """sigma ** -2 overflowed below sigma = 1 / 256, and the samples were not finite."""
    sde = EDMSDE()
    model = FromDenoiser(denoiser, sde)
    for name in ("exponential/edm-heun", "row-tsit5"):
        by, half = solver(name), torch.float16 if score(model) is model else torch.float32
        x = run(sde, by, half, score(model), (200, 1)).x.float()
        assert float(x.mean()) == pytest.approx(0.5, abs=0.15)
        assert float(x.std()) == pytest.approx(0.5, abs=0.15)


def denoiser(x, t):
    """For data N(1/2, 1/4), in any dtype."""
    square = t.reshape(-1, 1) ** 2
    return (0.5 + 0.25 / (0.25 + square) * (x.float() - 0.5)).to(x.dtype)


STEP = OnGrid(solver("exponential/ddim"), LogSNR(10))


def test_a_state_that_float16_cannot_hold_is_an_error_with_the_cure():
    with pytest.raises(NonFiniteError, match=r"beyond 65504.*dtype=torch.bfloat16"):
        run(VESDE(sigma_max=1e5), STEP, torch.float16)
    assert run(VESDE(sigma_max=1e5), STEP, torch.bfloat16).x.isfinite().all()


def test_a_score_that_float16_cannot_hold_is_an_error_with_the_cure():
    sde = EDMSDE(eps=1e-6)
    point = GaussianScore(sde, mean=0.0, variance=0.0)
    with pytest.raises(NonFiniteError, match=r"bfloat16.*InDtype\(network, torch.float16\)"):
        run(sde, STEP, torch.float16, point)
    assert run(sde, STEP, torch.bfloat16, point).x.isfinite().all()


def test_samples_that_float16_cannot_hold_are_an_error_with_the_cure():
    sde = VPSDE()
    far = FromDenoiser(lambda x, t: torch.full_like(x, 1e5, dtype=torch.float32), sde)
    pipeline = Pipeline(ReverseSDE(sde, far), (Leg(0.0, Denoise()),))
    with pytest.raises(NonFiniteError, match=r"beyond 65504.*dtype=torch.bfloat16"):
        pipeline.sample((4, 1), dtype=torch.float16)
    assert pipeline.sample((4, 1), dtype=torch.bfloat16).x.isfinite().all()
