"""Networks of diffusers with their schedules."""

from __future__ import annotations

import json
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from common import normal
from networks.tiny import unet

from sdeplug import (
    EDMSDE,
    VESDE,
    VPSDE,
    ArgumentError,
    Bound,
    FromDenoiser,
    FromNoise,
    FromScore,
    FromVelocity,
    TabulatedSDE,
    networks,
)

diffusers = pytest.importorskip("diffusers")

X = normal(2, 1, 8, 8, dtype=torch.float32)
NETWORK = unet().eval()


def model_of(scheduler, network=NETWORK):
    return networks.from_diffusers(SimpleNamespace(unet=network, scheduler=scheduler))


@pytest.mark.parametrize(
    ("predicts", "wanted"),
    [("epsilon", FromNoise), ("sample", FromDenoiser), ("v_prediction", FromVelocity)],
)
def test_the_score_moves_as_the_scheduler_does(predicts, wanted):
    """x_0 as the scheduler sees it is that of the score, whatever is predicted."""
    scheduler = diffusers.DDIMScheduler(prediction_type=predicts, clip_sample=False)
    scheduler.set_timesteps(1000)
    model = model_of(scheduler)
    assert model.parametrisation is wanted
    for level in (0, 400, 900):
        t = model.sde.time_of(level)
        with torch.no_grad():
            output = NETWORK(X, level, return_dict=False)[0]
            seen = scheduler.step(output, level, X).pred_original_sample
            score, now = model.score(X, torch.full((2,), t)), model.sde.at(t)
        denoised = (X + now.sigma**2 * score) / now.alpha
        torch.testing.assert_close(denoised, seen, rtol=2e-3, atol=2e-3)


def test_the_autoencoder_of_diffusers_is_one():
    torch.manual_seed(0)
    kl = diffusers.AutoencoderKL(
        1, 1, block_out_channels=(8,), latent_channels=2, norm_num_groups=4
    ).eval()
    autoencoder = networks.Autoencoder(
        lambda x: kl.encode(x).latent_dist.parameters, lambda z: kl.decode(z).sample
    )
    autoencoder.scale.fill_(kl.config.scaling_factor)
    law = kl.encode(X).latent_dist
    mean, std = autoencoder.posterior(X)
    torch.testing.assert_close(mean, law.mean * kl.config.scaling_factor)
    torch.testing.assert_close(std, law.std * kl.config.scaling_factor)
    torch.testing.assert_close(autoencoder.decode(mean), kl.decode(law.mean).sample)


BETAS = {
    "linear": {},
    "cosine": {"beta_schedule": "squaredcos_cap_v2", "num_train_timesteps": 100},
    "scaled": {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
    "trained": {"trained_betas": np.linspace(1e-4, 0.3, 40).tolist(), "num_train_timesteps": 40},
    "zero-snr": {"rescale_betas_zero_snr": True},
}


@pytest.mark.parametrize("options", BETAS.values(), ids=BETAS)
def test_the_schedule_is_that_of_its_betas(options):
    scheduler = diffusers.DDPMScheduler(**options)
    sde = model_of(scheduler).sde
    assert sde.levels == len(scheduler.betas)
    kept = scheduler.alphas_cumprod.double()
    kept = kept[kept > 0.0]
    t = torch.tensor([sde.time_of(k) for k in range(len(kept))], dtype=torch.float64)
    torch.testing.assert_close(sde.alpha(t).square(), kept, rtol=1e-4, atol=1e-7)
    assert pytest.approx(len(kept) / sde.levels) == sde.T
    sde.validate()


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("steps", [7, 50])
def test_a_grid_visits_the_levels_of_the_scheduler(spacing, steps):
    scheduler = diffusers.DDIMScheduler(timestep_spacing=spacing)
    model = model_of(scheduler)
    scheduler.set_timesteps(steps)
    points = torch.tensor(model.grid(steps).points, dtype=torch.float64)
    assert torch.equal(model.sde.index(points), scheduler.timesteps)
    with pytest.raises(ArgumentError, match="steps = 1001: must be from 1 to the 1000 levels"):
        model.grid(1001)


def test_an_offset_is_added_to_leading_levels():
    model = model_of(diffusers.DDIMScheduler(steps_offset=1))
    assert float(model.sde.label(model.grid(10).points[-1])) == pytest.approx(1.0)


def test_schedules_of_sdes_are_theirs():
    ve = model_of(diffusers.ScoreSdeVeScheduler(sigma_max=348.0))
    assert (ve.sde, ve.parametrisation) == (VESDE(sigma_min=0.01, sigma_max=348.0), FromScore)
    from diffusers.schedulers.deprecated.scheduling_sde_vp import ScoreSdeVpScheduler

    vp = model_of(ScoreSdeVpScheduler())
    assert (vp.sde, vp.parametrisation) == (VPSDE(), FromNoise)
    t = torch.tensor([0.5, 0.5])
    with torch.no_grad():
        told = NETWORK(X, torch.tensor([499.5, 499.5]), return_dict=False)[0]
        torch.testing.assert_close(vp.network(X, t), told)


def test_a_network_of_edm_is_scaled_as_its_scheduler_does():
    scheduler = diffusers.EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0, sigma_data=0.5)
    model = model_of(scheduler)
    assert (model.sde, model.parametrisation) == (EDMSDE(T=80.0, eps=0.002), FromDenoiser)
    sigma = torch.tensor([1.7, 1.7])
    with torch.no_grad():
        output = NETWORK(scheduler.precondition_inputs(X, sigma[0]), sigma.log() / 4.0)[0]
        seen = scheduler.precondition_outputs(X, output, sigma[0])
        torch.testing.assert_close(model.network(X, sigma), seen, rtol=1e-5, atol=1e-5)


