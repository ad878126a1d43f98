"""Any integrator as a scheduler: timesteps, states and configurations."""

from __future__ import annotations

import copy
import json

import diffusers
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plugins.diffusers.sampled import SIZE, network, run, start

import sdeplug as sp
from sdeplug_diffusers import (
    IntegratorScheduler,
    as_scheduler,
)

pytest.importorskip("diffusers")
# What diffusers 0.42 does with its own tables under NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")
close = torch.testing.assert_close


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 999), min_size=1, max_size=9, unique=True), st.booleans())
def test_any_timesteps_fall_and_are_told(labels, heun):
    scheduler = as_scheduler("ode/heun" if heun else "ode/euler")
    labels = sorted(labels, reverse=True)
    scheduler.set_timesteps(timesteps=labels)
    assert sorted(set(scheduler.timesteps.tolist()), reverse=True) == labels
    assert len(scheduler.timesteps) == scheduler.order * (len(labels) - 1) + 1
    assert len(scheduler.sigmas) == len(scheduler.timesteps) + 1
    cumprod = (1.0 - scheduler_betas()).cumprod(0)
    ratios = ((1.0 - cumprod) / cumprod).sqrt()[scheduler.timesteps]
    close(scheduler.sigmas[:-1], ratios.float(), rtol=1e-5, atol=0.0)


def scheduler_betas():
    return diffusers.DDPMScheduler().betas.double()


def test_sigmas_are_those_that_were_asked_for():
    scheduler = as_scheduler("exponential/ddim")
    scheduler.set_timesteps(sigmas=[14.0, 3.0, 0.5, 0.0])
    close(scheduler.sigmas, torch.tensor([14.0, 3.0, 0.5, 0.0]), rtol=1e-6, atol=0.0)


def test_half_precision_keeps_its_dtype_and_the_memory():
    scheduler = as_scheduler("exponential/dpmpp-2m")
    results = {}
    for dtype in (torch.float32, torch.float16):
        scheduler.set_timesteps(8)
        x = start().to(dtype)
        for t in scheduler.timesteps:
            x = scheduler.step(network(x.float(), t).to(dtype), t, x).prev_sample
        assert x.dtype == dtype
        results[dtype] = x.float()
    close(results[torch.float16], results[torch.float32], rtol=1e-2, atol=1e-2)


