"""What a scheduler holds while the network runs."""

from __future__ import annotations

import gc

import pytest
import torch
from torch import Tensor

pytest.importorskip("diffusers")

from sdeplug_diffusers import ScoreSdeSubVpScheduler, ScoreSdeVeScheduler, as_scheduler

SHAPE = (3, 2, 5, 7)


def alive():
    """Tensors of the shape of the state, views of one for one."""
    tensors = (each for each in gc.get_objects() if type(each) is Tensor)
    return len({each.data_ptr() for each in tensors if each.shape == SHAPE})


@pytest.mark.parametrize(
    ("name", "states"),
    [
        ("exponential/ddim", 2),  # the state and the output, as with that of diffusers
        ("exponential/dpmpp-2m", 3),  # 4 with that of diffusers
        ("exponential/unipc", 5),  # as many
        ("song/ancestral", 2),  # as many
        ("exponential/edm-heun", 4),  # in the middle of a step, as many
    ],
)
def test_no_more_is_held_than_the_solver_has_to_know(name, states):
    scheduler = as_scheduler(name)
    scheduler.set_timesteps(4 if scheduler.order > 1 else 7)
    before, held = alive(), []
    x = torch.ones(SHAPE)
    for number, t in enumerate(scheduler.timesteps):
        output = 0.1 * x
        if number > 4:
            held.append(alive() - before)
        x = scheduler.step(output, t, x, generator=torch.Generator(), return_dict=False)[0]
        del output
    assert max(held) == states


@pytest.mark.parametrize("kind", [ScoreSdeVeScheduler, ScoreSdeSubVpScheduler])
def test_predictor_and_corrector_hold_nothing(kind):
    scheduler = kind()
    scheduler.set_timesteps(25)
    if kind is ScoreSdeVeScheduler:
        scheduler.set_sigmas(25)
    before, x = alive(), torch.ones(SHAPE)
    for t in scheduler.timesteps[:2]:
        output = 0.1 * x
        x = scheduler.correct(output, t, x, torch.Generator())
        x, _ = scheduler.predict(output, t, x, torch.Generator())
        del output, _
    assert alive() - before == 1


def test_levels_that_are_the_same_are_one_forward_sde():
    """It is looked at whole once, and not in every run."""
    scheduler = ScoreSdeVeScheduler()
    x, made = torch.ones(SHAPE), []
    for steps in (4, 4, 5):
        scheduler.set_timesteps(steps)
        scheduler.set_sigmas(steps)
        scheduler.step_correct(x, x)
        made.append(scheduler._ladder[1])
    assert made[0] is made[1]
    assert len(made[2].levels) == 5
