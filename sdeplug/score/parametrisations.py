r"""What turns networks that predict something else into score models.

A score model is any callable (x, t) -> grad_x log p_t(x).  With
:math:`x_t = \alpha x_0 + \sigma \epsilon` the usual networks are the score in other units:

.. math:: s = -\frac{\hat\epsilon}{\sigma}
            = \frac{\alpha \hat x_0 - x}{\sigma^2}
            = -\frac{\sigma x + \alpha \hat v}{\sigma (\alpha^2 + \sigma^2)}
            = \frac{2 (a x - \hat u)}{g^2},

for noise, denoised data, v = alpha epsilon - sigma x_0 (Salimans & Ho, arXiv 2202.00512) and
the velocity u = dx/dt of the probability flow (flow matching).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdeplug.errors import PairingError, brief, brief_fields
from sdeplug.score.checked import checked
from sdeplug.score.model import error_of, for_rows
from sdeplug.sde import LinearSDE, expand, in_float32


@dataclass(frozen=True)
class _Reparametrised(ABC):
    """A network in other units, and the SDE that says which.

    Attributes:
        network: callable (x, t) -> ``(B, *D)``; x of shape ``(B, *D)``, t of shape ``(B,)``.
        sde: the linear SDE that the network was trained for.

    Raises:
        PairingError: if a part is not what it should be.
    """

    network: Callable[[Tensor, Tensor], Tensor]
    sde: LinearSDE

    __repr__ = brief_fields

    def __post_init__(self) -> None:
        order = f"The order is {type(self).__name__}(network, sde)."
        if not isinstance(self.sde, LinearSDE):
            raise PairingError(
                f"sde = {brief(self.sde)}: must be a LinearSDE, such as VPSDE(), the one that the "
                f"network was trained for. {order}"
            )
        if not callable(self.network):
            raise PairingError(f"network = {self.network!r}: must be a callable (x, t). {order}")

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """The score: x of shape ``(B, *D)`` and t of shape ``(B,)`` to ``(B, *D)``.

        Raises:
            ScoreModelError: if the network returns anything but a tensor of the shape of x.
        """
        output = checked(self.network(x, t), x, type(self).__name__)
        wide = in_float32(x)
        return self._score(wide, output.to(wide.dtype), t.to(torch.float64)).to(x.dtype)

    @property
    def error(self) -> float | None:
        """Relative error of the noise that the network predicts, where it says so."""
        return error_of(self.network)

    def for_rows(self, rows: Tensor) -> _Reparametrised:
        """The same of the network for some rows of its batch: int64, shape ``(R,)``."""
        return replace(self, network=for_rows(self.network, rows))

    @abstractmethod
    def _score(self, x: Tensor, output: Tensor, t: Tensor) -> Tensor: ...

    def _like(self, coefficient: Tensor, x: Tensor) -> Tensor:
        return expand(coefficient.to(x.dtype), x)


class FromNoise(_Reparametrised):
    """The score of a network that predicts the noise epsilon: -epsilon / sigma.

    Ho et al., arXiv 2006.11239, equation 11; a network with other time labels is wrapped, as in
    ``FromNoise(lambda x, t: net(x, 999 * t), sde)``.
    """

    def _score(self, x: Tensor, output: Tensor, t: Tensor) -> Tensor:
        return output * self._like(-1.0 / self.sde.sigma(t), x)


class FromDenoiser(_Reparametrised):
    """The score of a network that predicts x_0: (alpha x_0 - x) / sigma^2 (Tweedie).

    Karras et al., arXiv 2206.00364, equation 3.
    """

    def _score(self, x: Tensor, output: Tensor, t: Tensor) -> Tensor:
        precision = self.sde.sigma(t).pow(-2)
        alpha = self._like(self.sde.alpha(t), x)
        return (alpha * output - x) * self._like(precision, x)


class FromVelocity(_Reparametrised):
    """The score of a network that predicts v = alpha epsilon - sigma x_0.

    Salimans & Ho, arXiv 2202.00512, appendix D, for any alpha and sigma.
    """

    def _score(self, x: Tensor, output: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = self.sde.alpha(t), self.sde.sigma(t)
        norm = alpha.square() + sigma.square()
        return x * self._like(-1.0 / norm, x) - output * self._like(alpha / (sigma * norm), x)


class FromFlow(_Reparametrised):
    """The score of a network that predicts u = dx/dt along the probability flow (flow matching).

    Song et al., arXiv 2011.13456, equation 13, solved for the score: 2 (a x - u) / g^2.
    """

    def _score(self, x: Tensor, output: Tensor, t: Tensor) -> Tensor:
        scale = self._like(2.0 / self.sde.diffusion(t).square(), x)
        return scale * (self._like(self.sde.drift_rate(t), x) * x - output)
