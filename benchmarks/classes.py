"""Draw the picture of digits of a class that was asked for, in docs/guides/condition.md.

python benchmarks/classes.py --data FOLDER [--out FILE]

The folder is that of benchmarks/mnist.py.  Its network knows no classes, and its classifier no
noise: what guides is how the classifier sees the digits without their noise, as the network sees
them.  That is no log p_t(c | x), but near it where the noise is small (Bansal et al., arXiv
2302.07121).
"""

from __future__ import annotations

import argparse
from math import log
from pathlib import Path

import mnist
import torch
from torch import Tensor, nn

from sdeplug import (
    AnalyticFirst,
    Denoise,
    Leg,
    LogSNR,
    OnGrid,
    Pipeline,
    ReverseSDE,
    solver,
)
from sdeplug.conditioning import ClassifierGuided
from sdeplug.pictures import INK, blank_figure, image_sheet

EACH, STEPS, FAR = 4, 50, 2.0
"""Digits of a class; steps; sigma / alpha above which neither network nor classifier is asked."""

SCALES = (0.0, 1.0, 4.0)


def classifier(folder: Path) -> nn.Sequential:
    """Images as :func:`mnist.shades` gives them to ten numbers."""
    weights = torch.load(folder / "networks" / "digit-classifier.pth", weights_only=True)
    last = nn.Linear(256, 10)
    last.load_state_dict({name: weights[f"fc_layers.2.{name}"] for name in ("weight", "bias")})
    return nn.Sequential(*mnist.features(folder).layers, last).eval().requires_grad_(False)


def seen(layers: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Log-probability of the class of each image in [-1/2, 1/2]: ``(B,)``."""
    return layers(mnist.shades(images)).log_softmax(1).gather(1, labels[:, None])[:, 0]


def drawn(folder: Path, scale: float) -> tuple[Tensor, float]:
    """Digits, a column for each class, and the share that the classifier takes for its own."""
    model, layers = mnist.network(folder), classifier(folder)
    sde, labels = model.sde, torch.arange(10).repeat(EACH)
    score = AnalyticFirst(model.score, sde, mnist.MEAN, mnist.SPREAD, above=FAR)

    def log_prob(x: Tensor, t: Tensor) -> Tensor:
        known = sde.at(float(t[0]))
        return seen(layers, (x + known.sigma**2 * score(x, t)) / known.alpha, labels)

    near = float(sde.time_at(torch.tensor(-2.0 * log(FAR), dtype=torch.float64)))
    guided = ClassifierGuided(score, log_prob, scale, span=(0.0, near))
    legs = (Leg(sde.eps, OnGrid(solver("song/ancestral"), LogSNR(STEPS))), Leg(0.0, Denoise()))
    x = Pipeline(ReverseSDE(sde, guided), legs).sample((10 * EACH, 1, 28, 28), seed=0).x
    return x, float((layers(mnist.shades(x.clamp(-0.5, 0.5))).argmax(1) == labels).float().mean())


def main() -> None:
    """Draw, and say how many are of their class."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=Path("classes.png"), metavar="FILE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    figure = blank_figure(9.0, 1.5)
    for panel, scale in zip(figure.subplots(1, len(SCALES)), SCALES, strict=True):
        x, share = drawn(options.data, scale)
        print(f"scale {scale:g}: {share:.2f} are of their class", flush=True)
        image_sheet(panel, 2.0 * x, 10)
        panel.set_title(f"scale {scale:g}", fontsize=9, color=INK)
    figure.subplots_adjust(wspace=0.05)
    mnist.save_grey(figure, options.out, 130)


if __name__ == "__main__":
    main()
