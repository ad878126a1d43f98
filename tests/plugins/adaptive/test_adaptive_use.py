"""Solvers with a step size for each row: options, failures and labels."""

from __future__ import annotations

import math

import pytest
import torch
from common import GaussianScore, normal

from sdeplug import (
    VESDE,
    VPSDE,
    ArgumentError,
    Bound,
    Chunked,
    Corrected,
    Counted,
    Denoise,
    InDtype,
    Leg,
    LogSNR,
    NonFiniteError,
    OnGrid,
    Pipeline,
    ReverseSDE,
    Run,
    SdeplugError,
    SharedNoise,
    Silence,
    StepError,
    solver,
    targets,
)
from sdeplug_adaptive import RowAdams, RowDopri5, RowImprovedEuler, RowTsit5

SDE = VPSDE()


def test_the_published_rule_to_the_letter():
    """One row, by the loop of Jolicoeur-Martineau et al., algorithm 1, with numbers drawn alike."""
    reverse = ReverseSDE(SDE, GaussianScore(SDE))
    x, t, h, noise = normal(1, 6), 1.0, 0.01, SharedNoise(5)
    start, before = x, x
    while t - SDE.eps > 1e-12:
        z = noise.normal(x)
        one = -h * reverse.drift(x, t) + math.sqrt(h) * reverse.diffusion(t) * z
        guess, end = x + one, max(t - h, SDE.eps)
        two = -h * reverse.drift(guess, end) + math.sqrt(h) * reverse.diffusion(end) * z
        size = torch.clamp(0.1 * torch.maximum(before.abs(), guess.abs()), min=0.02)
        error = float((0.5 * (two - one) / size).square().mean().sqrt())
        if error <= 1.0:
            x, t, before = x + 0.5 * (one + two), end, guess
        h = min(t - SDE.eps, 0.9 * h * error**-0.9)
    by = RowImprovedEuler(rtol=0.1, atol=0.02, keep_noise=False, longest_step=1.0)
    got = by.integrate(reverse, start, 1.0, SDE.eps, Run(SharedNoise(5)))
    torch.testing.assert_close(got, x, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("by", [RowAdams(), RowTsit5(), RowImprovedEuler(rtol=0.05, atol=0.05)])
def test_mixes_with_everything(by):
    target = targets.eight_gaussians()
    pc = OnGrid(Corrected(by, solver("langevin")), LogSNR(4))
    legs = (Leg(0.3, pc), Leg(1e-3, by), Leg(0.0, Denoise()))
    seen = []
    out = Pipeline(ReverseSDE(SDE, target.score(SDE)), legs).sample(
        (64, 2), seed=0, observers=(seen.append,)
    )
    assert out.x.isfinite().all()
    times = [event.t for event in seen]
    assert times == sorted(times, reverse=True)
    apart = [event for event in seen if event.times is not None]
    assert apart
    assert all(float(event.times.max()) == pytest.approx(event.t) for event in apart)
    again = Pipeline(ReverseSDE(SDE, target.score(SDE)), legs).sample((64, 2), seed=0)
    assert torch.equal(out.x, again.x)


@pytest.mark.parametrize("by", [RowAdams, RowTsit5, RowDopri5, RowImprovedEuler])
@pytest.mark.parametrize("option", ["rtol", "atol", "first_step", "max_steps"])
@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_options_out_of_range(by, option, value):
    with pytest.raises(ArgumentError, match=option):
        by(**{option: value if option == "max_steps" else float(value)})


SOLVERS = [RowAdams, RowTsit5, RowDopri5, RowImprovedEuler]


@pytest.mark.parametrize("by", SOLVERS)
def test_too_small_a_budget(by):
    reverse = ReverseSDE(SDE, targets.eight_gaussians().score(SDE))
    with pytest.raises(StepError, match=r"leg 0: row \d+ at t = .*max_steps = 3") as caught:
        Pipeline(reverse, (Leg(1e-3, by(max_steps=3)),)).sample((8, 2))
    error = caught.value
    assert error.last.isfinite().all()
    assert error.times.shape == (8,)
    assert error.last_t == pytest.approx(float(error.times[error.row]))
    assert 1e-3 < error.last_t <= 1.0
    assert error.step > 0.0
    assert type(by()).__name__ in error.solver


@pytest.mark.parametrize("by", SOLVERS)
def test_a_score_that_is_not_finite_half_way(by):
    exact = targets.eight_gaussians().score(SDE)

    def score(x, t):
        return torch.where(
            (t < 0.5)[:, None] & (x > 0.0).all(1, keepdim=True), torch.nan, exact(x, t)
        )

    with pytest.raises(NonFiniteError, match="not finite after any step") as caught:
        Pipeline(ReverseSDE(SDE, score), (Leg(1e-3, by()),)).sample((8, 2))
    error = caught.value
    assert error.last.isfinite().all()
    assert error.last_t < 0.5 + 1e-3
    assert bool((error.last[error.row] > -0.2).all())


def test_a_score_that_is_not_finite_at_the_start():
    with pytest.raises(NonFiniteError):
        Pipeline(ReverseSDE(SDE, lambda x, t: x * torch.nan), (Leg(1e-3, RowTsit5()),)).sample(
            (2, 2)
        )


@pytest.mark.parametrize("by", [RowTsit5(), RowDopri5()])
def test_a_problem_that_blows_up(by):
    y = torch.tensor([[0.1], [2.0]], dtype=torch.float64)  # 1 / (1/y - t): infinite at t = 0.5
    with pytest.raises((StepError, NonFiniteError), match=r"row 1 at t = 0\.5") as caught:
        by.flow(lambda y, t: y**2, y, 0.0, 1.0, Run(Silence()))
    assert caught.value.last.isfinite().all()
    assert caught.value.times[0] > 0.5


def test_spans():
    y = normal(2, 2)
    assert torch.equal(RowTsit5().flow(lambda y, t: y, y, 0.5, 0.5, Run(Silence())), y)
    with pytest.raises(ArgumentError, match="sigma is not 0"):
        RowAdams().integrate(ReverseSDE(SDE, GaussianScore(SDE)), y, 1.0, 0.0, Run(SharedNoise(0)))
    assert (
        RowAdams()
        .integrate(ReverseSDE(VESDE(), GaussianScore(VESDE())), y, 1.0, 0.0, Run(SharedNoise(0)))
        .isfinite()
        .all()
    )


def test_finished_rows_cost_nothing():
    target = targets.eight_gaussians()
    counted = Counted(target.score(SDE))
    x = target.sample(64, noise=SharedNoise(1), t=1.0, sde=SDE, dtype=torch.float64)
    RowAdams().integrate(ReverseSDE(SDE, counted), x, 1.0, 1e-3, Run(SharedNoise(2)))
    assert counted.rows < 0.9 * counted.nfe * len(x)


@pytest.mark.parametrize("by", [RowAdams, RowTsit5, RowDopri5, RowImprovedEuler])
def test_a_score_may_tell_rows_apart_by_their_place(by):
    """Labels of the rows, bound into the score: it has to see the whole batch, every time."""
    centres = torch.linspace(-1.0, 1.0, 8, dtype=torch.float64)

    def score(x, t):
        each = SDE.at(0.5)  # any score will do
        return -(x - centres[:, None]) / (each.alpha + t[:, None])

    pipeline = Pipeline(ReverseSDE(SDE, score), (Leg(0.01, by(whole_batch=True)),))
    out = pipeline.sample((8, 2), seed=list(range(8)), dtype=torch.float64)
    assert out.nfe_by_row.tolist() == [out.nfe] * 8

    def alone(x, t):
        return -(x - centres[3]) / (SDE.at(0.5).alpha + t[:, None])

    one = Pipeline(ReverseSDE(SDE, alone), (Leg(0.01, by()),))
    got = one.sample((1, 2), seed=[3], dtype=torch.float64)
    torch.testing.assert_close(out.x[3:4], got.x, rtol=1e-10, atol=1e-10)


def labelled(x, t, labels):
    """The score of N(label, 1/4), times what it takes for rows to arrive apart."""
    now = SDE.at(0.5)  # any score will do
    return -(x - labels[:, None]) / (now.alpha + t[:, None])


LABELS = torch.linspace(-1.0, 1.0, 8, dtype=torch.float64)


@pytest.mark.parametrize(
    "by",
    [
        RowAdams,
        RowTsit5,
        *(pytest.param(each, marks=pytest.mark.thorough) for each in (RowDopri5, RowImprovedEuler)),
    ],
)
def test_labels_that_are_bound_leave_with_their_rows(by):
    def sampled(score, options):
        pipeline = Pipeline(ReverseSDE(SDE, score), (Leg(0.01, by(**options)),))
        return pipeline.sample((8, 2), seed=list(range(8)), dtype=torch.float64)

    bound = Bound(labelled, labels=LABELS)
    want = sampled(bound, {"whole_batch": True})
    for score in (bound, Chunked(Counted(InDtype(bound, torch.float64)), 3)):
        got = sampled(score, {})
        torch.testing.assert_close(got.x, want.x, rtol=1e-10, atol=1e-10)
        assert int(got.nfe_by_row.sum()) < int(want.nfe_by_row.sum())


@pytest.mark.parametrize("by", [RowAdams, RowTsit5, RowDopri5, RowImprovedEuler])
@pytest.mark.parametrize("hidden", [False, True])
def test_labels_that_are_not_bound_are_one_clear_error(by, hidden):
    """A function that closes over labels, or over a Bound, has rows that nobody knows of."""
    bound = Bound(labelled, labels=LABELS)
    score = (lambda x, t: bound(x, t)) if hidden else (lambda x, t: labelled(x, t, LABELS))
    pipeline = Pipeline(ReverseSDE(SDE, score), (Leg(0.01, by()),))
    with pytest.raises(SdeplugError, match=r"FromNoise\(Bound\(network"):
        pipeline.sample((8, 2), seed=0, dtype=torch.float64)