def test_a_changed_state_keeps_the_memory_and_what_was_returned():
    """As in inpainting: a copy of the state leaves the run, and old states, as they were."""
    scheduler = as_scheduler("exponential/dpmpp-2m")
    scheduler.set_timesteps(8)
    plain = run(scheduler, start())
    scheduler.set_timesteps(8)
    x, seen = start(), []
    for t in scheduler.timesteps:
        x = scheduler.step(network(x, t), t, x).prev_sample
        seen.append((x, x.clone()))
        x = x.clone()
    close(x, plain[-1], rtol=0.0, atol=0.0)
    for kept, before in seen:
        assert torch.equal(kept, before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_a_state_written_to_is_taken_as_it_is(dtype):
    """What is written into the returned tensor counts, in half precision too."""
    scheduler = as_scheduler("exponential/ddim")
    results = []
    for inside in (True, False):
        scheduler.set_timesteps(4)
        x = start().to(dtype)
        for t in scheduler.timesteps:
            x = scheduler.step(network(x.float(), t).to(dtype), t, x).prev_sample
            x = x.mul_(0.5) if inside else 0.5 * x
        results.append(x)
    close(*results, rtol=0.0, atol=0.0)


def test_a_call_that_failed_can_be_made_again():
    scheduler = as_scheduler("ode/heun")
    results = []
    for fails in (False, True):
        scheduler.set_timesteps(4)
        x = start()
        for t in scheduler.timesteps:
            if fails:
                with pytest.raises(sp.ScoreModelError):
                    scheduler.step(network(x, t).to("meta"), t, x)
            x = scheduler.step(network(x, t), t, x).prev_sample
        results.append(x)
    close(*results, rtol=0.0, atol=0.0)


@pytest.mark.parametrize("name", ["ode/heun", "song/ancestral"])
def test_a_copy_goes_on_from_any_call(name):
    scheduler = as_scheduler(name)
    scheduler.set_timesteps(5)
    generator = torch.Generator().manual_seed(1)
    x = start()
    for number, t in enumerate(scheduler.timesteps):
        if number == 3:
            twin, y, state = copy.deepcopy(scheduler), x, generator.get_state()
        x = scheduler.step(network(x, t), t, x, generator=generator).prev_sample
    generator.set_state(state)
    for t in twin.timesteps[3:]:
        y = twin.step(network(y, t), t, y, generator=generator).prev_sample
    close(y, x, rtol=0.0, atol=0.0)


def test_a_start_in_the_middle():
    """Image to image: from a begin index, and from a timestep, as pipelines do."""
    scheduler = as_scheduler("exponential/unipc")
    results = []
    for told in (True, False):
        scheduler.set_timesteps(8)
        if told:
            scheduler.set_begin_index(3)
        x = scheduler.add_noise(torch.zeros(4, SIZE).double(), start(), scheduler.timesteps[3:4])
        for t in scheduler.timesteps[3:]:
            x = scheduler.step(network(x, t), t, x).prev_sample
        results.append(x)
    close(*results, rtol=0.0, atol=0.0)
    assert scheduler.step_index == 8


def test_data_with_noise_are_those_of_diffusers():
    x, noise = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    labels = torch.tensor([3, 998])
    expected = diffusers.DDPMScheduler().add_noise(x, noise, labels)
    close(as_scheduler("ode/euler").add_noise(x, noise, labels), expected, rtol=1e-4, atol=1e-4)


def test_configuration_goes_through_a_folder(tmp_path):
    scheduler = as_scheduler(sp.solver("exponential/deis", order=2), steps_offset=1)
    scheduler.save_pretrained(tmp_path)
    found = json.loads((tmp_path / "scheduler_config.json").read_text())
    assert found["solver"] == sp.to_spec(sp.solver("exponential/deis", order=2))
    back = IntegratorScheduler.from_pretrained(tmp_path)
    assert back.config.steps_offset == 1
    for each in (back, scheduler):
        each.set_timesteps(5)
    close(run(back, start())[-1], run(scheduler, start())[-1], rtol=0.0, atol=0.0)


def test_from_the_configuration_of_another_scheduler():
    theirs = diffusers.DPMSolverMultistepScheduler(beta_schedule="scaled_linear", beta_end=0.012)
    ours = IntegratorScheduler.from_config(theirs.config, solver="exponential/sa-solver")
    close(torch.tensor(ours.schedule.sde.betas, dtype=torch.float64), theirs.betas.double())


@pytest.mark.parametrize(
    ("name", "words", "shift"),
    [
        ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}, 3.0),
        ("DPMSolverMultistepScheduler", {"use_flow_sigmas": True, "flow_shift": 2.0}, 2.0),
    ],
)
def test_from_the_configuration_of_flow_matching(name, words, shift):
    ours = IntegratorScheduler.from_config(getattr(diffusers, name)(**words).config)
    assert ours.config.prediction_type == "flow_prediction"
    assert ours.schedule.shift == shift
    back = IntegratorScheduler.from_config(ours.config, solver="ode/euler")
    assert back.schedule == ours.schedule


def test_a_configuration_of_another_schedule_is_refused():
    for other in (diffusers.EDMEulerScheduler(), diffusers.ScoreSdeVeScheduler()):
        with pytest.raises(sp.ArgumentError, match="table of betas, or of flow matching"):
            IntegratorScheduler.from_config(other.config)
    dynamic = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True).config
    with pytest.raises(sp.ArgumentError, match="shift itself"):
        IntegratorScheduler.from_config(dynamic)
    fixed = IntegratorScheduler.from_config(dynamic, use_dynamic_shifting=False, shift=2.5)
    assert fixed.schedule.shift == 2.5
