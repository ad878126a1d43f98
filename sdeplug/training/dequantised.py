r"""Training on whole numbers: uniform noise makes a density of their probabilities.

With :math:`u` uniform on a cube of the volume of one level around 0,

.. math:: E_u \log p(x + u) \le \log \int p(x + u)\,du = \log P(x),

so that a density of the noisy numbers bounds the probability of the whole ones.

Reference: Theis et al., arXiv 1511.01844, section 3.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.noise import NoiseSource
from sdeplug.options import Configured, option


@dataclass(frozen=True)
class Dequantised(Configured):
    """A loss of data that are whole numbers, each moved by uniform noise of one level first.

    The noise is fresh in every step, and centred: the mean of the data stays.
    """

    loss: Callable[..., Tensor] = option(help="loss(network, x0, noise): a number for each row")
    level: float = option(help="distance of neighbouring whole numbers, as the network sees them",
                          gt=0.0)  # fmt: skip

    @property
    def sde(self) -> object:
        """The SDE of the loss, where it has one."""
        return getattr(self.loss, "sde", None)

    def __call__(self, network: Callable[..., Tensor], x0: Tensor, noise: NoiseSource) -> Tensor:
        """The loss of each row of x0, shape ``(B, *D)``: shape ``(B,)``."""
        uniform = torch.special.ndtr(noise.normal(x0)) - 0.5
        return self.loss(network, x0 + self.level * uniform, noise)
