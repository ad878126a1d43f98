r"""Implicit score matching: the squared error of the score, without a word of the noise.

.. math:: E\,\big[\tfrac12 \|s_\theta\|^2 + \mathrm{tr}\,\partial s_\theta / \partial x\big]
          = \tfrac12\,E\,\|s_\theta - \nabla \log p_t\|^2 + \mathrm{const}.

Reference: Hyvärinen, JMLR 6 (2005), theorem 1; sliced: Song et al., arXiv 1905.07088.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.noise import NoiseSource
from sdeplug.options import option
from sdeplug.score import Exact, Hutchinson, Jacobian, Trace
from sdeplug.training.denoising import DenoisingLoss
from sdeplug.training.loss import Network, like, noised

Sliced = Hutchinson
"""The name that it has in score matching: Song et al., arXiv 1905.07088, equation 8."""


@dataclass(frozen=True, repr=False)
class ImplicitLoss(DenoisingLoss):
    """|s|^2 / 2 + tr(ds/dx), weighted: over its least value it is that of :class:`DenoisingLoss`.

    The two have the same minimiser and the same mean gradient.  This one costs a gradient of a
    gradient, and does not vary with the noise of its target where sigma is small.  Its value may
    be negative.
    """

    trace: Trace = option(Exact(), help="how the divergence is found")

    def __call__(self, network: Network, x0: Tensor, noise: NoiseSource) -> Tensor:
        """The loss of each row of x0, shape ``(B, *D)``: shape ``(B,)``."""
        graph = torch.is_grad_enabled()
        with torch.enable_grad():
            state = noised(self.sde, self.times, x0, noise)
            x = state.x.detach().requires_grad_()
            score = self.parametrisation(network, self.sde)(x, state.time)
            directions = self.trace.directions(x.detach(), noise)
            divergence = self.trace.of(Jacobian(score, x, graph=True), directions).mean(0)
            squared = 0.5 * score.square().reshape(len(x), -1).sum(1)
            weight = self.weighting.at(self.sde, state.drawn.t, self.parametrisation)
            rows = (squared + divergence) * like(weight * state.drawn.weight, squared)
            if self.mean:  # as elsewhere: twice the half sum, over the number of coordinates
                rows = rows * (2.0 / x[0].numel())
        return rows if graph else rows.detach()
