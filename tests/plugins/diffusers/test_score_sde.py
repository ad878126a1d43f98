"""The schedulers of Song et al. in the places of diffusers' own: same numbers, types and tables."""

from __future__ import annotations

import json

import diffusers
import pytest
import torch
from diffusers.schedulers.deprecated.scheduling_sde_vp import ScoreSdeVpScheduler as TheirVp
from hypothesis import given, settings
from hypothesis import strategies as st
from plugins.diffusers.schedulers import OURS, generators, pair, seeded

from sdeplug_diffusers import (
    ScoreSdeVeScheduler,
    ScoreSdeVpScheduler,
    SdeVeOutput,
)

pytest.importorskip("diffusers")
close = torch.testing.assert_close
TheirVe = diffusers.ScoreSdeVeScheduler


def run(cls, calls, steps=3):
    """The loop of diffusers' own test of the scheduler."""
    scheduler = cls(2000, 0.15, 0.01, 1348.0, 1e-5)
    x = (torch.arange(768).reshape(3, 8, 8, 4) / 768).permute(3, 0, 1, 2)
    for call in calls:
        getattr(scheduler, call)(steps)
    generator = seeded()
    for i, t in enumerate(scheduler.timesteps):
        sigma = scheduler.sigmas[i]
        score = x * sigma / (sigma + 1)
        x = scheduler.step_correct(score, x, generator=generator).prev_sample
        x = scheduler.step_pred(x * sigma / (sigma + 1), t, x, generator=generator).prev_sample
    return x.abs().sum().item(), x.abs().mean().item()


def test_golden_values_of_diffusers_own_test():
    assert run(ScoreSdeVeScheduler, ("set_sigmas", "set_timesteps")) == (14372758528.0, 18714530.0)


def test_golden_value_of_the_order_of_the_pipeline():
    assert run(ScoreSdeVeScheduler, ("set_timesteps", "set_sigmas"))[0] == 11515544576.0


calls = st.sampled_from(["set_sigmas", "set_timesteps"])


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    order=st.lists(st.tuples(calls, st.integers(2, 40)), min_size=1, max_size=4),
    sigma_max=st.floats(1.0, 2000.0),
    eps=st.floats(1e-6, 0.1),
)
def test_tables_of_ve_are_those_of_diffusers(order, sigma_max, eps):
    ours, theirs = (cls(50, 0.15, 0.01, sigma_max, eps) for cls in (ScoreSdeVeScheduler, TheirVe))
    for call, count in order:
        getattr(ours, call)(count)
        getattr(theirs, call)(count)
        for table in ("timesteps", "sigmas", "discrete_sigmas"):
            assert torch.equal(getattr(ours, table), getattr(theirs, table))


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(data=st.data(), steps=st.integers(2, 60), rank=st.integers(1, 3), rows=st.integers(1, 3))
def test_steps_of_ve_are_those_of_diffusers(data, steps, rank, rows):
    sigma_max = data.draw(st.floats(1.0, 2000.0))
    ours, theirs = (cls(9, 0.15, 0.01, sigma_max) for cls in (ScoreSdeVeScheduler, TheirVe))
    for scheduler in (ours, theirs):
        scheduler.set_timesteps(steps)
        scheduler.set_sigmas(steps)
    dtype = data.draw(st.sampled_from([torch.float32, torch.float64, torch.float16]))
    x, score = pair((rows, *(2,) * rank), data.draw(st.integers(0, 99)), dtype)
    many = data.draw(st.booleans())
    numbers = st.integers(0, steps - 1)
    if data.draw(st.booleans()):
        t = ours.timesteps[data.draw(numbers)]
    else:
        t = ours.timesteps[data.draw(st.lists(numbers, min_size=rows, max_size=rows))]
    predicted, corrected = [], []
    for scheduler in (ours, theirs):
        step = scheduler.step_pred(score, t, x, generators(many, rows))
        predicted.append((step.prev_sample, step.prev_sample_mean))
        corrected.append(scheduler.step_correct(score, x, generators(many, rows)).prev_sample)
    for one, other in zip(*predicted, strict=True):
        if dtype == torch.float64:
            close(one, other, rtol=1e-6, atol=1e-6 * sigma_max)
        else:
            assert torch.equal(one, other)
    half = dtype == torch.float16  # they take the norm of the score in float16
    close(*corrected, rtol=3e-3 if half else 1e-6, atol=3e-3 if half else 1e-6)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(data=st.data(), steps=st.integers(1, 1000), rows=st.integers(1, 3))
