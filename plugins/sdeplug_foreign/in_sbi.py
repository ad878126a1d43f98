"""Any integrator as a predictor of sbi, which draws posteriors from learned scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from sdeplug import (
    VESDE,
    VPSDE,
    ArgumentError,
    Integrator,
    LinearSDE,
    ReverseSDE,
    Run,
    SubVPSDE,
    solver,
)
from sdeplug_foreign.borrowed import imported
from sdeplug_foreign.noise import Drawing

_SDES: Mapping[str, tuple[Callable[..., LinearSDE], tuple[str, ...]]] = MappingProxyType(
    {
        "VPScoreEstimator": (VPSDE, ("beta_min", "beta_max")),
        "SubVPScoreEstimator": (SubVPSDE, ("beta_min", "beta_max")),
        "VEScoreEstimator": (VESDE, ("sigma_min", "sigma_max")),
    }
)
"""The SDE of each estimator, with the options that both name alike."""


def register_in_sbi(name: str = "sdeplug") -> None:
    """Register a predictor with sbi, which takes any integrator.

    ``posterior.sample((1000,), predictor=name, steps=2, predictor_params={"integrator": ...})``
    then draws with it.  Of ``steps`` times from ``t_max`` to ``t_min``, two are the ends of the
    way: an integrator that brings its own grid takes it at once.  One of single steps makes one
    between neighbouring times.  Parameters: ``integrator``, a solver or its name; ``stochasticity``
    of the reverse SDE, 1 unless said.  Noise is drawn by torch, as sbi draws it.

    Args:
        name: what sbi shall call it.

    Raises:
        MissingExtraError: without sbi.
    """
    predictors = imported("sbi.samplers.score.predictors", "register_in_sbi", "")

    class Predictor(predictors.Predictor):  # type: ignore[misc,name-defined]
        def __init__(
            self, potential_fn: Any, integrator: Integrator | str, stochasticity: float = 1.0
        ) -> None:
            super().__init__(potential_fn)
            by: Any = solver(integrator) if isinstance(integrator, str) else integrator
            if not isinstance(by, Integrator):
                raise ArgumentError("integrator", integrator, "an integrator, or the name of one")
            sde = sde_of_estimator(potential_fn.vector_field_estimator)
            self.by, self.reverse = by, ReverseSDE(sde, _score(potential_fn), stochasticity)
            self.reached: float | None = None

        def predict(self, theta: Tensor, t1: Tensor, t0: Tensor) -> Tensor:
            t, s = float(t1), float(t0)
            if t != self.reached:  # a new way, to the posterior of another observation perhaps
                by = self.by.settled(self.reverse, theta, t, s)
                self.advance = by.begin(self.reverse, Run(Drawing()))
            self.reached = s
            return self.advance(theta, t, s)

    predictors.register_predictor(name)(Predictor)


def sde_of_estimator(estimator: Any) -> LinearSDE:
    """The forward SDE of an estimator of sbi.

    Raises:
        ArgumentError: for an estimator of another kind than VP, sub-VP and VE.
    """
    for each in type(estimator).__mro__:
        if each.__name__ in _SDES:
            made, options = _SDES[each.__name__]
            known: dict[str, Any] = {
                option: float(getattr(estimator, option)) for option in options
            }
            return made(**known, T=float(estimator.t_max), eps=float(estimator.t_min))
    raise ArgumentError(
        "estimator", type(estimator).__name__, f"one of {', '.join(_SDES)}",
        "NPSE trains them: sde_type='vp', 'subvp' or 've'.",
    )  # fmt: skip


def _score(potential_fn: Any) -> Callable[[Tensor, Tensor], Tensor]:
    """The score of the posterior: sbi is asked at one time, or one for each row where it can."""
    several = getattr(potential_fn, "x_is_iid", False) or getattr(
        potential_fn, "guidance_method", None
    )

    def score(theta: Tensor, t: Tensor) -> Tensor:
        times = t.to(theta.dtype)
        if bool((times == times[0]).all()):
            times = times[:1]
        elif several:  # what sbi makes of many observations knows one time
            rows = zip(theta, times, strict=True)
            return torch.cat([potential_fn.gradient(row[None], time[None]) for row, time in rows])
        else:
            extra = theta.ndim - 1 - len(potential_fn.vector_field_estimator.input_shape)
            times = times.reshape(-1, *(1,) * extra)
        asked: Tensor = potential_fn.gradient(theta, times)
        return torch.broadcast_to(asked, theta.shape)

    return score
