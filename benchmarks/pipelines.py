"""One pipeline of diffusers before and after a line is changed: digits, and how far they are.

``python benchmarks/pipelines.py --data FOLDER`` runs ``DDPMPipeline`` on a network of a third party
with schedulers of diffusers and with solvers of sdeplug in their place, ten evaluations each, from
the same noise; it prints Fréchet distances of 500 images and draws docs/images/pipelines.png.
FOLDER is described in ``benchmarks/mnist.py``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers
import mnist
import torch
from diffusers.models.unets.unet_2d import UNet2DOutput
from matplotlib import pyplot as plt
from torch import Tensor, nn

from sdeplug.networks import Model
from sdeplug_diffusers import IntegratorScheduler

EVALUATIONS, COUNT, SEED, SHOWN = 10, 500, 3, 12
PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "pipelines.png"


class Unet(nn.Module):
    """The network as a pipeline holds one."""

    config = SimpleNamespace(sample_size=28, in_channels=1)
    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, label: Tensor, return_dict: bool = True) -> UNet2DOutput:
        """The noise in x of shape (B, 1, 28, 28)."""
        time = self.model.sde.time_of(float(label))  # type: ignore[attr-defined]
        return UNet2DOutput(sample=self.model.network(x, x.new_full((len(x),), time)))


def schedulers(betas: list[float]) -> Mapping[str, Any]:
    """Theirs as they come, but for the data, which need no clipping; and ours in their place."""
    words = {"trained_betas": betas, "num_train_timesteps": len(betas)}
    theirs = {
        "DDPMScheduler": diffusers.DDPMScheduler(**words, clip_sample=False),
        "DDIMScheduler": diffusers.DDIMScheduler(**words, clip_sample=False),
        "DPMSolverMultistepScheduler": diffusers.DPMSolverMultistepScheduler(**words),
    }
    by = {"name": "exponential/adams", "predictor": 2, "corrector": 2}
    ours = IntegratorScheduler.from_config(
        theirs["DDIMScheduler"].config, solver=by, timestep_spacing="trailing"
    )
    return {**theirs, "exponential/adams of order 2": ours}


def images(unet: Unet, scheduler: Any) -> Tensor:
    """Images in [-1/2, 1/2], shape (COUNT, 1, 28, 28)."""
    pipeline = diffusers.DDPMPipeline(unet, scheduler)
    pipeline.set_progress_bar_config(disable=True)
    found = pipeline(
        COUNT, torch.Generator().manual_seed(SEED), EVALUATIONS, output_type="np"
    ).images
    return torch.from_numpy(found).permute(0, 3, 1, 2) * 2.0 - 1.0


def drawn(rows: Mapping[str, tuple[Tensor, float]]) -> None:
    """A row of digits for each scheduler, with its distance."""
    figure, axes = plt.subplots(len(rows), 1, figsize=(8.0, len(rows)))
    for axis, (name, (found, distance)) in zip(axes, rows.items(), strict=True):
        strip = torch.cat(list(found[:SHOWN, 0]), dim=1)
        axis.imshow(strip, cmap="gray_r", vmin=-0.5, vmax=0.5)
        axis.set_title(f"{name}: {distance:.0f}", loc="left", fontsize=9)
        axis.axis("off")
    figure.tight_layout(pad=0.4)
    figure.savefig(PICTURE, dpi=110, bbox_inches="tight")


def main() -> None:
    """Run, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    folder = parser.parse_args().data
    model, features = mnist.network(folder), mnist.features(folder)
    law = mnist.moments(features(mnist.digits(folder)[0]))
    rows = {}
    for name, scheduler in schedulers(list(model.sde.betas)).items():
        found = images(Unet(model), scheduler)
        rows[name] = found, mnist.frechet(features(found), law)
        print(f"{name:30s} {rows[name][1]:8.1f}", flush=True)
    drawn(rows)


if __name__ == "__main__":
    main()
