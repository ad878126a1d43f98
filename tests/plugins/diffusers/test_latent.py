"""A tiny latent pipeline with text and guidance: whole, from an image, inpainting."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

pytest.importorskip("diffusers")

import diffusers
from diffusers import AutoencoderKL, UNet2DConditionModel

import sdeplug as sp
from sdeplug_diffusers import as_scheduler

# What diffusers 0.42 does with its own tables under NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")

close = torch.testing.assert_close
STEPS, BEGIN = 6, 2
TEXT, NO_TEXT = torch.randn(2, 1, 3, 8, generator=torch.Generator().manual_seed(1)).unbind()


@pytest.fixture(scope="module")
def parts():
    """Autoencoder and network with random weights, as StableDiffusionPipeline holds them."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        small = {"block_out_channels": (4, 8), "norm_num_groups": 2, "layers_per_block": 1}
        unet = UNet2DConditionModel(
            sample_size=4, cross_attention_dim=8, attention_head_dim=2,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), **small,
        )  # fmt: skip
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2, **small,
        )  # fmt: skip
    return unet.eval(), vae.eval()


@torch.no_grad()
def images(parts, scheduler, image=None, mask=None):
    """The loop of the pipelines of Stable Diffusion, with classifier-free guidance."""
    unet, vae = parts
    generator = torch.Generator().manual_seed(7)
    if scheduler.timesteps is None:
        scheduler.set_timesteps(STEPS)
    begin = 0 if image is None else BEGIN * scheduler.order
    times = scheduler.timesteps[begin:]
    noise = torch.randn(1, 4, 4, 4, generator=generator)
    if image is None:
        x = noise * scheduler.init_noise_sigma
    else:
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(begin)
        known = vae.encode(image).latent_dist.mode()
        x = scheduler.add_noise(known, noise, times[:1])
    for number, t in enumerate(times):
        twice = scheduler.scale_model_input(torch.cat((x, x)), t)
        both = unet(twice, t, encoder_hidden_states=torch.cat((NO_TEXT, TEXT))).sample
        plain, text = both.chunk(2)
        x = scheduler.step(plain + 3.0 * (text - plain), t, x, return_dict=False)[0]
        if mask is not None:
            after = times[number + 1 : number + 2]
            kept = scheduler.add_noise(known, noise, after) if len(after) else known
            x = mask * kept + (1.0 - mask) * x
    return vae.decode(x).sample


def pictured():
    return torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(2)) * 2.0 - 1.0


def half():
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., :2] = 1.0
    return mask


KINDS = {"whole": {}, "from an image": {"image": True}, "inpainting": {"image": True, "mask": True}}
PAIRS = {
    "exponential/ddim": (diffusers.DDIMScheduler, {"clip_sample": False}),
    "exponential/dpmpp-2m": (diffusers.DPMSolverMultistepScheduler, {"final_sigmas_type": "zero"}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PAIRS)
def test_images_are_those_of_diffusers(parts, name, kind):
    made, words = PAIRS[name]
    ours, theirs = as_scheduler(name), made(**words)
    theirs.set_timesteps(STEPS)
    ours.set_timesteps(timesteps=theirs.timesteps.tolist())
    wanted = {"image": pictured, "mask": half}
    more = {key: wanted[key]() for key in KINDS[kind]}
    close(
        images(parts, ours, **more), images(parts, theirs, **more),
        rtol=1e-3, atol=1e-3,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["ode/heun", "exponential/exp-rk3"])
def test_solvers_with_several_stages_run_from_an_image(parts, name):
    """Each asks as often as its order says, from the begin index on."""
    scheduler = as_scheduler(name)
    found = images(parts, scheduler, image=pictured())
    assert bool(found.isfinite().all())
    assert scheduler.step_index == len(scheduler.timesteps)


def test_two_threads_with_a_scheduler_each(parts):
    expected = images(parts, as_scheduler("exponential/unipc"))
    with ThreadPoolExecutor(2) as pool:
        each = list(pool.map(lambda _: images(parts, as_scheduler("exponential/unipc")), range(2)))
    close(each[0], expected)
    close(each[1], expected)


class OnlyTheSDE(type(sp.solver("song/ancestral"))):
    """A solver that has one stochasticity."""

    @property
    def claims(self):
        return replace(super().claims, level=1.0)


def test_a_solver_with_one_stochasticity_says_so():
    scheduler = as_scheduler(OnlyTheSDE())
    scheduler.set_timesteps(3)
    x = torch.zeros(1, 4)
    with pytest.raises(sp.ArgumentError, match="It has no other"):
        scheduler.step(x, scheduler.timesteps[0], x, eta=0.37)
