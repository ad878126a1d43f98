r"""Methods of torchsde with steps of equal length.

With :math:`h = t - s`, drift :math:`b = f - \tfrac{1 + l^2}{2} g^2 \nabla \log p`, noise
:math:`G = l g` and the increment dW of a step, ``sde-euler`` is Euler-Maruyama and

* ``sde-heun``: :math:`x' = x - \tfrac h2 (b_t(x) + b_s(\tilde x)) + \tfrac12 (G_t + G_s)\,dW`,
  :math:`\tilde x = x - h\,b_t(x) + G_t\,dW`;
* ``sde-midpoint``: :math:`x' = x - h\,b_m(\tilde x) + G_m\,dW`, :math:`m = (t + s) / 2`,
  :math:`\tilde x = x - \tfrac h2 b_t(x) + \tfrac12 G_t\,dW`;
* ``srk``: the method SRA1 of Roessler, SIAM J. Numer. Anal. 48 (2010), 922-952, which needs the
  integral of W over the step, too.

G depends on time alone: the Ito and the Stratonovich form of the SDE are one, ``milstein`` is
``sde-euler`` and ``log-ode`` is ``sde-midpoint``.
X. Li, T.-K. L. Wong, R. T. Q. Chen, D. Duvenaud, "Scalable gradients for stochastic differential
equations", arXiv 2001.01328; P. Kidger, J. Foster, X. Li, T. Lyons, arXiv 2105.13493.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from sdeplug import Advance, Claims, Integrator, ReverseSDE, Run, option
from sdeplug_torchsde.clock import Clock
from sdeplug_torchsde.memory import Memory
from sdeplug_torchsde.method import (
    EULER,
    HEUN,
    LOG_ODE,
    MIDPOINT,
    MILSTEIN,
    REVERSIBLE_HEUN,
    SRK_ADDITIVE,
    Method,
)
from sdeplug_torchsde.solving import Call
from sdeplug_torchsde.watch import Ledger, Watch


@dataclass(frozen=True)
class _Fixed(Integrator):
    """Equal steps over the span."""

    method: ClassVar[Method]

    steps: int = option(1, help="equal steps over the span", ge=1)

    @property
    def claims(self) -> Claims:
        """Orders of the method; its evaluations, times the steps."""
        method = self.method
        return Claims(
            order=method.order,
            strong_order=method.strong_order,
            evaluations=self.steps * method.evaluations + method.extra,
        )

    @property
    def needs_grid(self) -> bool:
        """Whether the number of steps was left at one."""
        return self.steps == 1

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """Carry x ~ p_t to s in equal steps; reports the times between, where it knows them."""
        return self._call(reverse, x, t, s, run).fixed()

    def begin(self, reverse: ReverseSDE, run: Run) -> Advance:
        """Start a sequence of spans; single steps share what torchsde builds for each call."""
        if self.steps > 1:
            return super().begin(reverse, run)
        calls: list[Call] = []

        def advance(x: Tensor, t: float, s: float) -> Tensor:
            if calls and calls[0].like(x):
                calls[0].again(x, Clock.counting(t, s, 1))
            else:
                calls[:] = [self._call(reverse, x, t, s, run)]
            return calls[0].step()

        return advance

    def _call(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Call:
        watch = Watch(run, Clock.counting(t, s, self.steps))
        return Call(self.method, reverse, x, watch, Memory(1))


@dataclass(frozen=True)
class _Stratonovich(_Fixed):
    """Equal steps, with the adjoint: torchsde follows that of an Ito method by Euler steps only."""

    adjoint: bool = option(False, help="gradients by the adjoint SDE, in less memory")

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """As without adjoint; where gradients are wanted, none of the steps keeps its graph."""
        if not (self.adjoint and torch.is_grad_enabled()):
            return super().integrate(reverse, x, t, s, run)
        watch = Ledger(run, Clock.counting(t, s, self.steps))
        return Call(self.method, reverse, x, watch, Memory(1, alias=True)).with_adjoint()

    def begin(self, reverse: ReverseSDE, run: Run) -> Advance:
        """As without adjoint; with it each span is a call."""
        if not (self.adjoint and torch.is_grad_enabled()):
            return super().begin(reverse, run)
        return Integrator.begin(self, reverse, run)


@dataclass(frozen=True)
class Euler(_Fixed):
    """Euler-Maruyama: one evaluation, weak and strong order 1."""

    method: ClassVar[Method] = EULER


@dataclass(frozen=True)
class Milstein(_Fixed):
    """Milstein's method, which is Euler-Maruyama where the noise does not depend on the state."""

    method: ClassVar[Method] = MILSTEIN


@dataclass(frozen=True)
class SRK(_Fixed):
    """Roessler's SRA1: two evaluations, weak order 2, strong order 1.5."""

    method: ClassVar[Method] = SRK_ADDITIVE


@dataclass(frozen=True)
class Heun(_Stratonovich):
    """Stochastic Heun: two evaluations, weak order 2, strong order 1."""

    method: ClassVar[Method] = HEUN


@dataclass(frozen=True)
class Midpoint(_Stratonovich):
    """Stochastic midpoint rule: two evaluations, weak and strong order 1."""

    method: ClassVar[Method] = MIDPOINT


@dataclass(frozen=True)
class LogODE(_Stratonovich):
    """Log-ODE with the midpoint rule, which is the midpoint rule where areas do not matter."""

    method: ClassVar[Method] = LOG_ODE


@dataclass(frozen=True)
class ReversibleHeun(_Stratonovich):
    """Reversible Heun: one evaluation a step and one more, gradients exact with the adjoint."""

    method: ClassVar[Method] = REVERSIBLE_HEUN
