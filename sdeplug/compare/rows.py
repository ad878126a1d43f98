"""The rows of a comparison."""

from __future__ import annotations

import base64
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Attributes:
        mean: the mean.
        error: its standard error; None for one seed.
    """

    mean: float
    error: float | None = None

    @classmethod
    def of(cls, values: Sequence[float]) -> Estimate:
        """From one value for each seed."""
        if len(values) < 2:
            return cls(values[0])
        return cls(statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values)))

    def __str__(self) -> str:
        """As ``0.0123 ± 0.0004``: two digits of the error decide."""
        if self.error is None or self.error == 0.0:
            return f"{self.mean:.3g}"
        if not math.isfinite(self.mean):
            return f"{self.mean}"
        digits = 1 - math.floor(math.log10(self.error))
        digits = min(max(digits, 0), 12)
        if self.mean != 0.0 and (abs(self.mean) >= 1e4 or abs(self.mean) < 1e-3):
            power = math.floor(math.log10(abs(self.mean)))
            scaled = Estimate(self.mean / 10.0**power, self.error / 10.0**power)
            return f"({scaled})e{power}"
        return f"{self.mean:.{digits}f} ± {self.error:.{digits}f}"


@dataclass(frozen=True)
class Row:
    """A solver at a budget, over all seeds.

    Attributes:
        solver: its label.
        sampler: what ran, in full.
        budget: the budget; None where it is compared as it is.
        score_error: relative size of the error of the score; 0 is the exact score.
        law: what the samples should be distributed as: an SDE, and a time.
        nfe: score evaluations of a sample, counted: a mean over samples, which may differ where
            a solver gives each its own steps, and over seeds.
        seconds: wall time of a run; the median over seeds.
        overhead: what of it was outside the score.
        values: each metric.
        floor: what exact draws get.
        exact: relative error of the exact law, where it is to be had: without any noise.
        failure: why there are no values; empty if there are.
        picture: some of the samples, float32, little-endian, in base64.
    """

    solver: str
    sampler: str
    budget: int | None
    score_error: float
    law: str
    nfe: float
    seconds: float
    overhead: float
    values: Mapping[str, Estimate]
    floor: Mapping[str, Estimate]
    exact: float | None = None
    failure: str = ""
    picture: str = field(default="", repr=False)

    def points(self, shape: Sequence[int]) -> Tensor:
        """Some of the samples: float32, shape ``(n, *shape)``."""
        return decoded(self.picture).reshape(-1, *shape)

    def to_plain(self, times: bool = True) -> dict[str, Any]:
        """Plain data, with or without what differs from run to run."""
        plain = asdict(self)
        if not times:
            del plain["seconds"], plain["overhead"]
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Row:
        """From what :meth:`to_plain` gives."""
        estimates = {
            key: {name: Estimate(**each) for name, each in plain[key].items()}
            for key in ("values", "floor")
        }
        times = {key: plain.get(key, math.nan) for key in ("seconds", "overhead")}
        return cls(**{**plain, **times, **estimates})


def spent(row: Row) -> str:
    """Evaluations: a whole number, or a mean with one digit more."""
    return f"{row.nfe:.0f}" if row.nfe == round(row.nfe) else f"{row.nfe:.1f}"


def encoded(x: Tensor) -> str:
    """Samples as they are kept in a row."""
    return base64.b64encode(x.detach().cpu().numpy().astype("<f4").tobytes()).decode("ascii")


def decoded(picture: str) -> Tensor:
    """The numbers of samples that are kept in a row: float32, flat."""
    numbers = np.frombuffer(base64.b64decode(picture), dtype="<f4").copy()
    return torch.from_numpy(numbers.astype(np.float32))


def pareto(
    rows: Iterable[Row], cost: Callable[[Row], float], metric: str, higher: bool
) -> list[Row]:
    """The rows that no other row beats: none costs less and is better, in order of cost.

    What is within two standard errors of the floor, or past it, cannot be told from exact draws:
    there the cheaper one is better.
    """
    sign = -1.0 if higher else 1.0

    def error(row: Row) -> float:
        floor = row.floor[metric]
        reached = sign * floor.mean + 2.0 * (floor.error or 0.0)
        return max(sign * row.values[metric].mean, reached)

    front: list[Row] = []
    scored = [row for row in rows if metric in row.values]
    for row in sorted(scored, key=lambda each: (cost(each), sign * each.values[metric].mean)):
        if not front or error(row) < error(front[-1]):
            front.append(row)
    return front
