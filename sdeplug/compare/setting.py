"""What is compared on: the problem, the budgets, the seeds and the metrics, all checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sdeplug.compare.conditions import Conditions
from sdeplug.compare.flow import NAME
from sdeplug.compare.problem import Problem
from sdeplug.errors import ArgumentError, PluginError, argument_type
from sdeplug.metrics import BUILTIN, FeatureFrechet, Metric
from sdeplug.noise import SharedNoise
from sdeplug.registry import metric, registry, to_spec
from sdeplug.sde import LinearSDE
from sdeplug.targets import Target

Metrics = str | Metric | Sequence[str | Metric] | Mapping[str, Metric] | None
"""One or several, by name or as they are; None: those that suit the target."""


@dataclass(frozen=True)
class Setting:
    """Everything but the solvers that decides the numbers of a comparison.

    Attributes:
        problem: the law, the forward SDE, the score.
        nfe: budgets of score evaluations.
        seeds: one repetition for each.
        metrics: names and metrics; the first one ranks.
        samples: how many in a run.
        conditions: grid, sizes of the error of the score, stochasticity.
    """

    problem: Problem
    nfe: tuple[int, ...]
    seeds: tuple[int, ...]
    metrics: tuple[tuple[str, Metric], ...]
    samples: int
    conditions: Conditions

    def __post_init__(self) -> None:
        if isinstance(self.samples, bool) or not isinstance(self.samples, int) or self.samples < 2:
            raise ArgumentError("samples", self.samples, "a whole number of at least 2")
        if not isinstance(self.conditions, Conditions):
            argument_type("conditions", self.conditions, "a Conditions", "Conditions() is one.")

    @property
    def target(self) -> Target:
        """The law that samples should have at time 0."""
        return self.problem.target

    @property
    def sde(self) -> LinearSDE:
        """The forward SDE."""
        return self.problem.sde

    def to_spec(self) -> dict[str, Any]:
        """Plain data, for the file and the page."""
        return {
            "target": repr(self.target),
            "score": "network" if self.problem.network else "exact",
            "shape": list(self.target.shape),
            "sde": plain(self.sde),
            "nfe": list(self.nfe),
            "seeds": list(self.seeds),
            "metrics": self._measures(),
            "grid": plain(self.conditions.grid),
            "samples": self.samples,
            "score_errors": list(self.conditions.score_errors),
            "stochasticity": self.conditions.stochasticity,
        }

    def _measures(self) -> list[dict[str, Any]]:
        """All that is measured, in the order of the columns."""
        found = [
            {"name": name, "settings": plain(each), "higher_is_better": each.higher_is_better}
            for name, each in self.metrics
        ]
        flow = self.conditions.flow
        own = {"name": NAME, "settings": plain(flow), "higher_is_better": False}
        return found if flow is None else [*found, own]


def metrics_of(given: Metrics, target: Target) -> tuple[tuple[str, Metric], ...]:
    """Metrics with their names; None: those of sdeplug that suit the target.

    Raises:
        SdeplugError: for a name that nothing has, two metrics of one name, one that does not suit
            the target, or features that are none.
    """
    if given is None:
        # Energy distances are the noisiest of all: only where nothing else says anything.
        names = [name for name, cls in BUILTIN.items() if cls.suits(target)]
        given = names[:-1] if len(names) > 1 else names
    if isinstance(given, (str, Metric)):
        given = (given,)
    if not isinstance(given, (Mapping, Sequence)):
        argument_type("metrics", given, "names, or Metrics", "FeatureFrechet(features) is one.")
    pairs = list(given.items()) if isinstance(given, Mapping) else [_named(each) for each in given]
    if not pairs or len(dict(pairs)) < len(pairs):
        raise ArgumentError("metrics", given, "at least one, with names that differ")
    for name, each in pairs:
        if not isinstance(each, Metric):
            argument_type("metrics", each, "a name, or a Metric", "SlicedW2() is one.")
        if not each.suits(target):
            fit = ", ".join(name for name, cls in BUILTIN.items() if cls.suits(target))
            raise ArgumentError("metrics", name, f"one that suits {target!r}", f"Try {fit}.")
        if isinstance(each, FeatureFrechet):
            each.of(target.sample(2, noise=SharedNoise(0)))  # what is wrong with them is told now
    return tuple(pairs)


def plain(value: object) -> Any:
    """Plain data where there is a name for everything, else the representation."""
    try:
        return to_spec(value)
    except (ArgumentError, PluginError):
        return repr(value)


def _named(each: str | Metric) -> tuple[str, Metric]:
    if isinstance(each, str):
        return each, metric(each)
    try:
        return registry().name_of(type(each)).partition("/")[2], each
    except PluginError:
        return type(each).__name__, each
