"""Samples by weighed particles, for ``sdeplug condition --method smc``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from sdeplug.cli.work.aim import Aim, Learned
from sdeplug.conditioning import SMC, Measurement
from sdeplug.pipeline import Samples

DEFAULT = 256
"""Particles, where nobody says how many."""


@dataclass(frozen=True)
class Particles:
    """A run of particles, and what is kept of it.

    Attributes:
        measurement: what the samples are to agree with.
        samples: how many particles are kept.
        heard: times that were reached, each with the effective number of particles there.
    """

    measurement: Measurement
    samples: int
    heard: list[tuple[float, float]] = field(default_factory=list)

    @property
    def by(self) -> SMC:
        """The solver, which is listened to."""

        def listen(t: float, effective: Tensor) -> None:
            self.heard.append((t, float(effective)))

        return SMC(self.measurement, listener=listen)

    def kept(self, found: Samples, aim: Aim) -> tuple[Samples, Aim]:
        """Particles far apart in the order of their ancestors, and what they are samples of.

        All of them weigh the same.
        """
        steps = torch.arange(self.samples, dtype=torch.int64, device=found.x.device)
        rows = steps * len(found.x) // self.samples
        if isinstance(aim, Learned) and aim.labels is not None:
            aim = replace(aim, labels=aim.labels[: self.samples])
        by_row = found.nfe_by_row[rows.cpu()]
        return replace(found, x=found.x[rows], nfe_by_row=by_row), aim

    def told(self, particles: int) -> str:
        """The least effective number of particles: where they were weighed most unequally."""
        t, least = min(self.heard, key=lambda each: each[1])
        return f"effective sample size at least {least:.3g} of {particles}, at t = {t:.2g}"
