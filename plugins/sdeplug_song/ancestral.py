r"""Ancestral sampling: the exact posterior p(x_s | x_t, x_0) at the predicted x_0.

With the forward transition :math:`x_t = A x_s + G z` over the step,
:math:`\rho = (A \sigma_s / \sigma_t)^2` and stochasticity l,

.. math:: x' = \frac{x + (1 - \rho^{(1 + l^2)/2})\, \sigma_t^2 s(x, t)}{A}
               + \sigma_s \sqrt{1 - \rho^{l^2}}\, z.

l = 1 is DDPM (Ho et al., arXiv 2006.11239, equations 6 and 7; the mean is x plus the transition
variance times the score, over A), l = 0 is DDIM (arXiv 2010.02502).  One evaluation, weak
and strong order 1, exact for a point mass of data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug import ArgumentError, Claims, Integrator, LinearSDE, ReverseSDE, Run, option
from sdeplug_song.reference import forward_step, levels, reference_steps


@dataclass(frozen=True)
class Ancestral(Integrator):
    """One ancestral step; any linear SDE, any stochasticity."""

    large_variance: bool = option(
        False, help="noise of the transition variance, not of the posterior's (both are DDPM)"
    )
    reference_steps: int | None = reference_steps()

    @property
    def claims(self) -> Claims:
        """Weak and strong order 1; none with ``reference_steps``, whose steps have one length."""
        order = 1 if self.reference_steps is None else None
        return Claims(order=order, strong_order=order, evaluations=1, needs=LinearSDE)

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """Carry x ~ p_t to s in one step; raises what :meth:`kernel` does."""
        mean, std = self.kernel(reverse, x, t, s)
        return torch.add(mean, run.noise.normal(x), alpha=std) if std else mean

    def kernel(self, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> tuple[Tensor, float]:
        """Mean, shape ``(B, *D)``, and standard deviation of the step's normal law.

        Raises:
            ArgumentError: for ``reference_steps`` with a stochasticity that is not 1.
            PairingError: for ``reference_steps`` with an SDE that has no discrete chain.
        """
        scale, weight, std = (
            self._posterior(reverse, t, s)
            if self.reference_steps is None
            else self._tabulated(reverse, t, self.reference_steps)
        )
        return torch.add(x, reverse.score(x, t), alpha=weight) / scale, std

    def _posterior(self, reverse: ReverseSDE, t: float, s: float) -> tuple[float, float, float]:
        """Scale A, weight of the score, standard deviation of the noise."""
        forward, zeta = reverse.linear, reverse.level(t) ** 2
        late, early = forward.at(t), forward.at(s)
        scale, variance = forward.transition(s, t)
        log_rho = late.log_snr - early.log_snr
        weight = -(late.sigma**2) * math.expm1(0.5 * (1.0 + zeta) * log_rho)
        if zeta == 0.0:
            return scale, weight, 0.0
        if self.large_variance:
            return scale, weight, math.sqrt(zeta * variance)
        return scale, weight, early.sigma * math.sqrt(-math.expm1(zeta * log_rho))

    def _tabulated(self, reverse: ReverseSDE, t: float, steps: int) -> tuple[float, float, float]:
        if reverse.level(t) != 1.0:
            raise ArgumentError(
                "stochasticity", reverse.level(t), "1 with reference_steps",
                "Leave reference_steps out: any stochasticity works then.",
            )  # fmt: skip
        now, next_ = levels(reverse.linear, t, steps)
        scale, variance = forward_step(reverse.linear, t, steps)
        std = math.sqrt(variance) if self.large_variance else math.sqrt(variance) * next_ / now
        return scale, variance, std
