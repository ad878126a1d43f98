"""The implicit midpoint rule: its equation in closed form, undone to rounding, row by row."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from bundled import checks_of
from common import normal

from sdeplug import (
    VESDE,
    VPSDE,
    LogSNR,
    ReverseSDE,
    Run,
    SharedNoise,
    Silence,
    StepError,
    targets,
)
from sdeplug_ode import RK4, Reversible

close = torch.testing.assert_close
QUIET = Run(Silence())


@checks_of([Reversible()])
def test_conformance(check):
    check()


def over(by, field, y, times):
    for t, s in pairwise(times):
        y = by.flow(field, y, t, s, QUIET)
    return y


@pytest.mark.parametrize(("t", "s"), [(0.7, 0.3), (0.3, 0.7)])
@pytest.mark.parametrize("stretch", [1.0, 4.0])
def test_a_linear_field_is_solved_in_closed_form(t, s, stretch):
    """Cayley's transform, also where plain iteration would run away: the largest eigenvalue of
    h A / 2 is above 1."""
    a = stretch * torch.tensor([[-2.0, 1.0], [0.5, -1.0]], dtype=torch.float64)
    h, one = s - t, torch.eye(2, dtype=torch.float64)
    y = normal(5, 2)
    stepped = Reversible().flow(lambda x, time: time * x @ a.T, y, t, s, QUIET)
    half = 0.5 * h * 0.5 * (t + s) * a
    close(stepped, y @ torch.linalg.solve(one - half, one + half).T, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("sde", [VPSDE(), VESDE()], ids=repr)
def test_the_same_steps_the_other_way_undo_it_to_rounding(sde):
    ring = targets.eight_gaussians()
    flow = ReverseSDE(sde, ring.score(sde)).flow
    times = LogSNR(25).times(sde.T, sde.eps, sde)
    data = ring.sample(8, noise=SharedNoise(0), t=sde.eps, sde=sde, dtype=torch.float64)
    latent = over(Reversible(), flow, data, times[::-1])
    assert float((over(Reversible(), flow, latent, times) - data).abs().max()) < 1e-10
    again = over(Reversible(), flow, over(Reversible(), flow, latent, times), times[::-1])
    assert float((again - latent).abs().max()) < 1e-10 * sde.prior_std


def test_what_it_returns_is_the_latent_of_the_flow():
    """An explicit pair of states may come back to where it was from a place far off."""
    sde, ring = VPSDE(), targets.eight_gaussians()
    flow = ReverseSDE(sde, ring.score(sde)).flow
    data = ring.sample(4, noise=SharedNoise(1), t=sde.eps, sde=sde, dtype=torch.float64)
    fine = LogSNR(100).times(sde.T, sde.eps, sde)[::-1]
    wanted = over(RK4(), flow, data, fine)
    gaps = [
        float((over(Reversible(), flow, data, LogSNR(n).times(sde.T, sde.eps, sde)[::-1]) - wanted)
              .abs().max())
        for n in (15, 30)
    ]  # fmt: skip
    assert gaps[0] < 0.02
    assert math.log2(gaps[0] / gaps[1]) == pytest.approx(2.0, abs=0.3)


def test_a_row_does_not_depend_on_its_neighbours():
    def field(y, t):
        return torch.sin(3.0 * t + 5.0 * y)

    y = normal(6, 3)
    y[0] *= 1e-3  # solved sooner than the others
    together = Reversible().flow(field, y, 1.0, 0.4, QUIET)
    for row in range(len(y)):
        one = y[row : row + 1]
        close(together[row : row + 1], Reversible().flow(field, one, 1.0, 0.4, QUIET),
              rtol=0.0, atol=1e-15)  # fmt: skip


def test_gradients_go_through_to_the_state_and_the_parameters():
    rate = torch.tensor(-0.8, dtype=torch.float64, requires_grad=True)
    y = normal(3, 2).requires_grad_()
    Reversible().flow(lambda x, t: rate * x, y, 1.0, 0.5, QUIET).sum().backward()
    half = -0.25 * -0.8
    close(y.grad, torch.full_like(y, (1 + half) / (1 - half)), rtol=1e-9, atol=0.0)
    slope = -0.5 * float(y.detach().sum()) / (1 - half) ** 2
    assert float(rate.grad) == pytest.approx(slope, rel=1e-9)


def test_a_step_that_is_not_solved_says_so():
    with pytest.raises(StepError, match=r"step from t = 1 to 0.5 is not solved.*more steps") as e:
        Reversible(most=3).flow(lambda y, t: torch.sin(9.0 * y), normal(3, 2), 1.0, 0.5, QUIET)
    assert e.value.step == -0.5
    assert e.value.last_t == 1.0
