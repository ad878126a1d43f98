"""Any integrator as a scheduler: in pipelines of diffusers, and wrong input."""

from __future__ import annotations

import diffusers
import numpy as np
import pytest
import torch
from diffusers import DDIMPipeline, DDPMPipeline, DiffusionPipeline, UNet2DModel
from plugins.diffusers.sampled import start

import sdeplug as sp
from sdeplug_diffusers import (
    IntegratorScheduler,
    ScoreSdeVeScheduler,
    ScoreSdeVpScheduler,
    as_scheduler,
    score_of,
)

pytest.importorskip("diffusers")
# What diffusers 0.42 does with its own tables under NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")
close = torch.testing.assert_close


@pytest.fixture(scope="module")
def unet():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return UNet2DModel(
            sample_size=8,
            block_out_channels=(8, 8),
            down_block_types=("DownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "UpBlock2D"),
            norm_num_groups=4,
            layers_per_block=1,
        )


def images(pipeline, **options):
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(3)
    return pipeline(
        2, generator=generator, num_inference_steps=6, output_type="np", **options
    ).images


def test_in_a_pipeline(unet, tmp_path):
    ours = as_scheduler("exponential/ddim")
    theirs = diffusers.DDIMScheduler(clip_sample=False)
    expected = images(DDPMPipeline(unet, theirs))
    np.testing.assert_allclose(images(DDPMPipeline(unet, ours)), expected, atol=1e-4)
    pipeline = DDPMPipeline(unet, ours)
    pipeline.save_pretrained(tmp_path)
    back = DiffusionPipeline.from_pretrained(tmp_path)
    assert isinstance(back.scheduler, IntegratorScheduler)
    np.testing.assert_allclose(images(back), images(pipeline), atol=1e-6)
    heun = images(DDPMPipeline(unet, as_scheduler("ode/heun")))
    assert np.isfinite(heun).all()


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_in_a_pipeline_that_makes_a_scheduler_of_its_own(unet, eta):
    """It is given another one after that, and passes what its own one takes."""
    pipeline = DDIMPipeline(unet, diffusers.DDIMScheduler(clip_sample=False))
    expected = images(pipeline, eta=eta)
    name = "exponential/ddim" if eta == 0.0 else "song/ancestral"
    pipeline.scheduler = IntegratorScheduler.from_config(pipeline.scheduler.config, solver=name)
    np.testing.assert_allclose(images(pipeline, eta=eta), expected, atol=1e-4)


@pytest.mark.parametrize(
    "scheduler",
    [as_scheduler("exponential/ddim"), diffusers.FlowMatchEulerDiscreteScheduler()],
    ids=["ours", "flow"],
)
def test_the_score_of_a_pipeline(unet, scheduler):
    """What is trained on the schedule of the pipeline comes out with it."""

    class Holder:
        pass

    holder = Holder()
    holder.unet, holder.scheduler = unet, scheduler
    model = score_of(holder)
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    t = 0.5
    marginal = model.sde.at(t)
    label = 499.0 if isinstance(model.sde, sp.TabulatedSDE) else 500.0
    with torch.no_grad():
        output = unet(x, torch.full((2,), label)).sample
        score = sp.ReverseSDE(model.sde, model.score).score(x, t)
    if isinstance(model.sde, sp.TabulatedSDE):
        close(score, -output / marginal.sigma, rtol=1e-4, atol=1e-4)
    else:
        clean = x - t * output
        close(score, (marginal.alpha * clean - x) / marginal.sigma**2, rtol=1e-4, atol=1e-4)


# Bad input.


@pytest.mark.parametrize("name", ["adaptive/row-dopri5", "torchdiffeq/dopri5"])
def test_what_cannot_be_cut_is_refused(name):
    with pytest.raises(sp.ArgumentError, match="score_of"):
        as_scheduler(name)


@pytest.mark.parametrize("by", [sp.solver("auto"), sp.solver("auto", nfe=5)])
def test_steps_that_remember_each_other_on_a_grid_of_their_own_are_not_cut(by):
    with pytest.raises(sp.ArgumentError, match="exponential/adams"):
        as_scheduler(by)


@pytest.mark.parametrize("count", [2.5, True, "5", 0, -1])
def test_a_number_of_steps_that_is_none_is_refused(count):
    for scheduler in (as_scheduler("ode/euler"), ScoreSdeVeScheduler(), ScoreSdeVpScheduler()):
        with pytest.raises(sp.ArgumentError, match=r"num_inference_steps = .*a whole number"):
            scheduler.set_timesteps(count)


def test_a_forward_sde_by_name_and_what_is_none():
    assert as_scheduler("ode/euler", sde="vp").schedule.sde == sp.VPSDE()
    with pytest.raises(sp.ArgumentError, match="a LinearSDE"):
        as_scheduler("ode/euler", sde=3)
    with pytest.raises(sp.ArgumentError, match="stochasticity = -1"):
        as_scheduler("song/ancestral", stochasticity=-1.0)
    scheduler = as_scheduler("song/ancestral")
    scheduler.set_timesteps(3)
    with pytest.raises(sp.ArgumentError, match=r"generator = 3: .*torch.Generator"):
        scheduler.step(start(), scheduler.timesteps[0], start(), generator=3)
    for made in (ScoreSdeVeScheduler, ScoreSdeVpScheduler):
        with pytest.raises(sp.ArgumentError, match="correct_steps = -1"):
            made(correct_steps=-1)
        with pytest.raises(sp.ArgumentError, match="sampling_eps = 2"):
            made(sampling_eps=2.0).set_timesteps(4)


def test_bad_input():
    with pytest.raises(sp.ArgumentError, match="prediction_type"):
        as_scheduler("ode/euler", prediction_type="velocity")
    scheduler = as_scheduler("ode/euler")
    for options in ({}, {"timesteps": [5, 1], "sigmas": [5.0]}):
        with pytest.raises(sp.ArgumentError, match="one of num_inference_steps"):
            scheduler.set_timesteps(**options)
    for timesteps in ([1, 5], [5, 5], []):
        with pytest.raises(sp.ArgumentError, match="strictly falling"):
            scheduler.set_timesteps(timesteps=timesteps)
    for sigmas in ([3.0, -1.0], [3.0, float("nan")], [0.0, 1.0]):
        with pytest.raises(sp.ArgumentError, match="above 0, the last may be 0"):
            scheduler.set_timesteps(sigmas=sigmas)
    with pytest.raises(sp.ArgumentError, match="shift = 0"):
        as_scheduler("ode/euler", prediction_type="flow_prediction", shift=0.0)
    with pytest.raises(sp.ArgumentError, match="label"):
        scheduler.set_timesteps(timesteps=[1000])
    scheduler.set_timesteps(4)
    x = start()
    scheduler.step(x, scheduler.timesteps[0], x)
    with pytest.raises(sp.ArgumentError, match="the one of step 1"):
        scheduler.step(x, scheduler.timesteps[2], x)
    for t in scheduler.timesteps[1:]:
        scheduler.step(x, t, x)
    with pytest.raises(sp.ArgumentError, match="none after the last"):
        scheduler.step(x, scheduler.timesteps[-1], x)
    with pytest.raises(sp.ArgumentError, match="integrator"):
        as_scheduler(sp.solver("song/langevin"))
