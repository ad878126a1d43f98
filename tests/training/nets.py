"""Small networks to train, and a loop as one writes it by hand."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from sdeplug import SharedNoise
from sdeplug.training import Trainer


class Net(nn.Module):
    """Of vectors, with labels where they are given."""

    def __init__(self, dim: int = 2, dropout: float = 0.0, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            self.inner = nn.Sequential(
                nn.Linear(dim + 1, 16), nn.SiLU(), nn.Dropout(dropout), nn.Linear(16, dim)
            )
            self.classes = nn.Embedding(4, dim)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        found = self.inner(torch.cat((x, t[:, None]), 1))
        return found if labels is None else found + self.classes(labels)


def by_hand(trainer: Trainer, network: nn.Module, data: Tensor, steps: int) -> list[nn.Module]:
    """What the trainer does, for one process and one average: the network and the average."""
    average = copy.deepcopy(network)
    parameters = list(network.parameters())
    optimiser = torch.optim.Adam(parameters, lr=2e-4)
    order: list[int] = []
    for number in range(steps * trainer.batch // len(data) + 1):
        seed = SharedNoise(trainer.seed).stream(f"order of pass {number}").seed
        order += torch.randperm(len(data), generator=torch.Generator().manual_seed(seed)).tolist()
    for step in range(steps):
        x0 = data[order[step * trainer.batch : (step + 1) * trainer.batch]]
        noise = SharedNoise(trainer.seed).stream(f"step {step} of process 0")
        loss = trainer.loss(network, x0, noise).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, trainer.clip)
        optimiser.param_groups[0]["lr"] = 2e-4 * trainer.rate(step)
        optimiser.step()
        decay = min(trainer.ema[0], (1 + step) / (10 + step))
        with torch.no_grad():
            for mine, its in zip(average.parameters(), parameters, strict=True):
                mine.lerp_(its, 1.0 - decay)
    return [network, average]


def same(one: nn.Module, other: nn.Module) -> bool:
    """Whether two networks have the same bits."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)
