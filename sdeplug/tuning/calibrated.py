"""A solver that was fitted to one network: plain numbers, and what they belong to."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from math import isclose
from pathlib import Path

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError, PairingError, write_text
from sdeplug.options import build, option
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.score import AnalyticFirst
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Claims, Integrator
from sdeplug.tuning.fingerprint import recognised
from sdeplug.tuning.rule import Numbers, Weights
from sdeplug.tuning.walk import Asked, Held, walk


@dataclass(frozen=True, repr=False)
class Calibrated(Integrator):
    """A solver whose grid and coefficients were fitted to one network: what `calibrate` gives.

    It is a whole run: ``sample(reverse, shape, calibrated)``.  It follows the probability flow,
    whatever the stochasticity, and refuses another SDE, span, shape or network than its own.  By
    name it is ``calibrated:file=FILE``; files of pipelines have its numbers in them.

    Raises:
        ArgumentError: for numbers that are not those of one solver, or a file without them.
    """

    times: Numbers = option((), help="times of the steps, from the start to the end", ge=0.0)
    levels: Weights = option((), help="alpha and sigma at these times")
    weights: Weights = option(
        (),
        help="of each step: that of x / alpha, then those of the denoised data, the newest first",
    )
    shape: tuple[int, ...] = option((), help="shape of one sample", ge=1)
    mean: Numbers = option((), help="of the data, for a first step that asks no network; or ()")
    std: float = option(0.0, help="standard deviation of the data around it", ge=0.0)
    network: Numbers = option((), help="answers by which the network is known; () for any network")
    theory: Numbers = option((), help="errors before the fit: noises of the fit, held out ones")
    fitted: Numbers = option((), help="errors after it, likewise")
    file: str = option("", help="what `save` has written, in the place of all other options")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.file:
            return self._become(_read("file", self.file))
        if not self.times:
            raise ArgumentError(
                "times", (), "given with levels, weights and shape, or all of them as a file",
                "calibrate() makes the whole, save() the file.",
            )  # fmt: skip
        steps, size = len(self.times) - 1, torch.Size(self.shape).numel()
        if any(later >= earlier for earlier, later in pairwise(self.times)):
            raise ArgumentError("times", self.times, "falling", "calibrate() makes the whole.")
        pairs, least = (min(map(len, each), default=0) for each in (self.levels, self.weights))
        for name, value, right in (
            ("levels", len(self.levels), len(self.levels) == steps + 1 and pairs == 2),
            ("weights", len(self.weights), len(self.weights) == steps > 0 and least > 1),
            ("mean", len(self.mean), len(self.mean) in (0, size)),
        ):
            if not right:
                raise ArgumentError(
                    f"number of {name}", value, f"that of {steps} steps for shape {self.shape}",
                    "calibrate() makes the whole.",
                )  # fmt: skip

    def __repr__(self) -> str:
        error = f", error={self.fitted[-1]:.3g}" if self.fitted else ""
        span = f"{self.times[0]:g} to {self.times[-1]:g}"
        return f"Calibrated(nfe={self.nfe}, from {span}, shape={self.shape}{error})"

    @property
    def nfe(self) -> int:
        """Score evaluations: one a step, but none in a first one that asks no network."""
        return len(self.weights) - bool(self.mean)

    @property
    def ends_at(self) -> float:
        """The last of its times."""
        return self.times[-1]

    @property
    def claims(self) -> Claims:
        """No order: it is as near to the flow as it was fitted."""
        return Claims(order=None, stochastic=False, evaluations=self.nfe, needs=LinearSDE)

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """Carry x along the steps.

        Raises:
            ArgumentError: for another span, or samples of another shape.
            PairingError: for another forward SDE, or another network.
        """
        sde = reverse.linear
        x, t = sde.from_horizon(x, t, s)
        self._check(reverse, x, t, s)
        asked = Asked(reverse, self.times, self._first(reverse, x))
        held = Held(x / sde.at(t).alpha)
        for place, held in enumerate(walk(asked, self.weights, held), start=1):  # noqa: B020
            x = held.y * sde.at(self.times[place]).alpha
            if place < len(self.weights):
                run.report(self.times[place], x)
        return x

    def save(self, path: str | Path) -> None:
        """Write it as JSON, from which `load` makes an equal one; its folder is made.

        Raises:
            UnwrittenError: if it cannot be written.
        """
        plain = asdict(self)
        del plain["file"]
        write_text("path", path, json.dumps(plain) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Calibrated:
        """Read what `save` has written.

        Raises:
            ArgumentError: for a file that is not there, or is not one of these.
        """
        return _read("path", path)

    def _become(self, other: Calibrated) -> None:
        """Have the numbers of another, as if they had been given."""
        for each in fields(self):
            if each.name != "file" and getattr(self, each.name) != each.default:
                raise ArgumentError("file", self.file, f"given without {each.name}")
        for each in fields(self):
            object.__setattr__(self, each.name, getattr(other, each.name))

    def _first(self, reverse: ReverseSDE, x: Tensor) -> AnalyticFirst | None:
        if not self.mean:
            return None
        mean = torch.tensor(self.mean, dtype=x.dtype, device=x.device).reshape(self.shape)
        return AnalyticFirst(reverse.score_model, reverse.linear, mean, self.std)

    def _check(self, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> None:
        sde, (first, *_, last) = reverse.linear, self.times
        if (t, s) != (first, last):
            raise ArgumentError(
                "span", (t, s), f"{(first, last)}, the one of {self!r}",
                f"Write Pipeline(reverse, Leg({last:g}, calibrated)).",
            )  # fmt: skip
        if tuple(x.shape[1:]) != self.shape:
            raise ArgumentError("shape", tuple(x.shape), f"(B, *D) with D = {self.shape}, its own")
        for time, (alpha, sigma) in zip(self.times, self.levels, strict=True):
            here = sde.at(time)
            if not (_close(here.alpha, alpha) and _close(here.sigma, sigma)):
                raise PairingError(
                    f"{self!r} belongs to another forward SDE than {sde!r}: at t = {time:g} its "
                    f"sigma is {sigma:g}, and here {here.sigma:g}. Calibrate for this one."
                )
        if not recognised(self.network, reverse, self.times, x):
            raise PairingError(
                f"{self!r} belongs to another network, or to this one with other weights or "
                "labels. Calibrate for this one."
            )


def _read(argument: str, path: str | Path) -> Calibrated:
    """What a file holds; an error calls the file as the argument that named it."""
    try:
        plain = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArgumentError(argument, str(path), "a readable file", str(error)) from error
    if not isinstance(plain, dict) or not plain.get("times") or "file" in plain:
        raise ArgumentError(argument, str(path), "a file that Calibrated.save() has written")
    return build(Calibrated, plain)


def _close(one: float, other: float) -> bool:
    return isclose(one, other, rel_tol=1e-6)
