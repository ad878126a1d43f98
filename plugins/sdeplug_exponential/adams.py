r"""Exponential Adams under its own name and under those of the methods that it contains.

Each is :class:`sdeplug_exponential.multistep.Memory` with a rule: any grid, any linear SDE, one
evaluation a step.  The memory is only used when a step continues the one before it: after a
corrector has moved the state, the method starts afresh.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

from sdeplug import ArgumentError, Claims, LinearSDE, ReverseSDE, Run, option
from sdeplug_exponential.multistep import Memory, Remembering, Rule
from sdeplug_exponential.prediction import DATA, NOISE
from sdeplug_exponential.reevaluated import Reevaluated
from sdeplug_exponential.weights import exact_slope, mean_slope, taylor_slope

_WITH_NOISE, _STARTED = 2, 3  # the highest orders that noise, and the first steps, leave


class Multistep(Remembering):
    """An exponential multistep method: what its rule says.

    Attributes:
        quiet: whether it follows the probability flow, whatever the stochasticity.
    """

    quiet: ClassVar[bool] = False

    @property
    @abstractmethod
    def rule(self) -> Rule:
        """Which values a step uses."""

    @property
    def claims(self) -> Claims:
        """Weak order 2 at most with noise, 3 without: the first steps have no better."""
        rule = self.rule
        order = max(rule.predictor, min(rule.corrector, rule.predictor + 1))
        order = min(order, _STARTED if self.quiet else _WITH_NOISE)
        return Claims(
            order=order,
            strong_order=None if self.quiet else 1,
            stochastic=not self.quiet,
            evaluations=1,
            needs=LinearSDE,
        )

    def memory(self, reverse: ReverseSDE, run: Run) -> Memory:
        """That of the rule."""
        return Memory(self.rule, reverse, run, self.quiet)


@dataclass(frozen=True)
class Adams(Multistep):
    """Exponential Adams, predict-evaluate-correct: any orders, any stochasticity."""

    predictor: int = option(3, help="values of the prediction", ge=1, le=4)
    corrector: int = option(3, help="values of the correction; 0 for none", ge=0, le=5)
    mean_slope: bool = option(False, help="two values: slope at the middle, as DPM-Solver++ 2M")
    knee: float = option(
        0.0, help="sigma / alpha below which D is smooth in it, rather than in its log", ge=0.0
    )
    noise_prediction: bool = option(False, help="values of the noise in x, not of the data")
    pece: bool = option(
        False, help="ask the model again after each correction: two evaluations a step"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pece and not self.corrector:
            raise ArgumentError(
                "corrector", 0, "from 2 to 5 with pece", "Without a correction there is no second."
            )
        if self.mean_slope and self.knee:
            raise ArgumentError("knee", self.knee, "0 with mean_slope", "That rule has no knee.")
        if self.mean_slope and self.noise_prediction:
            raise ArgumentError(
                "noise_prediction",
                True,
                "False with mean_slope",
                "That rule is one for values of the data.",
            )
        if self.corrector == 1:
            raise ArgumentError("corrector", 1, "0, or from 2 to 5", "0 leaves the correction out.")

    @property
    def rule(self) -> Rule:
        """That of the options."""
        slope = mean_slope if self.mean_slope else exact_slope
        values = NOISE if self.noise_prediction else DATA
        return Rule(self.predictor, self.corrector, slope, self.knee, values)

    @property
    def claims(self) -> Claims:
        """With two evaluations a step, none where the first has no step to correct."""
        return replace(super().claims, evaluations=None) if self.pece else super().claims

    def memory(self, reverse: ReverseSDE, run: Run) -> Memory:
        """That of the rule; values at corrected states where they are asked for."""
        return (Reevaluated if self.pece else Memory)(self.rule, reverse, run)


@dataclass(frozen=True)
class DDIM(Multistep):
    """Exponential Euler along the probability flow: DDIM with eta = 0, DPM-Solver-1.

    Song et al., arXiv 2010.02502, equation 12; Lu et al., arXiv 2206.00927, section 4.1.
    """

    quiet: ClassVar[bool] = True

    @property
    def rule(self) -> Rule:
        """One value."""
        return Rule(1)


@dataclass(frozen=True)
class DPMpp2M(Multistep):
    """DPM-Solver++ 2M along the probability flow; Lu et al., arXiv 2211.01095, algorithm 2."""

    quiet: ClassVar[bool] = True

    @property
    def rule(self) -> Rule:
        """Two values, the slope at the middle."""
        return Rule(2, slope=mean_slope)


@dataclass(frozen=True)
class DPMpp2MSDE(Multistep):
    """DPM-Solver++ 2M for the SDE, at any stochasticity; arXiv 2211.01095, appendix."""

    @property
    def rule(self) -> Rule:
        """Two values, the slope at the middle."""
        return Rule(2, slope=mean_slope)


@dataclass(frozen=True)
class DPMpp3M(Multistep):
    """DPM-Solver++ with three values along the probability flow; of order 3.

    Lu et al., arXiv 2211.01095, section 4.2.  Programs in use halve the weight of the second
    difference, which leaves order 2; here it has the whole.
    """

    quiet: ClassVar[bool] = True

    @property
    def rule(self) -> Rule:
        """Three values."""
        return Rule(3)


@dataclass(frozen=True)
class DEIS(Multistep):
    """DEIS along the probability flow: the noise is a polynomial in the log of sigma / alpha.

    Zhang & Chen, arXiv 2204.13902, equation 14; in the variable that diffusers takes.
    """

    quiet: ClassVar[bool] = True

    order: int = option(3, help="values that are used", ge=1, le=4)

    @property
    def rule(self) -> Rule:
        """As many values of the noise as the order."""
        return Rule(self.order, prediction=NOISE)


@dataclass(frozen=True)
class SDEDPM(Multistep):
    """SDE-DPM-Solver-1, at any stochasticity: exponential Euler with the noise held.

    Lu et al., arXiv 2211.01095, section 5; the ``ito`` of azula.
    """

    @property
    def rule(self) -> Rule:
        """One value of the noise."""
        return Rule(1, prediction=NOISE)


@dataclass(frozen=True)
class UniPC(Multistep):
    """UniPC with B_2 along the probability flow; Zhao et al., arXiv 2302.04867."""

    quiet: ClassVar[bool] = True

    order: int = option(3, help="values of the prediction; the correction has one more", ge=1, le=4)

    @property
    def rule(self) -> Rule:
        """As many values as the order, one more in the correction."""
        return Rule(self.order, self.order + 1, mean_slope)


@dataclass(frozen=True)
class SASolver(Multistep):
    """SA-Solver, at any stochasticity tau; Xue et al., arXiv 2309.05019, algorithm 1."""

    predictor: int = option(2, help="values of the prediction", ge=1, le=4)
    corrector: int = option(2, help="values of the correction; 0 for none", ge=0, le=5)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.corrector == 1:
            raise ArgumentError("corrector", 1, "0, or from 2 to 5", "0 leaves the correction out.")

    @property
    def rule(self) -> Rule:
        """That of the options, with the published rule for two values."""
        return Rule(self.predictor, self.corrector, taylor_slope)
