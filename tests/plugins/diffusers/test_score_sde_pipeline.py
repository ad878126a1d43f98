"""The schedulers of Song et al. in pipelines, diffusers' own and ours."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

pytest.importorskip("diffusers")

from diffusers import DiffusionPipeline, ScoreSdeVePipeline, UNet2DModel
from diffusers import ScoreSdeVeScheduler as TheirVe

import sdeplug as sp
from sdeplug.networks import from_diffusers
from sdeplug_diffusers import (
    ScoreSdePipeline,
    ScoreSdeSubVpScheduler,
    ScoreSdeVeScheduler,
    ScoreSdeVpScheduler,
)


def unet(channels=3):
    torch.manual_seed(0)
    return UNet2DModel(
        sample_size=8,
        in_channels=channels,
        out_channels=channels,
        block_out_channels=(8, 8),
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        norm_num_groups=4,
        layers_per_block=1,
    )


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        return unet()


def quiet(pipeline):
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def seeded():
    return torch.Generator().manual_seed(3)


def images(pipeline, **options):
    return quiet(pipeline)(2, 5, generator=seeded(), output_type="np", **options).images


def test_images_are_those_of_diffusers_under_the_same_seed(network):
    expected = images(ScoreSdeVePipeline(network, TheirVe(sigma_max=50.0)))
    ours = ScoreSdeVeScheduler(sigma_max=50.0)
    for pipeline in (ScoreSdeVePipeline, ScoreSdePipeline):
        np.testing.assert_allclose(images(pipeline(network, ours)), expected, atol=1e-6)


@pytest.mark.parametrize("cls", [ScoreSdeVpScheduler, ScoreSdeSubVpScheduler])
def test_images_of_vp_follow_the_recipe(network, cls):
    """The loop by hand: predictor on the label 999 t, from the normal draw, data in [-1, 1]."""
    scheduler = cls()
    scheduler.set_timesteps(5)
    generator = seeded()
    x = torch.randn(2, 3, 8, 8, generator=generator)
    with torch.no_grad():
        for t in scheduler.timesteps:
            output = network(x, (999.0 * t).expand(2)).sample
            x, mean = scheduler.step_pred(output, x, t, generator)
    expected = (0.5 * mean + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(images(ScoreSdePipeline(network, cls())), expected, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*in noise alone:UserWarning")  # the network is not trained
@pytest.mark.parametrize("cls", [ScoreSdeVeScheduler, ScoreSdeVpScheduler, ScoreSdeSubVpScheduler])
def test_any_predictor_and_corrector(network, cls):
    """The images are those of a pipeline of sdeplug on the network's score."""
    pipeline = ScoreSdePipeline(network, cls())
    by, corrector = sp.solver("exponential/dpmpp-2m"), sp.solver("song/langevin")
    grid = sp.Quadratic(4)
    seen = []

    def ended(told, number, t, tensors):
        seen.append((number, t))
        assert told is pipeline
        return {"latents": tensors["latents"] + 0.0}

    got = quiet(pipeline)(
        2, 4, seeded(), "pt", predictor=by, corrector=corrector, grid=grid,
        callback_on_step_end=ended,
    ).images  # fmt: skip
    model, generator = from_diffusers(pipeline), seeded()
    x = pipeline.scheduler.init_noise_sigma * torch.randn(2, 3, 8, 8, generator=generator)

    class Drawn(sp.Silence):
        def normal(self, like):
            return torch.randn(like.shape, generator=generator)

    eps = pipeline.scheduler.config.sampling_eps
    legs = (sp.Leg(eps, sp.OnGrid(sp.Corrected(by, corrector), grid)), sp.Leg(0.0, sp.Denoise()))
    expected = sp.Pipeline(sp.ReverseSDE(model.sde, model.score), legs).sample(x=x, noise=Drawn()).x
    expected = expected if cls is ScoreSdeVeScheduler else 0.5 * expected + 0.5
    torch.testing.assert_close(got, expected.clamp(0, 1))
    assert [number for number, _ in seen] == [0, 1, 2, 3]
    assert seen[-1][1] == pytest.approx(eps)


def test_the_callback_changes_the_state(network):
    pipeline = ScoreSdePipeline(network, ScoreSdeVpScheduler())

    def halt(told, number, t, tensors):
        return {"latents": torch.zeros_like(tensors["latents"])}

    shown = images(pipeline, callback_on_step_end=halt, denoise=False)
    np.testing.assert_allclose(shown, 0.5)


def test_any_channels_and_kinds_of_output():
    with torch.random.fork_rng():
        pipeline = quiet(ScoreSdePipeline(unet(1), ScoreSdeVpScheduler()))
    (pictures,) = pipeline(3, 2, return_dict=False)
    assert len(pictures) == 3
    assert pictures[0].size == (8, 8)
    assert pipeline(1, 2, output_type="pt").images.shape == (1, 1, 8, 8)
    own_steps = pipeline(1, predictor=sp.solver("adaptive/row-dopri5", rtol=0.1), output_type="np")
    assert own_steps.images.shape == (1, 8, 8, 1)


def test_saved_pipelines_find_the_scheduler(network, tmp_path):
    scheduler = ScoreSdeVeScheduler(sigma_max=50.0, repaired=True)
    expected = images(ScoreSdePipeline(network, scheduler))
    for cls, finder in (
        (ScoreSdeVePipeline, DiffusionPipeline),
        (ScoreSdePipeline, ScoreSdePipeline),
    ):
        cls(network, scheduler).save_pretrained(tmp_path / cls.__name__)
        index = json.loads((tmp_path / cls.__name__ / "model_index.json").read_text())
        assert index["scheduler"] == ["sdeplug_diffusers", "ScoreSdeVeScheduler"]
        back = finder.from_pretrained(tmp_path / cls.__name__)
        assert isinstance(back.scheduler, ScoreSdeVeScheduler)
        np.testing.assert_allclose(images(back), expected, atol=1e-6)


def test_bad_input(network):
    with pytest.raises(sp.ArgumentError, match="from_config"):
        ScoreSdePipeline(network, TheirVe())
    pipeline = ScoreSdePipeline(network, ScoreSdeVeScheduler())
    with pytest.raises(sp.ArgumentError, match="output_type"):
        pipeline(output_type="jpeg")
    with pytest.raises(sp.ArgumentError, match="predictor"):
        pipeline(grid=sp.Uniform(3))
