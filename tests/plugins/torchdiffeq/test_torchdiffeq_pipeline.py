"""torchdiffeq: in a pipeline."""

from __future__ import annotations

import weakref
from itertools import pairwise

import torch
from common import GaussianScore, normal
from plugins.torchdiffeq.methods import QUIET, bent
from probing import alternating

from sdeplug import (
    VPSDE,
    Corrected,
    Counted,
    Leg,
    LogSNR,
    OnGrid,
    Pipeline,
    ReverseSDE,
    Run,
    Silence,
    Uniform,
    targets,
)
from sdeplug.observers import Trajectory
from sdeplug_song import AnnealedLangevin
from sdeplug_torchdiffeq import (
    Bosh3,
    Dopri5,
    Dopri8,
    ExplicitAdams,
    FixedRK4,
    ImplicitAdams,
    ScipyRK45,
)

close = torch.testing.assert_close


def test_it_mixes_as_a_leg_and_between_sweeps_of_a_corrector():
    sde = VPSDE()
    reverse = ReverseSDE(sde, targets.eight_gaussians().score(sde))
    corrected = OnGrid(Corrected(Bosh3(1e-3, 1e-3), AnnealedLangevin()), LogSNR(10))
    legs = (
        Leg(0.3, Dopri5(1e-3, 1e-3)),
        Leg(0.05, corrected),
        Leg(0.02, ScipyRK45()),
        Leg(1e-3, FixedRK4(10)),
    )
    samples = Pipeline(reverse, legs).sample((64, 2), seed=0)
    assert samples.x.shape == (64, 2)
    assert float((samples.x.norm(dim=1) - 1.0).abs().max()) < 0.6


def test_on_a_grid_the_next_span_begins_with_the_step_of_the_last():
    """One evaluation at the start of a span and six in its step: the first span alone has more."""
    sde, steps = VPSDE(), 40
    counted = Counted(GaussianScore(sde))
    by = OnGrid(Dopri5(1e-2, 1e-2), Uniform(steps))
    by.integrate(ReverseSDE(sde, counted), normal(4, 2), 1.0, 1e-3, QUIET)
    assert 7 * steps <= counted.nfe <= 7 * steps + 24


def test_observers_see_the_accepted_states_inside_the_span_each_once():
    sde = VPSDE()
    score = targets.eight_gaussians().score(sde)
    for by in (Dopri5(1e-3, 1e-3), FixedRK4(8)):
        seen = Trajectory()
        samples = Pipeline(ReverseSDE(sde, score), (Leg(1e-3, by),)).sample(
            (16, 2), seed=1, dtype=torch.float64, observers=(seen,)
        )
        assert seen.times[0] == 1.0
        assert seen.times[-1] == 1e-3
        assert all(late > early for late, early in pairwise(seen.times))
        assert len(seen.times) > 6
        assert torch.equal(seen.states[-1], samples.x)
        # Each state is on the solution that leads to the next.
        again = Dopri8(1e-10, 1e-10).integrate(
            ReverseSDE(sde, score), seen.states[3], seen.times[3], seen.times[4], QUIET
        )
        close(again, seen.states[4], rtol=0.0, atol=3e-3)


def test_a_half_precision_state_is_seen_in_its_dtype():
    seen = []
    run = Run(Silence(), (lambda event: seen.append(event.x.dtype),))
    Dopri5(1e-2, 1e-2).flow(bent, normal(3, 2).bfloat16(), 1.0, 0.1, run)
    assert set(seen) == {torch.bfloat16}


def test_a_half_precision_state_is_not_rounded_in_every_step():
    """A thousand steps of 0.0005 from 1: bfloat16 cannot add one of them to 1."""
    y = torch.ones(2, 1, dtype=torch.bfloat16)
    end = FixedRK4(1000).flow(lambda y, t: torch.full_like(y, 0.5), y, 0.0, 1.0, QUIET)
    close(end, torch.full_like(y, 1.5))


def test_alternating_grid_and_adams_agree_with_a_fine_solution():
    sde, x = VPSDE(), normal(4, 3)
    reverse = ReverseSDE(sde, GaussianScore(sde))
    exact = Dopri8(1e-11, 1e-11).integrate(reverse, x, 1.0, 1e-3, QUIET)
    for by, tolerance in (
        (ExplicitAdams(), 1e-3),
        (ImplicitAdams(rtol=1e-8, atol=1e-8, max_iterations=20), 1e-4),
    ):
        got = OnGrid(by, alternating(16, sde)).integrate(reverse, x, 1.0, 1e-3, QUIET)
        close(got, exact, rtol=0.0, atol=tolerance)


def test_memory_does_not_grow_with_the_steps():
    """Of the states and scores of all steps so far, few are alive at any time."""
    held, alive = [], []

    def score(x, t):
        slope = -0.25 * x
        held.extend((weakref.ref(x), weakref.ref(slope)))
        alive[-1] = max(alive[-1], sum(each() is not None for each in held))
        return slope

    calls = []
    for tolerance in (1e-2, 1e-8):
        held.clear()
        alive.append(0)
        with torch.no_grad():
            Dopri5(tolerance, tolerance).integrate(
                ReverseSDE(VPSDE(), score), normal(3, 2), 1.0, 0.1, Run(Silence())
            )
        calls.append(len(held))
    assert calls[1] > 5 * calls[0]
    assert alive[1] <= alive[0]
