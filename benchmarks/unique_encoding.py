"""Whether two networks, and two solvers, give data one latent.

python benchmarks/unique_encoding.py [--steps FACTOR] [--data FOLDER]

The forward SDE and the law of the data decide the latent, whatever has learned their score (Song et
al., arXiv 2011.13456, section 4.3).  Two networks of different architecture are trained on the ring
and two on the digits of scikit-learn, for about half a minute of one thread each, and encode the
same held-out data.  A distance is the root of the mean square over that of latents of different
data; a correlation is that of the coordinates of one row, averaged over rows.  With the folder of
benchmarks/mnist.py: how near eight digits come to themselves through that network, there and back.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import mnist
import torch
from torch import Tensor, nn

from sdeplug import (
    VPSDE,
    Focus,
    FromNoise,
    Labelled,
    LogSNR,
    LogSNRLabel,
    OnGrid,
    ReverseSDE,
    ScoreModel,
    SharedNoise,
    solver,
    targets,
)
from sdeplug.likelihood import decode, encode
from sdeplug.networks import ResidualMLP, SmallUNet
from sdeplug.training import DenoisingLoss, Trainer

SDE = VPSDE()
T = 0.005  # of the data: a noise of 0.03 beside values of order 1
SOLVERS = {
    "Heun, 100 evaluations": OnGrid(solver("ode/heun"), LogSNR(50)),
    "RK4, 100 evaluations": OnGrid(solver("ode/rk4"), LogSNR(25)),
}
Networks = Mapping[str, tuple[Callable[[], nn.Module], int]]
"""What makes a network, and how many steps it is trained, by name."""


class Waves(nn.Module):
    """Sines and cosines of the coordinates and the label, and three layers of tanh."""

    def __init__(self, features: int, width: int = 128, waves: int = 4) -> None:
        super().__init__()
        self.scales = [2.0**k for k in range(waves)]
        self.layers = nn.Sequential(
            nn.Linear((features + 1) * 2 * waves, width), nn.Tanh(), nn.Linear(width, width),
            nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, features),
        )  # fmt: skip

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        seen = torch.cat((x, 0.25 * label[:, None].to(x)), 1)
        parts = [wave(scale * seen) for scale in self.scales for wave in (torch.sin, torch.cos)]
        return self.layers(torch.cat(parts, 1))


class Flat(nn.Module):
    """A network of vectors, for images."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        return self.inner(x.flatten(1), label).reshape(x.shape)


RING: Networks = {
    "ResidualMLP": (lambda: ResidualMLP(2, width=128), 2000),
    "waves": (lambda: Waves(2), 4000),
}
DIGITS: Networks = {
    "SmallUNet": (lambda: SmallUNet(width=32), 300),
    "ResidualMLP": (lambda: Flat(ResidualMLP(64, width=256)), 1500),
}


def trained(make: Callable[[], nn.Module], data: Tensor, steps: int) -> ScoreModel:
    """The score that a network has learned."""
    torch.manual_seed(0)
    network = Labelled(make(), SDE, LogSNRLabel())
    trainer = Trainer(
        DenoisingLoss(SDE), partial(torch.optim.Adam, lr=1e-3), ema=(0.995,),
        rate=lambda step: min((step + 1) / 200, 0.5 + 0.5 * math.cos(math.pi * step / steps)),
    )  # fmt: skip
    return FromNoise(trainer.fit(network, data, steps=steps).average, SDE)


def distance(one: Tensor, other: Tensor) -> float:
    """Root of the mean square of the difference."""
    return float((one - other).square().mean().sqrt())


def correlation(one: Tensor, other: Tensor) -> float:
    """Cosine of the angle between the rows, averaged."""
    return float(nn.functional.cosine_similarity(one.flatten(1), other.flatten(1)).mean())


def line(name: str, one: Tensor, other: Tensor) -> None:
    """Two encodings of the same rows, beside those of different rows."""
    unrelated = other.roll(1, 0)
    share = distance(one, other) / distance(one, unrelated)
    print(
        f"| {name} | {share:.3f} | {correlation(one, other):.3f} | "
        f"{correlation(one, unrelated):+.3f} |",
        flush=True,
    )


def compared(law: str, data: Tensor, held_out: Tensor, networks: Networks, factor: float) -> None:
    """Train, encode and print a line for each pair of networks or solvers."""
    times = torch.full((len(held_out),), T, dtype=torch.float64)
    x = SDE.perturb(held_out, times, SharedNoise(7))
    latents: dict[str, list[Tensor]] = {}
    for name, (make, steps) in networks.items():
        began = time.process_time()
        score = trained(make, data, math.ceil(factor * steps))
        print(f"{law}, {name}: {time.process_time() - began:.0f} s", flush=True)
        with torch.no_grad():
            latents[name] = [encode(ReverseSDE(SDE, score), x, by, t=T) for by in SOLVERS.values()]
    for name, (heun, rk4) in latents.items():
        line(f"{law}: two solvers, {name}", heun, rk4)
    (one, first), (other, second) = latents.items()
    line(f"{law}: {one} and {other}", first[1], second[1])
    if law == "ring":
        exact = encode(ReverseSDE(SDE, targets.eight_gaussians().score(SDE)), x, t=T)
        for name, (_, rk4) in latents.items():
            line(f"{law}: {name} and the exact score", rk4, exact)


def there_and_back(folder: Path) -> None:
    """Root mean squares by which digits are off after 50 evaluations each way."""
    model, noise = mnist.network(folder), SharedNoise(7)
    marginal, digits = model.sde.at(model.sde.eps), mnist.digits(folder)[1][:8]
    x = marginal.alpha * digits + marginal.sigma * noise.normal(digits)
    reverse = ReverseSDE(model.sde, model.score)
    focused = solver("ode/adams-moulton", low=0.02, high=2.0)
    ways = {
        "nfe=50": {"nfe": 50},
        "ode/heun on LogSNR": {"by": OnGrid(solver("ode/heun"), LogSNR(25))},
        "ode/rk4 on LogSNR": {"by": OnGrid(solver("ode/rk4"), LogSNR(12))},
        "ode/adams-moulton on Focus": {"by": OnGrid(focused, Focus(50, 0.02, 2.0))},
    }
    for name, way in ways.items():
        with torch.no_grad():
            back = decode(reverse, encode(reverse, x, **way), **way)
        print(f"MNIST, {name}: {float((back - x).square().mean().sqrt()):.1e}", flush=True)


def main() -> None:
    """Both laws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=float, default=1.0, help="factor of the steps of training")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="that of benchmarks/mnist.py")
    options = parser.parse_args()
    factor = options.steps
    torch.set_num_threads(1)
    if options.data is not None:
        there_and_back(options.data)
    ring = targets.eight_gaussians()
    noise = (SharedNoise(0), SharedNoise(1))
    compared("ring", ring.sample(20000, noise=noise[0]), ring.sample(200, noise=noise[1]), RING,
             factor)  # fmt: skip
    # The digits are in the order of their writers: the last ones are by others.
    digits = targets.digits().means.float()
    compared("digits", digits[:1597], digits[1597:], DIGITS, factor)


if __name__ == "__main__":
    main()
