"""A small network, sampled by a scheduler."""

from __future__ import annotations

import torch

SIZE = 6
MATRIX = 0.3 * torch.randn(
    SIZE, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(4)
)


def network(x, label):
    """Not linear, in the state or in the label."""
    return torch.tanh(x.flatten(1) @ MATRIX.to(x.dtype) + float(label) / 1000.0).reshape(x.shape)


def start(rows=4):
    return torch.randn(rows, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(9))


def run(scheduler, x, draws=True, **options):
    """The loop of a pipeline, with all states on the way."""
    generator = torch.Generator().manual_seed(1)
    more = {**options, "generator": generator} if draws else options
    states, x = [], x * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        output = network(scheduler.scale_model_input(x, t), t)
        x = scheduler.step(output, t, x, **more).prev_sample
        states.append(x)
    return states