def test_learned_variances_are_left_out_and_labels_bound():
    network = diffusers.UNet2DModel(
        8, 1, 2, norm_num_groups=4, block_out_channels=(8,), layers_per_block=1,
        down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), num_class_embeds=3,
    ).eval()  # fmt: skip
    model = model_of(diffusers.DDPMScheduler(), network)
    labels, t = torch.tensor([0, 2]), torch.tensor([0.5, 0.5])
    with torch.no_grad():
        wanted = network(X, 1000 * t - 1, class_labels=labels, return_dict=False)[0][:, :1]
        found = Bound(model.network, class_labels=labels)(X, t)
    torch.testing.assert_close(found, wanted)


def test_a_network_of_learned_vectors_is_told_whole_levels_and_trains_no_more():
    network = diffusers.UNet2DModel(
        8, 1, 1, norm_num_groups=4, block_out_channels=(8,), layers_per_block=1, dropout=0.5,
        down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",),
        time_embedding_type="learned", num_train_timesteps=1000,
    )  # fmt: skip
    model = model_of(diffusers.DDPMScheduler(), network)
    between = torch.tensor([0.5004, 0.9996])
    with torch.no_grad():
        found = model.network(X, between)
        wanted = network(X, torch.tensor([499, 999]), return_dict=False)[0]
    torch.testing.assert_close(found, wanted)
    assert not any(each.training for each in model.network.modules())


@pytest.fixture
def folder(tmp_path):
    NETWORK.save_pretrained(tmp_path / "unet")
    diffusers.DDIMScheduler(prediction_type="v_prediction").save_pretrained(tmp_path / "scheduler")
    return tmp_path


def test_a_folder_is_read_without_a_network(folder):
    model = networks.from_diffusers(folder)
    assert (model.parametrisation, model.data_range) == (FromVelocity, (-1.0, 1.0))
    assert isinstance(model.sde, TabulatedSDE)
    t = torch.tensor([0.2, 0.8])
    with torch.no_grad():
        again = model_of(diffusers.DDIMScheduler()).network
        assert torch.equal(model.network(X, t), again(X, t))
    networks.save(folder / "saved", model.network, model.sde, model.parametrisation)
    with torch.no_grad():
        assert torch.equal(networks.load(folder / "saved").network(X, t), again(X, t))


def test_folders_that_are_none_are_named(folder, tmp_path):
    with pytest.raises(ArgumentError, match=r"source = .*that is there.*from_pretrained"):
        networks.from_diffusers(tmp_path / "none")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-50])
    with pytest.raises(ArgumentError, match=r"folder = .*one that diffusers reads"):
        networks.from_diffusers(folder)
    (folder / "unet" / "config.json").write_text(json.dumps({"_class_name": "DDPMScheduler"}))
    with pytest.raises(ArgumentError, match="class = 'DDPMScheduler': must be a network"):
        networks.from_diffusers(folder)
    (folder / "unet" / "config.json").write_text("{}")
    with pytest.raises(ArgumentError, match=r"config\.json'.*a configuration"):
        networks.from_diffusers(folder)


def test_a_hostile_folder_executes_nothing(folder, tmp_path):
    class Hostile:
        def __reduce__(self):
            return eval, (f"open({str(tmp_path / 'executed')!r}, 'w')",)

    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(ArgumentError, match=r"folder = "):
        networks.from_diffusers(folder)
    assert not (tmp_path / "executed").exists()


def test_what_has_no_schedule_here_is_told():
    flow = diffusers.FlowMatchEulerDiscreteScheduler()
    with pytest.raises(ArgumentError, match=r"scheduler = 'FlowMatch.*from_module"):
        model_of(flow)
    with pytest.raises(ArgumentError, match="prediction_type = 'flow_prediction': must be one of"):
        model_of(diffusers.DPMSolverMultistepScheduler(prediction_type="flow_prediction"))
    with pytest.raises(ArgumentError, match="source = 'list': must be a folder, or a pipeline"):
        networks.from_diffusers([])
