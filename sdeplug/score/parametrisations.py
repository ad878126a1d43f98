r"""What turns networks that predict something else into score models.

A score model is any callable (x, t) -> grad_x log p_t(x).  With
:math:`x_t = \alpha x_0 + \sigma \epsilon` the usual networks are the score in other units:

.. math:: s = -\frac{\hat\epsilon}{\sigma}
            = \frac{\alpha \hat x_0 - x}{\sigma^2}
            = -\frac{\sigma x + \alpha \hat v}{\sigma (\alpha^2 + \sigma^2)}
            = \frac{2 (a x - \hat u)}{g^2},

for noise, denoised data, v = alpha epsilon - sigma x_0 (Salimans & Ho, arXiv 2202.00512) and
the velocity u = dx/dt of the probability flow (flow matching).

Each is two functions of time, the factors of what the network says and of x in the score.  What
a network is trained to say follows from them: that which makes the score -epsilon / sigma.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from sdeplug.errors import PairingError, brief, brief_fields
from sdeplug.score.checked import checked
from sdeplug.score.model import error_of, for_rows
from sdeplug.sde import LinearSDE, expand, in_float32


class Units(NamedTuple):
    """How a network's output becomes the score at B times: output * of_output + x * of_x.

    Attributes:
        of_output: factor of what the network says: float64, shape ``(B,)``.
        of_x: factor of the state, likewise; None where the state does not enter.
    """

    of_output: Tensor
    of_x: Tensor | None


@dataclass(frozen=True)
class Parametrisation(ABC):
    """A network in some units, and the SDE that says which: a score model.

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
        units = self.units(self.sde, t.to(torch.float64))
        score = output.to(wide.dtype) * _like(units.of_output, wide)
        if units.of_x is not None:
            score = score + wide * _like(units.of_x, wide)
        return score.to(x.dtype)

    @property
    def error(self) -> float | None:
        """Relative error of the noise that the network predicts, where it says so."""
        return error_of(self.network)

    def for_rows(self, rows: Tensor) -> Parametrisation:
        """The same of the network for some rows of its batch: int64, shape ``(R,)``."""
        return replace(self, network=for_rows(self.network, rows))

    @staticmethod
    @abstractmethod
    def units(sde: LinearSDE, t: Tensor) -> Units:
        """How the network's output becomes the score.

        Args:
            sde: the linear SDE that the network was trained for.
            t: times, float64, shape ``(B,)``.
        """

    @classmethod
    def target(cls, sde: LinearSDE, x0: Tensor, epsilon: Tensor, t: Tensor) -> Tensor:
        """What the network is trained to say of x_t = alpha x_0 + sigma epsilon.

        It is the output that makes the score -epsilon / sigma, whose mean given x_t is the score.

        Args:
            sde: the linear SDE.
            x0: data, shape ``(B, *D)``, float32 or float64.
            epsilon: noise, of the same shape.
            t: times, float64, shape ``(B,)``.

        Returns:
            Shape ``(B, *D)``, dtype of x0.
        """
        units, sigma = cls.units(sde, t), sde.sigma(t)
        of_epsilon = -1.0 / (sigma * units.of_output)
        if units.of_x is None:
            return epsilon * _like(of_epsilon, epsilon)
        ratio = units.of_x / units.of_output
        of_epsilon = of_epsilon - ratio * sigma
        return epsilon * _like(of_epsilon, epsilon) - x0 * _like(ratio * sde.alpha(t), x0)


def _like(coefficient: Tensor, x: Tensor) -> Tensor:
    return expand(coefficient.to(x.device, x.dtype), x)


class FromScore(Parametrisation):
    """The score of a network that predicts the score: as it is, with its SDE.

    Song et al., arXiv 2011.13456, equation 7.
    """

    @staticmethod
    def units(sde: LinearSDE, t: Tensor) -> Units:
        """1: the output is the score."""
        return Units(torch.ones_like(t), None)


class FromNoise(Parametrisation):
    """The score of a network that predicts the noise epsilon: -epsilon / sigma.

    Ho et al., arXiv 2006.11239, equation 11; a network with other time labels is wrapped, as in
    ``FromNoise(lambda x, t: net(x, 999 * t), sde)``.
    """

    @staticmethod
    def units(sde: LinearSDE, t: Tensor) -> Units:
        """-epsilon / sigma."""
        return Units(-1.0 / sde.sigma(t), None)


class FromDenoiser(Parametrisation):
    """The score of a network that predicts x_0: (alpha x_0 - x) / sigma^2 (Tweedie).

    Karras et al., arXiv 2206.00364, equation 3.
    """

    @staticmethod
    def units(sde: LinearSDE, t: Tensor) -> Units:
        """(alpha x_0 - x) / sigma^2."""
        precision = sde.sigma(t).pow(-2)
        return Units(sde.alpha(t) * precision, -precision)


class FromVelocity(Parametrisation):
    """The score of a network that predicts v = alpha epsilon - sigma x_0.

    Salimans & Ho, arXiv 2202.00512, appendix D, for any alpha and sigma.
    """

    @staticmethod
    def units(sde: LinearSDE, t: Tensor) -> Units:
        """-(sigma x + alpha v) / (sigma (alpha^2 + sigma^2))."""
        alpha, sigma = sde.alpha(t), sde.sigma(t)
        norm = alpha.square() + sigma.square()
        return Units(-alpha / (sigma * norm), -1.0 / norm)


class FromFlow(Parametrisation):
    """The score of a network that predicts u = dx/dt along the probability flow (flow matching).

    Song et al., arXiv 2011.13456, equation 13, solved for the score: 2 (a x - u) / g^2.
    """

    @staticmethod
    def units(sde: LinearSDE, t: Tensor) -> Units:
        """2 (a x - u) / g^2."""
        scale = 2.0 / sde.diffusion(t).square()
        return Units(-scale, scale * sde.drift_rate(t))


PREDICTED: tuple[type[Parametrisation], ...] = (
    FromNoise, FromDenoiser, FromVelocity, FromScore, FromFlow,
)  # fmt: skip
"""What a network may predict."""
