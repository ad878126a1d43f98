"""Posteriors that sbi has learned, by its own sampler and by ours: distance to the exact one.

``python benchmarks/sbi_posterior.py`` learns p(theta | x) from 2,000 simulations with the SDE of
sbi's default, and prints the energy distance of 2,000 draws to 2,000 exact ones, with its standard
error over seeds.  sbi has to be installed: 0.27 was tried.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from sbi.inference import NPSE
from torch import Tensor

import sdeplug as sp
from sdeplug_foreign import register_in_sbi

COUNT, NOISE, SEEN, SEEDS, EULER = 2000, 0.15, (1.0, 0.0), 8, (50, 500)


def simulated(theta: Tensor) -> Tensor:
    """x without noise: blind to a sign, so that there are two modes or more."""
    first, second = theta.unbind(1)
    return torch.stack((first.abs() + second.abs(), first - second), dim=1) / 2**0.5


def exact(prior: Any) -> Tensor:
    """Draws of the posterior, by rejection."""
    theta = prior.sample((400_000,))
    misfit = (simulated(theta) - torch.tensor(SEEN)).square().sum(1) / (2 * NOISE**2)
    return theta[torch.rand(len(theta)) < misfit.neg().exp()][:COUNT]


def distance(a: Tensor, b: Tensor) -> float:
    """Energy distance of two sets of draws, without bias."""
    return float(2 * torch.cdist(a, b).mean() - torch.pdist(a).mean() - torch.pdist(b).mean())


def samplers() -> dict[str, dict[str, Any]]:
    """What is asked of sbi, by a name."""
    adams = sp.solver("exponential/adams", predictor=2, corrector=2)
    ours = {"auto, 20": sp.solver("exponential/auto", nfe=20)}
    ours["adams of order 2, 20"] = sp.OnGrid(adams, sp.LogSNR(20))
    found: dict[str, dict[str, Any]] = {f"Euler-Maruyama, {n}": {"steps": n} for n in EULER}
    for level in (1.0, 0.0):
        for name, by in ours.items():
            params = {"integrator": by, "stochasticity": level}
            found[f"{name}, l = {level:g}"] = {
                "steps": 2, "predictor": "sdeplug", "predictor_params": params,
            }  # fmt: skip
    return found


def main() -> None:
    """Learn, draw and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=60)
    epochs = parser.parse_args().epochs
    register_in_sbi()
    prior = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
    torch.manual_seed(0)
    theta = prior.sample((COUNT,))
    x = simulated(theta) + NOISE * torch.randn(COUNT, 2)
    learner = NPSE(prior, sde_type="ve")
    learner.append_simulations(theta, x).train(
        max_num_epochs=epochs, stop_after_epochs=1000, training_batch_size=200
    )
    posterior, truth = learner.build_posterior(), exact(prior)
    for name, options in samplers().items():
        found = []
        for seed in range(SEEDS if options.get("steps") != max(EULER) else 3):
            torch.manual_seed(seed)
            draws = posterior.sample(
                (COUNT,), x=torch.tensor(SEEN), show_progress_bars=False, **options
            )
            found.append(distance(draws, truth))
        each = torch.tensor(found)
        print(f"{name:32s} {each.mean():.4f} +- {each.std() / len(found) ** 0.5:.4f}", flush=True)


if __name__ == "__main__":
    main()
