"""A model of latents against one of pixels, on MNIST, after as much processor time.

python benchmarks/latent.py --data FOLDER [--seconds N] [--out FOLDER]

The folder is that of benchmarks/mnist.py: 9,000 digits train, 1,000 are held out.  Both models have
one thread and the same seconds.  Each is asked for samples, their Frechet distance, and the bits
per dimension of held-out digits, term by term.  FOLDER gets the models and latent.png.
"""

from __future__ import annotations

import argparse
import copy
import math
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import mnist
import torch
from torch import Tensor, nn

from sdeplug import VPSDE, FromDenoiser, LogSNR, OnGrid, ReverseSDE, SharedNoise, sample, solver
from sdeplug.likelihood import Hutchinson, log_likelihood, truncated
from sdeplug.metrics import frechet, moments
from sdeplug.networks import Latent, Model, Preconditioned, SmallAutoencoder, SmallUNet, save
from sdeplug.pictures import INK, blank_figure, image_sheet
from sdeplug.pictures import save as save_picture
from sdeplug.training import DenoisingLoss, EvidenceLoss, ImportanceTimes, Trainer, WarmUp

SDE, WIDTH, TRIAL = VPSDE(), 16, 8
SHAPES: Mapping[str, tuple[int, ...]] = {"pixels": (1, 28, 28), "latents": (4, 7, 7)}


def spread(x: Tensor) -> Tensor:
    """Images in [-1/2, 1/2] in [-1, 1], each level spread over its bin."""
    generator = torch.Generator().manual_seed(0)
    levels = (255.0 * (x + 0.5)).round()
    return (levels + torch.rand(x.shape, generator=generator)) / 128.0 - 1.0


def pixels() -> tuple[nn.Module, DenoisingLoss]:
    network = Preconditioned(SmallUNet(1, WIDTH), SDE, data_std=0.6)
    return network, DenoisingLoss(SDE, FromDenoiser, times=ImportanceTimes())


def latents() -> tuple[nn.Module, EvidenceLoss]:
    score = Preconditioned(SmallUNet(4, 2 * WIDTH), SDE, data_std=1.0)
    return Latent(score, SmallAutoencoder(1, 4, WIDTH)), EvidenceLoss(SDE, FromDenoiser)


MODELS = {"pixels": pixels, "latents": latents}


def trained(network: nn.Module, loss: object, data: Tensor, seconds: float) -> Model:
    """The average of the network after so many seconds."""
    trainer = Trainer(
        loss, optimiser=partial(torch.optim.Adam, lr=1e-3), ema=(0.99,), batch=64, rate=WarmUp(50)
    )
    trial = copy.deepcopy(network)
    trainer.fit(trial, data, steps=2)
    begin = time.process_time()
    trainer.fit(trial, data, steps=TRIAL)
    steps = int(seconds * TRIAL / (time.process_time() - begin))
    average = trainer.fit(network, data, steps=steps).average
    return Model(average, SDE, FromDenoiser, (-1.0, 1.0), steps)


def report(name: str, model: Model, options: argparse.Namespace) -> Tensor:
    """Draw samples, and say what they cost."""
    begin = time.process_time()
    reverse = ReverseSDE(model.sde, model.score)
    x = model.decode(sample(reverse, (options.count, *SHAPES[name]), seed=0).x).detach()
    took = 1e3 * (time.process_time() - begin) / options.count
    save(options.out / name, model.network, SDE, FromDenoiser, (-1.0, 1.0), model.step)
    print(f"{name}: {model.step} steps, {took:.0f} ms a sample")
    return x


def density(name: str, model: Model, x: Tensor) -> None:
    """Say how many bits per dimension images take, and what they are the sum of."""
    reverse, few = ReverseSDE(SDE, model.score), OnGrid(solver("ode/heun"), LogSNR(40))

    def nats(z: Tensor) -> Tensor:
        return log_likelihood(reverse, z, few, divergence=Hutchinson()).log_prob.detach()

    if isinstance(model.network, Latent):
        evidence = model.network.autoencoder.evidence(x, nats, SharedNoise(0))
        terms = {key: each[0].detach() for key, each in evidence._asdict().items()}
    else:
        start, way = truncated(reverse, x)
        terms = {"flow and prior": nats(start), "truncation": way}
    size = x[0].numel()
    bits = {key: -each.double() / (size * math.log(2.0)) for key, each in terms.items()}
    bits["rescaling"] = torch.full((len(x),), math.log2(256 / 2), dtype=torch.float64)
    total = torch.stack(tuple(bits.values())).sum(0)
    error = float(total.std()) / math.sqrt(len(x))
    parts = ", ".join(f"{key} {float(each.mean()):+.3f}" for key, each in bits.items())
    print(f"{name}: {float(total.mean()):.3f} +- {error:.3f} bits per dimension: {parts}")


def picture(drawn: Mapping[str, Tensor], path: Path) -> None:
    """The first images of each kind, side by side."""
    figure = blank_figure(3.0 * len(drawn), 3.2)
    for axes, (name, x) in zip(figure.subplots(1, len(drawn)), drawn.items(), strict=True):
        image_sheet(axes, x[:64])
        axes.set_title(name, color=INK, fontsize=10)
    save_picture(figure, path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each training")
    parser.add_argument("--count", type=int, default=500, help="samples of each model")
    parser.add_argument("--known", type=int, default=100, help="images whose density is asked for")
    parser.add_argument("--out", type=Path, default=Path("latent"), metavar="FOLDER")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data, held_out = map(spread, mnist.digits(options.data))
    drawn = {"held out": held_out[: options.count]}
    for name, make in MODELS.items():
        torch.manual_seed(0)
        model = trained(*make(), data, options.seconds)
        drawn[name] = report(name, model, options)
        density(name, model, held_out[: options.known])
        if isinstance(model.network, Latent):
            drawn["through the autoencoder"] = model.network.autoencoder(drawn["held out"]).detach()
    picture(drawn, options.out / "latent.png")
    features = mnist.features(options.data)
    law = moments(features(0.5 * data))
    for name, x in drawn.items():
        print(f"{name}: Frechet distance {frechet(features(0.5 * x), law):.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
