"""Pipelines: a list of legs, each an integrator and the time it runs to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sdeplug.compose import Denoise
from sdeplug.errors import ArgumentError, PairingError, argument_type
from sdeplug.noise import NoiseSource, PerSampleNoise, SharedNoise
from sdeplug.pipeline.course import Course
from sdeplug.pipeline.leg import Leg, Samples
from sdeplug.registry import Spec, from_spec, to_spec
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Observer
from sdeplug.score import ScoreModel
from sdeplug.sde import ForwardSDE
from sdeplug.solvers import Integrator


@dataclass(frozen=True)
class Pipeline:
    """A sampler: a reverse SDE and the legs that carry samples down to the data.

    Attributes:
        reverse: the reverse SDE.
        legs: the legs, in the order of falling time.

    Raises:
        ArgumentError: if there is no leg, or the times do not fall strictly inside [0, T], or
            one is between 0 and eps.
        PairingError: if a solver needs another kind of forward SDE.
    """

    reverse: ReverseSDE
    legs: tuple[Leg, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.reverse, ReverseSDE):
            raise PairingError(f"reverse = {self.reverse!r}: must be a ReverseSDE.")
        object.__setattr__(self, "legs", tuple(self.legs))
        if not self.legs:
            raise ArgumentError("legs", self.legs, "at least one Leg(to, by)")
        previous = self.reverse.forward.T
        for number, leg in enumerate(self.legs):
            self._check(leg, number, previous)
            previous = leg.to

    @torch.no_grad()
    def sample(
        self,
        shape: Sequence[int],
        *,
        seed: int | Sequence[int] = 0,
        noise: NoiseSource | None = None,
        x: Tensor | None = None,
        t: float | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        observers: Sequence[Observer] = (),
    ) -> Samples:
        """Run all legs.

        Args:
            shape: shape ``(B, *D)`` of the samples.
            seed: one number for :class:`SharedNoise`, or one for each sample, so that a sample
                does not depend on its batch (:class:`PerSampleNoise`).
            noise: another source of noise; then no seed is given.
            x: state to start from, of the given shape, instead of a draw from the prior; it
                keeps its own dtype and device.
            t: time to start from, with ``x``; default T.
            dtype: dtype of the samples.
            device: device of the samples.
            observers: who sees the states on the way.

        Raises:
            ArgumentError: for arguments that do not fit, before anything is computed.
            NonFiniteError: if a state is not finite; it carries the last one that was.
            StepError: if an adaptive solver finds no step; it carries the last state too.
            SolverError: if a solver returns something that is not a state.
            ScoreModelError: if the score model returns something that is not a score.
        """
        size = _checked_shape(shape)
        source = _source(seed, noise, size[0])
        start = self.reverse.forward.T if t is None else t
        if not self.legs[0].to < start <= self.reverse.forward.T:
            allowed = f"a time with {self.legs[0].to} (first leg) < t <= T"
            raise ArgumentError("t", t, f"{allowed} = {self.reverse.forward.T}")
        if x is None:
            if t is not None and t != self.reverse.forward.T:
                raise ArgumentError("x", x, f"a state at t = {t}", "The prior is a state at T.")
            if not dtype.is_floating_point:
                raise ArgumentError("dtype", dtype, "a floating-point dtype")
            x = self.reverse.forward.prior(size, source, dtype, device)
        else:
            _check_start(x, size)
        return Course(self.reverse, self.legs, source, tuple(observers)).run(x, start)

    def to_spec(self) -> Spec:
        """The pipeline without its score model as plain data, for JSON and TOML.

        Raises:
            ArgumentError: if the stochasticity is a function, which has no plain form.
        """
        return {
            "sde": to_spec(self.reverse.forward),
            "stochasticity": to_spec(self.reverse.stochasticity),
            "legs": [
                {"to": leg.to, "by": to_spec(leg.by)}
                | ({} if leg.stochasticity is None else {"stochasticity": leg.stochasticity})
                for leg in self.legs
            ],
        }

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any], score: Callable[[Any], ScoreModel]) -> Pipeline:
        """Build a pipeline from plain data.

        Args:
            spec: what :meth:`to_spec` gives; ``stochasticity`` may be left out.
            score: function of the forward SDE that gives the score model, such as
                ``target.score`` or ``lambda sde: FromNoise(network, sde)``.

        Raises:
            SdeplugError: for anything that is missing, unknown or not allowed.
        """
        _checked_keys("pipeline", spec, {"sde", "legs"}, {"stochasticity"})
        if not isinstance(spec["legs"], Sequence):
            raise ArgumentError("legs", spec["legs"], "a list of tables with to and by")
        for leg in spec["legs"]:
            _checked_keys("leg", leg, {"to", "by"}, {"stochasticity"})
        forward = from_spec(spec["sde"], ForwardSDE)
        reverse = ReverseSDE(forward, score(forward), spec.get("stochasticity", 1.0))
        legs = tuple(
            Leg(leg["to"], from_spec(leg["by"], Integrator), leg.get("stochasticity"))
            for leg in spec["legs"]
        )
        return cls(reverse, legs)

    def _check(self, leg: Leg, number: int, previous: float) -> None:
        forward = self.reverse.forward
        if not isinstance(leg, Leg):
            raise PairingError(f"legs[{number}] = {leg!r}: must be a Leg(to, by).")
        if not leg.to < previous:
            raise ArgumentError(
                f"legs[{number}].to", leg.to, f"below {previous}, where the leg starts",
                f"Sampling runs down from T = {forward.T} to 0.",
            )  # fmt: skip
        if 0.0 < leg.to < forward.eps:
            raise ArgumentError(
                f"legs[{number}].to", leg.to, f"0 or at least eps = {forward.eps}",
                "A smaller eps is an option of the SDE.",
            )  # fmt: skip
        if isinstance(leg.by, Denoise) and leg.to != 0.0:
            raise ArgumentError(f"legs[{number}].to", leg.to, "0 for Denoise()", "It jumps there.")
        needs = leg.by.claims.needs
        if not isinstance(forward, needs):
            raise PairingError(
                f"legs[{number}].by = {leg.by!r} needs a {needs.__name__}, not {forward!r}."
            )


def _checked_shape(shape: Sequence[int]) -> tuple[int, ...]:
    size = tuple(shape) if isinstance(shape, Sequence) else ()
    if len(size) < 2 or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in size):
        raise ArgumentError(
            "shape", shape, "(B, *D): the number of samples, then the shape of one", "All above 0."
        )
    return size


def _check_start(x: object, size: tuple[int, ...]) -> None:
    allowed = f"a floating-point tensor of shape {size}"
    if not isinstance(x, Tensor):
        argument_type("x", x, allowed)
    if tuple(x.shape) != size or not x.is_floating_point():
        raise ArgumentError("x", f"{tuple(x.shape)} {x.dtype}", allowed)


def _source(seed: int | Sequence[int], noise: NoiseSource | None, rows: int) -> NoiseSource:
    if noise is not None:
        if seed != 0:
            raise ArgumentError("seed", seed, "left out when noise is given")
        if not isinstance(noise, NoiseSource):
            raise PairingError(f"noise = {noise!r}: must be a NoiseSource, as SharedNoise(seed).")
        return noise
    if not isinstance(seed, Sequence):
        return SharedNoise(seed)
    if len(seed) != rows:
        raise ArgumentError(
            "seed", f"{len(seed)} numbers", f"one number, or {rows}: one for each sample"
        )
    return PerSampleNoise(0, seed)


def _checked_keys(what: str, spec: object, needed: set[str], optional: set[str]) -> None:
    if not isinstance(spec, Mapping):
        raise ArgumentError(what, spec, f"a table with {', '.join(sorted(needed))}")
    wrong = (needed - set(spec)) | (set(spec) - needed - optional)
    if wrong:
        raise ArgumentError(
            f"keys of {what}", sorted(spec),
            f"{', '.join(sorted(needed))} and perhaps {', '.join(sorted(optional))}",
            f"Wrong: {', '.join(sorted(wrong))}.",
        )  # fmt: skip
