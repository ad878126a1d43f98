r"""Euler-Maruyama on the reverse SDE.

.. math:: x' = x - h\,[f - \tfrac{1 + l^2}{2} g^2 s](x, t) + l g \sqrt{h}\, z, \qquad h = t - s.

Song et al., arXiv 2011.13456, appendix E; one evaluation, weak and strong order 1 (the noise is
additive).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from sdeplug import Claims, Integrator, ReverseSDE, Run
from sdeplug_song.reference import reference_steps


@dataclass(frozen=True)
class EulerMaruyama(Integrator):
    """One Euler-Maruyama step; any forward SDE, any stochasticity."""

    reference_steps: int | None = reference_steps()

    @property
    def claims(self) -> Claims:
        """Order 1; none with ``reference_steps``, whose steps have one length on every grid."""
        if self.reference_steps is None:
            return Claims(order=1, strong_order=1, evaluations=1)
        return Claims(evaluations=1)

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """Carry x ~ p_t to s in one step."""
        mean, std = self.kernel(reverse, x, t, s)
        return mean + std * run.noise.normal(x) if reverse.level(t) else mean

    def kernel(
        self, reverse: ReverseSDE, x: Tensor, t: float, s: float
    ) -> tuple[Tensor, float | Tensor]:
        """Mean, shape ``(B, *D)``, and standard deviation of the step's normal law.

        The second broadcasts against x where the noise of the SDE is diagonal.
        """
        steps = self.reference_steps
        h = t - s if steps is None else reverse.forward.T / steps
        mean = x - h * reverse.drift(x, t)
        return mean, math.sqrt(h) * reverse.diffusion(t, x)