def test_steps_of_vp_are_those_of_diffusers_at_times_in_double(data, steps, rows):
    """In single precision theirs has lost digits of 1 - alpha^2 near the data: ours has not."""
    ends = data.draw(st.tuples(st.floats(0.0, 1.0), st.floats(1.5, 20.0)))
    ours, theirs = (cls(2000, *ends) for cls in (ScoreSdeVpScheduler, TheirVp))
    for scheduler in (ours, theirs):
        scheduler.set_timesteps(steps)
    assert torch.equal(ours.timesteps, theirs.timesteps)
    x, output = pair((rows, 2, 3), data.draw(st.integers(0, 99)))
    times = st.floats(1e-3, 1.0)
    t = torch.tensor(
        data.draw(times | st.lists(times, min_size=rows, max_size=rows)), dtype=torch.float64
    )
    many = data.draw(st.booleans())
    one, other = (each.step_pred(output, x, t, generators(many, rows)) for each in (ours, theirs))
    scale = max(1.0, float(other[0].abs().max()))
    close(one, other, rtol=1e-6, atol=2e-6 * scale, check_dtype=False)


def test_vp_is_nearer_to_the_truth_than_single_precision():
    ours, theirs = ScoreSdeVpScheduler(), TheirVp()
    ours.set_timesteps(10)
    theirs.set_timesteps(10)
    x, output = pair((4, 3))
    t = ours.timesteps[-1]
    truth = theirs.step_pred(output.double(), x.double(), t.double(), seeded())[1]
    errors = [
        (each.step_pred(output, x, t, seeded())[1] - truth).abs().max() for each in (ours, theirs)
    ]
    assert errors[0] < 2e-6 < 1e-4 < errors[1]


def test_what_a_step_of_ve_returns():
    scheduler = ScoreSdeVeScheduler()
    x, score = pair((2, 3))
    step = scheduler.step_pred(score, 0.5, x, seeded())
    assert isinstance(step, SdeVeOutput)
    assert step[0] is step.prev_sample
    two = scheduler.step_pred(score, 0.5, x, seeded(), return_dict=False)
    assert isinstance(two, tuple)
    close(two, (step.prev_sample, step.prev_sample_mean), rtol=0.0, atol=0.0)
    one = scheduler.step_correct(score, x, seeded(), return_dict=False)
    assert isinstance(one, tuple)
    assert len(one) == 1
    assert len(scheduler) == 2000
    assert scheduler.scale_model_input(x) is x
    assert scheduler.init_noise_sigma == 1348.0


@pytest.mark.parametrize("cls", OURS)
def test_configuration_goes_through_a_folder(cls, tmp_path):
    scheduler = cls(num_train_timesteps=7, repaired=True)
    scheduler.save_pretrained(tmp_path)
    found = json.loads((tmp_path / "scheduler_config.json").read_text())
    assert found["_class_name"] == cls.__name__
    back = cls.from_pretrained(tmp_path)
    assert back.config.num_train_timesteps == 7
    assert back.config.repaired


@pytest.mark.parametrize(
    ("ours", "theirs"), [(ScoreSdeVeScheduler, TheirVe), (ScoreSdeVpScheduler, TheirVp)]
)
def test_configuration_of_diffusers_and_back(ours, theirs):
    made = ours.from_config(theirs(num_train_timesteps=11).config)
    assert made.config.num_train_timesteps == 11
    assert theirs.from_config(made.config).config.num_train_timesteps == 11
    names = [key for key in theirs().config if not key.startswith("_")]
    assert list(ours().config)[: len(names)] == names
    assert {key: ours().config[key] for key in names} == {
        key: theirs().config[key] for key in names
    }


def test_data_with_noise_are_those_of_diffusers():
    ours, theirs = ScoreSdeVeScheduler(), TheirVe()
    x, noise = pair((2, 3, 4, 4))
    levels = torch.tensor([3, 1999])
    assert torch.equal(ours.add_noise(x, noise, levels), theirs.add_noise(x, noise, levels))


@pytest.mark.parametrize("cls", OURS)
def test_steps_need_timesteps(cls):
    scheduler = cls()
    scheduler.timesteps = None
    x, score = pair((2, 3))
    with pytest.raises(ValueError, match="need to run 'set_timesteps'"):
        scheduler.step_pred(score, *((x, 0.5) if cls is not ScoreSdeVeScheduler else (0.5, x)))
