r"""What a network gets, and what is made of its output: scalings of the field.

Reference: Song et al., arXiv 2011.13456, appendix H (output over sigma); Karras et al.,
arXiv 2206.00364, table 1 (EDM).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError
from sdeplug.score import Label, Labelled, LogSNRLabel
from sdeplug.sde import LinearSDE, expand, in_float32


class OverSigma(Labelled):
    """A network of (x, label) whose output is divided by sigma: it predicts a score.

    The reference's scaling of NCSN++, for networks that do not divide by themselves.
    """

    def forward(self, x: Tensor, t: Tensor, **conditions: object) -> Tensor:
        """The score: x of shape ``(B, *D)``, t of shape ``(B,)``, and the network's conditions."""
        output = super().forward(x, t, **conditions)
        sigma = self.sde.sigma(t.to(torch.float64))
        return output / expand(sigma.to(in_float32(x).dtype), x)


class Preconditioned(Labelled):
    r"""A network F of (x, label) as a denoiser whose input and output have variance 1 at any level.

    With data of standard deviation s and :math:`q = \alpha^2 s^2 + \sigma^2`,

    .. math:: D(x, t) = \frac{\alpha s^2}{q}\,x
              + \frac{\sigma s}{\sqrt q}\,F\big(x / \sqrt q,\ \text{label}\big),

    which at alpha = 1 is that of EDM.  It depends on x / alpha and the log-SNR alone where the
    label does: such a network serves any schedule.

    Args:
        network: callable (x, label), such as :class:`SmallUNet`.
        sde: the linear SDE that it is trained or used with.
        data_std: s.
        label: what the network is told; EDM's own networks have ``LogSigmaLabel(0.25)``.

    Raises:
        ArgumentError: unless data_std is above 0.
    """

    def __init__(
        self,
        network: Callable[..., Tensor],
        sde: LinearSDE,
        data_std: float = 0.5,
        label: Label = LogSNRLabel(),  # noqa: B008  a value
    ) -> None:
        super().__init__(network, sde, label)
        if not data_std > 0.0:
            raise ArgumentError("data_std", data_std, "above 0", "EDM has 0.5, of images.")
        self.data_std = float(data_std)

    def forward(self, x: Tensor, t: Tensor, **conditions: object) -> Tensor:
        """The denoised x: x of shape ``(B, *D)``, t of shape ``(B,)``, and the conditions."""
        wide, times, s = in_float32(x), t.to(torch.float64), self.data_std
        alpha, sigma = self.sde.alpha(times), self.sde.sigma(times)
        norm = (alpha * s).square() + sigma.square()
        coefficients = (norm.rsqrt(), alpha * s * s / norm, sigma * s * norm.rsqrt())
        shrink, skip, out = (expand(each.to(wide.dtype), x) for each in coefficients)
        output = super().forward((shrink * wide).to(x.dtype), t, **conditions)
        return (skip * wide + out * output.to(wide.dtype)).to(x.dtype)

    def around(self, network: Callable[..., Tensor]) -> Preconditioned:
        """The same around another network of (x, label)."""
        return Preconditioned(network, self.sde, self.data_std, self.label)
