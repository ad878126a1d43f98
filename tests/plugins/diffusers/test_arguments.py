"""Every argument of the schedulers, with what it cannot be: one sentence that names it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

pytest.importorskip("diffusers")

import sdeplug as sp
from sdeplug_diffusers import (
    IntegratorScheduler,
    ScoreSdeVeScheduler,
    ScoreSdeVpScheduler,
    as_scheduler,
)

X = torch.ones(2, 1, 2, 2)
COUNT = (None, "4", 1.5, -1, True, [4])
NUMBER = (None, "1", float("nan"), True, [0.5], object)
SWITCH = (None, "no", 1)
STATE = (None, "x", 1.0, [1.0], X.numpy(), X.long(), torch.tensor(1.0))
OUTPUT = (*STATE, X[:1])
NOISE = ("x", [1.0], X.numpy())
LIST = (3.0, "900", ["a"], [900.0, None], {"a": 1}, torch.tensor(3.0))
ROWS = (None, "1", [0.5], np.array([0.5]), torch.zeros(3), torch.zeros(0))
GENERATOR = (3, [3, 4], (torch.Generator(),), [torch.Generator()] * 3)
DEVICE = ("gpu", [1], 1.5)


@cache
def ours(name="song/ancestral"):
    scheduler = as_scheduler(name)
    scheduler.set_timesteps(4)
    return scheduler


@cache
def of_song(cls):
    scheduler = cls(num_train_timesteps=10)
    scheduler.set_timesteps(4)
    if cls is ScoreSdeVeScheduler:
        scheduler.set_sigmas(4)
    return scheduler


def ve():
    return of_song(ScoreSdeVeScheduler)


def vp():
    return of_song(ScoreSdeVpScheduler)


def options(cls, **wrong):
    """Every option of a constructor, with its wrong values."""
    return [(name, lambda v, name=name: cls(**{name: v}), values) for name, values in wrong.items()]


CASES = [
    *options(
        IntegratorScheduler,
        solver=(None, 3),
        num_train_timesteps=COUNT,
        beta_start=(*NUMBER, -1.0),
        beta_end=NUMBER,
        beta_schedule=(None, "cosine"),
        trained_betas=LIST,
        rescale_betas_zero_snr=SWITCH,
        prediction_type=(None, "noise", ["epsilon"]),
        timestep_spacing=(None, "karras", ["leading"]),
        steps_offset=COUNT,
        shift=(*NUMBER, 0.0),
        sde=(3, sp.VPSDE),
        last_label=(*NUMBER, 0.0),
        stochasticity=("1", [1.0], -1.0),
    ),
    ("config", IntegratorScheduler.from_config, (None, 3, [1])),
    ("num_inference_steps", lambda v: ours().set_timesteps(v), COUNT[1:]),
    ("device", lambda v: ours().set_timesteps(4, v), DEVICE),
    ("timesteps", lambda v: ours().set_timesteps(timesteps=v), LIST),
    ("sigmas", lambda v: ours().set_timesteps(sigmas=v), LIST),
    ("begin_index", lambda v: ours().set_begin_index(v), COUNT[1:]),
    ("model_output", lambda v: ours().step(v, 750, X), OUTPUT),
    ("timestep", lambda v: ours().step(X, v, X), (None, "750", [750], torch.zeros(0))),
    ("sample", lambda v: ours().step(X, 750, v), STATE),
    ("eta", lambda v: ours("exponential/ddim").step(X, 750, X, eta=v), NUMBER[1:]),
    ("generator", lambda v: ours().step(X, 750, X, generator=v), GENERATOR),
    ("original_samples", lambda v: ours().add_noise(v, X, torch.tensor(3)), STATE),
    ("noise", lambda v: ours().add_noise(X, v, torch.tensor(3)), NOISE),
    ("timesteps", lambda v: ours().add_noise(X, X, v), ROWS),
    *options(
        ScoreSdeVeScheduler,
        num_train_timesteps=COUNT,
        snr=(None, "1", -1.0),
        sigma_min=(*NUMBER, 0.0),
        sigma_max=(*NUMBER[1:], float("inf")),
        sampling_eps=(*NUMBER, 1.0),
        correct_steps=COUNT,
        rows_apart=SWITCH,
        keep_dtype=SWITCH,
        rebuild_sigmas=SWITCH,
        any_noise=SWITCH,
        single_step=SWITCH,
        repaired=SWITCH,
    ),
    ("num_inference_steps", lambda v: ve().set_timesteps(v), COUNT),
    ("sampling_eps", lambda v: ve().set_timesteps(4, v), (*NUMBER[1:], 1.0)),
    ("device", lambda v: ve().set_timesteps(4, None, v), DEVICE),
    ("num_inference_steps", lambda v: ve().set_sigmas(v), COUNT),
    ("sigma_min", lambda v: ve().set_sigmas(4, v), (*NUMBER[1:], 0.0)),
    ("sigma_max", lambda v: ve().set_sigmas(4, None, v), NUMBER[1:]),
    ("model_output", lambda v: ve().step_pred(v, 1.0, X), OUTPUT),
    ("timestep", lambda v: ve().step_pred(X, v, X), ROWS),
    ("sample", lambda v: ve().step_pred(X, 1.0, v), STATE),
    ("generator", lambda v: ve().step_pred(X, 1.0, X, v), GENERATOR),
    ("model_output", lambda v: ve().step_correct(v, X), OUTPUT),
    ("sample", lambda v: ve().step_correct(X, v), STATE),
    ("generator", lambda v: ve().step_correct(X, X, v), GENERATOR),
    ("original_samples", lambda v: ve().add_noise(v, X, torch.tensor([1])), NOISE),
    ("noise", lambda v: ve().add_noise(X, v, torch.tensor([1])), NOISE),
    ("timesteps", lambda v: ve().add_noise(X, X, v), (*ROWS, torch.tensor([4]), X[:, 0, 0, 0])),
    *options(
        ScoreSdeVpScheduler,
        num_train_timesteps=COUNT,
        beta_min=("1", -1.0),
        beta_max=("1", 0.0),
        correct_steps=COUNT,
        rows_apart=SWITCH,
        keep_dtype=SWITCH,
        repaired=SWITCH,
    ),
    ("num_inference_steps", lambda v: vp().set_timesteps(v), COUNT),
    ("device", lambda v: vp().set_timesteps(4, v), DEVICE),
    ("score", lambda v: vp().step_pred(v, X, 1.0), OUTPUT),
    ("x", lambda v: vp().step_pred(X, v, 1.0), STATE),
    ("t", lambda v: vp().step_pred(X, X, v), ROWS),
    ("generator", lambda v: vp().step_pred(X, X, 1.0, v), GENERATOR),
    ("noise", lambda v: vp().step_pred(X, X, 1.0, noise=v), OUTPUT[1:]),
    ("model_output", lambda v: vp().step_correct(v, 1.0, X), OUTPUT),
    ("timestep", lambda v: vp().step_correct(X, v, X), ROWS),
    ("sample", lambda v: vp().step_correct(X, 1.0, v), STATE),
    ("original_samples", lambda v: vp().add_noise(v, X, torch.tensor(0.5)), STATE),
    ("noise", lambda v: vp().add_noise(X, v, torch.tensor(0.5)), (None, *NOISE)),
    ("timesteps", lambda v: vp().add_noise(X, X, v), (*ROWS, torch.tensor(2.0))),
]


@pytest.mark.parametrize(("argument", "call", "wrong"), CASES, ids=[case[0] for case in CASES])
def test_what_an_argument_cannot_be_is_told_by_its_name(argument, call, wrong):
    for value in wrong:
        with pytest.raises(sp.ArgumentError) as found:
            call(value)
        assert found.value.argument == argument, value
        assert ": must be " in str(found.value)


def test_an_array_is_told_how_to_become_a_tensor():
    with pytest.raises(sp.ArgumentError, match=r"an array of shape \(2, 1, 2, 2\).*as_tensor"):
        ours().step(X.numpy(), 750, X)


def test_numbers_of_numpy_and_tensors_of_one_are_numbers():
    scheduler = as_scheduler("exponential/ddim", shift=np.float64(1.0), steps_offset=np.int64(1))
    scheduler.set_timesteps(np.int64(4))
    assert scheduler.timesteps.tolist() == [751, 501, 251, 1]
    scheduler.step(X, np.int64(751), X, eta=torch.tensor(0.5))
    scheduler.set_timesteps(timesteps=np.array([900, 1]))
    assert scheduler.timesteps.tolist() == [900, 1]
    scheduler.set_begin_index(None)
    assert scheduler.begin_index is None
