r"""Reverse diffusion: the forward transition kernel, discretised backwards.

With the forward transition :math:`x_t = A x_s + G z` over the step,

.. math:: x' = (2 - A)\,x + \tfrac{1 + l^2}{2} G^2 s(x, t) + l\,G\,z.

Song et al., arXiv 2011.13456, equation 46 in appendix E; one evaluation, weak and
strong order 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from sdeplug import Claims, Integrator, LinearSDE, ReverseSDE, Run
from sdeplug_song.reference import forward_step, reference_steps


@dataclass(frozen=True)
class ReverseDiffusion(Integrator):
    """One reverse-diffusion step; any linear SDE, any stochasticity."""

    reference_steps: int | None = reference_steps()

    @property
    def claims(self) -> Claims:
        """Weak and strong order 1; none with ``reference_steps``, whose steps have one length."""
        order = 1 if self.reference_steps is None else None
        return Claims(order=order, strong_order=order, evaluations=1, needs=LinearSDE)

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """Carry x ~ p_t to s in one step."""
        mean, std = self.kernel(reverse, x, t, s)
        return mean + std * run.noise.normal(x) if std else mean

    def kernel(self, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> tuple[Tensor, float]:
        """Mean, shape ``(B, *D)``, and standard deviation of the step's normal law."""
        forward, level = reverse.linear, reverse.level(t)
        scale, variance = (
            forward.transition(s, t)
            if self.reference_steps is None
            else forward_step(forward, t, self.reference_steps)
        )
        weight = 0.5 * (1.0 + level**2) * variance
        kept = x if scale == 1.0 else (2.0 - scale) * x
        return kept + weight * reverse.score(x, t), level * math.sqrt(variance)
