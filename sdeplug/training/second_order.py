r"""Second order: beside the score, the diagonal of its Jacobian.

The noise that is left in :math:`x_t`, given x_t, has a variance in each coordinate,

.. math:: V = \mathrm{Var}(\epsilon_i | x_t) = 1 + \sigma^2\,\partial_i s_i,

so that a network with a second head for V knows the diagonal of the score's Jacobian at the cost
of its last layer.  V is also what the best variance of a reverse step is made of.

Reference: Meng et al., arXiv 2111.04726, theorem 1; Bao et al., arXiv 2206.07309, section 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.noise import NoiseSource
from sdeplug.options import option
from sdeplug.sde import LinearSDE
from sdeplug.training.denoising import DenoisingLoss
from sdeplug.training.loss import Network, like, noised, two_halves


@dataclass(frozen=True, repr=False)
class SecondOrderLoss(DenoisingLoss):
    """Denoising score matching of the score and of the diagonal of its Jacobian.

    The network has twice the channels: the prediction, then V.  Added to the loss of the
    prediction is the squared error of V as a prediction of the squared error of the noise, which
    is a constant here: no gradient flows from V's target to the prediction.

    Where the prediction is right, the least loss is at V = 1 + sigma^2 diag(ds/dx); a prediction
    that is off by d raises V by d^2 alone.
    """

    second: float = option(1.0, help="factor of the loss of V", ge=0.0)

    def __call__(self, network: Network, x0: Tensor, noise: NoiseSource) -> Tensor:
        """The loss of each row of x0, shape ``(B, C, *D)``: shape ``(B,)``."""
        state = noised(self.sde, self.times, x0, noise)
        output, variance = two_halves(state.says(network), state.x, "the variance of the noise")
        first = self.of_output(state, output)
        t = state.drawn.t
        noise_of = self.parametrisation.units(self.sde, t).of_output * self.sde.sigma(t)
        squared = (like(noise_of, output) * self.error(state, output.detach())).square()
        second = self.reduced((variance - squared).square())
        return first + like(self.second * state.drawn.weight, second) * second


def jacobian_diagonal(sde: LinearSDE, variance: Tensor, t: Tensor) -> Tensor:
    """The diagonal of the score's Jacobian, ds_i/dx_i, from the second head of a network.

    Args:
        sde: the linear SDE.
        variance: V, shape ``(B, *D)``.
        t: times, shape ``(B,)``.

    Returns:
        (V - 1) / sigma^2, shape ``(B, *D)``.
    """
    precision = sde.sigma(t.to(torch.float64)).pow(-2)
    return (variance - 1.0) * like(precision, variance)
