"""What a trainer costs: against a bare loop with the same network and loss, one thread, CPU.

python benchmarks/training.py [--quick] [--json FILE]

The bare loop does the same work by hand: rows of a shuffled tensor, loss, gradient, clipping,
Adam, one average of the weights.  Both are timed step by step, the one beside the other, in
processor time, so that what else runs on the machine slows both.
"""

from __future__ import annotations

import copy
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import torch
from lines import Line, reported
from torch import Tensor, nn

from sdeplug import VPSDE, SharedNoise
from sdeplug.training import DenoisingLoss, Journal, SecondOrderLoss, Trainer

LOSS = DenoisingLoss(VPSDE())
TRAINER = Trainer(LOSS)


class Images(nn.Module):
    """Four convolutions on images of one channel."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        layers = [nn.Conv2d(2, width, 3, padding=1)]
        layers += [nn.Conv2d(width, width, 3, padding=1) for _ in range(2)]
        self.layers = nn.ModuleList(layers)
        self.last = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        h = torch.cat((x, t[:, None, None, None].expand_as(x)), 1)
        for layer in self.layers:
            h = nn.functional.silu(layer(h))
        return self.last(h)


class Vectors(nn.Module):
    """Three layers on vectors; of two heads where it has them."""

    def __init__(self, dim: int = 64, width: int = 256, heads: int = 1) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Linear(dim + 1, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, width), nn.SiLU(), nn.Linear(width, heads * dim),
        )  # fmt: skip

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.inner(torch.cat((x, t[:, None]), 1))


def bare(network: nn.Module, data: Tensor) -> Iterator[None]:
    """A loop as one writes it by hand; it halts before the optimiser of each step."""
    average, parameters = copy.deepcopy(network), list(network.parameters())
    averaged = list(average.parameters())
    optimiser = torch.optim.Adam(parameters, lr=2e-4)
    noise, order, batch = SharedNoise(0), torch.randperm(len(data)), TRAINER.batch
    for step in itertools.count():
        first = step * batch % (len(data) - batch)
        loss = LOSS(network, data[order[first : first + batch]], noise).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.param_groups[0]["lr"] = 2e-4 * min((step + 1) / 500, 1.0)
        yield
        optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(averaged, parameters, 1e-4)


@dataclass
class Beside:
    """A learning rate, which takes a step of the bare loop in each step of the trainer.

    So each step is timed beside one of the other kind: what else runs on the machine slows both.

    Attributes:
        loop: the bare loop.
        times: when the step of the bare loop began, and when it had been taken.
    """

    loop: Iterator[None]
    times: list[tuple[float, float]] = field(default_factory=list)

    def __call__(self, step: int) -> float:
        begin = time.process_time()
        next(self.loop)
        self.times.append((begin, time.process_time()))
        return TRAINER.rate(step)

    def blocks(self, steps: int) -> Iterator[tuple[float, float]]:
        """Seconds of so many steps of the bare loop, and of the trainer; not of the first ones."""
        for first in range(steps, len(self.times) - steps, steps):
            part = self.times[first : first + steps]
            base = sum(end - begin for begin, end in part)
            yield base, self.times[first + steps][0] - part[0][0] - base


def loops(quick: bool) -> Iterator[Line]:
    """Time of a step over that of the bare loop: the median over blocks that have a look each."""
    for make, shape in ((Vectors, (64,)), (Images, (1, 8, 8))):
        data = torch.rand(2000, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
        journal, blocks = Journal(), 6 if quick else 20
        beside = Beside(bare(make(), data))
        trainer = replace(TRAINER, rate=beside)
        trainer.fit(make(), data, journal.every * (blocks + 1) + 1, journal=journal)
        took = list(beside.blocks(journal.every))
        base = statistics.median(base / journal.every for base, _ in took)
        ratio = statistics.median(ours / base for base, ours in took)
        yield Line(f"bare loop, {make.__name__}", 1e6 * base, "us/step")
        yield Line(f"Trainer.fit, {make.__name__}", ratio, "x bare", 1.03)


def seconds(function: Callable[..., object], *args: object) -> float:
    start = time.process_time()
    function(*args)
    return time.process_time() - start


def orders(quick: bool) -> Iterator[Line]:
    """A row of the second-order loss over one of the first-order loss, gradient included."""
    data = torch.randn(128, 64, generator=torch.Generator().manual_seed(0))
    losses = {
        "first": (LOSS, Vectors(heads=1)),
        "second": (SecondOrderLoss(VPSDE()), Vectors(heads=2)),
    }

    def steps(loss: Callable[..., Tensor], network: nn.Module) -> None:
        noise = SharedNoise(0)
        for _ in range(20):
            network.zero_grad()
            loss(network, data, noise).mean().backward()

    ratios = []
    for number in range(6 if quick else 16):
        took = {name: seconds(steps, *parts) for name, parts in losses.items()}
        if number:
            ratios.append(took["second"] / took["first"])
    yield Line("second-order loss, 64 dimensions", statistics.median(ratios), "x first", 2.0)


if __name__ == "__main__":
    sys.exit(reported("Overhead of a trainer", __doc__, loops, orders))
