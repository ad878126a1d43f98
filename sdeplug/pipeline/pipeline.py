"""Pipelines: a list of legs, each an integrator and the time it runs to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from sdeplug.compose import Denoise, stepped
from sdeplug.errors import ArgumentError, PairingError
from sdeplug.noise import NoiseSource
from sdeplug.pipeline import arguments
from sdeplug.pipeline.arguments import Seed
from sdeplug.pipeline.course import Course
from sdeplug.pipeline.leg import Leg, Samples
from sdeplug.pipeline.views import course_sheet, described
from sdeplug.registry import Spec, from_spec, to_spec
from sdeplug.reverse import ReverseSDE, checked_reverse
from sdeplug.run import Observer
from sdeplug.score import ScoreModel
from sdeplug.sde import ForwardSDE
from sdeplug.solvers import Integrator


@dataclass(frozen=True, repr=False)
class Pipeline:
    """A sampler: a reverse SDE and the legs that carry samples down to the data.

    Attributes:
        reverse: the reverse SDE.
        legs: the legs, in the order of falling time, or a single one.  A solver of single steps
            runs on a grid of 100 of them (:func:`sdeplug.compose.stepped`); who wants one step
            writes ``OnGrid(solver, Uniform(1))``.

    Raises:
        ArgumentError: if there is no leg, or the times do not fall strictly inside [0, T], or
            one is between 0 and eps, or a solver works at another stochasticity only.
        PairingError: if a solver needs another kind of forward SDE.
    """

    reverse: ReverseSDE
    legs: tuple[Leg, ...]

    def __post_init__(self) -> None:
        forward = checked_reverse(self.reverse).forward
        legs = (self.legs,) if isinstance(self.legs, Leg) else tuple(self.legs)
        if not legs:
            raise ArgumentError("legs", legs, "at least one Leg(to, by)")
        previous = forward.T
        for number, leg in enumerate(legs):
            self._check(leg, number, previous)
            previous = leg.to
        legs = tuple(replace(leg, by=stepped(leg.by, forward, leg.to)) for leg in legs)
        object.__setattr__(self, "legs", legs)

    def sample(
        self,
        shape: Sequence[int] | None = None,
        *,
        seed: Seed = 0,
        noise: NoiseSource | None = None,
        x: Tensor | None = None,
        t: float | None = None,
        dtype: torch.dtype | str = torch.float32,
        device: torch.device | str = "cpu",
        observers: Observer | Sequence[Observer] = (),
        grad: bool = False,
    ) -> Samples:
        """Run all legs.

        Args:
            shape: shape ``(B, *D)`` of the samples; may be left out with ``x``.
            seed: one number for :class:`SharedNoise`, or one for each sample, so that a sample
                does not depend on its batch (:class:`PerSampleNoise`).  A run from ``x`` has
                a stream of its own for each seed and ``t``: it draws nothing again that a run
                from the prior, or :meth:`LinearSDE.perturb`, has drawn with the same seed.
            noise: another source of noise, used as it is; then no seed is given.
            x: state to start from, instead of a draw from the prior; it keeps its own dtype
                and device.
            t: time to start from, with ``x``; default T.
            dtype: dtype of the samples, or its name, and of what the score model sees.  Between its
                calls the state is carried, and shown to observers, in float32 at least.
            device: device of the samples.
            observers: who sees the states on the way; one, or several.
            grad: whether the samples keep the graph that leads back to ``x`` and to the
                parameters of the score model; memory then grows with the steps.

        Raises:
            ArgumentError: for arguments that do not fit, before anything is computed.
            NonFiniteError: if a state is not finite; it carries the last one that was.
            StepError: if an adaptive solver finds no step; it carries the last state too.
            SolverError: if a solver returns something that is not a state.
            ScoreModelError: if the score model returns something that is not a score.
        """
        forward, watching = self.reverse.forward, arguments.checked_observers(observers)
        size = arguments.checked_shape(shape, x)
        start = arguments.checked_time(t, self.legs[0].to, forward.T)
        source = arguments.checked_source(seed, noise, size[0])
        with torch.set_grad_enabled(grad):
            if x is None:
                if start != forward.T:
                    raise ArgumentError("x", x, f"a state at t = {t}", "The prior is a state at T.")
                kept = arguments.checked_dtype(dtype)
                wide = torch.promote_types(kept, torch.float32)
                x = forward.prior(size, source, wide, arguments.checked_device(device))
            else:
                x = arguments.checked_start(x, size)
                kept = x.dtype
                source = source if noise is not None else source.stream(f"from t = {start!r}")
            return Course(self.reverse, self.legs, source, watching, kept).run(x, start)

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

    def __repr__(self) -> str:
        legs = "".join(f"    {leg!r},\n" for leg in self.legs)
        return f"Pipeline(\n    {described(self.reverse)},\n{legs})"

    def _repr_html_(self) -> str:
        legs = [(f"{leg.to:g}", repr(leg.by), _level(leg)) for leg in self.legs]
        return course_sheet(self.reverse, legs).html()

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
        only, given = leg.by.claims.level, leg.stochasticity
        asked = self.reverse.stochasticity if given is None else given
        if only is not None and asked != only:
            raise ArgumentError(
                "stochasticity", asked, f"{only:g}, the only one of {leg.by!r}",
                f"Write ReverseSDE(sde, score, {only:g}) or Leg(..., stochasticity={only:g}).",
            )  # fmt: skip


def _level(leg: Leg) -> str:
    return "" if leg.stochasticity is None else f"{leg.stochasticity:g}"


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
