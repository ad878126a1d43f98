r"""How much an error of the score counts at each time.

A weighting is the factor :math:`\lambda(t)` of :math:`\|s_\theta(x_t, t) - s(x_t, t)\|^2`, the
squared error of the *score*, whatever units the network speaks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.options import Configured, option
from sdeplug.score import Parametrisation
from sdeplug.sde import LinearSDE


class Weighting(Configured, ABC):
    """How much an error of the score counts at each time."""

    @abstractmethod
    def at(self, sde: LinearSDE, t: Tensor, units: type[Parametrisation]) -> Tensor:
        """The factor of the squared error of the score.

        Args:
            sde: the linear SDE.
            t: times, float64, shape ``(B,)``.
            units: what the network predicts; only :class:`Own` asks.

        Returns:
            float64, shape ``(B,)``.
        """


@dataclass(frozen=True)
class Unit(Weighting):
    """1: explicit score matching at every time. It is large where sigma is small."""

    def at(self, sde: LinearSDE, t: Tensor, units: type[Parametrisation]) -> Tensor:
        """1."""
        return torch.ones_like(t)


@dataclass(frozen=True)
class Variance(Weighting):
    """sigma^2: the noise of every level counts alike, as in L_simple of DDPM.

    Song et al., arXiv 2011.13456, equation 7; Ho et al., arXiv 2006.11239, equation 14.
    """

    def at(self, sde: LinearSDE, t: Tensor, units: type[Parametrisation]) -> Tensor:
        """sigma^2."""
        return sde.sigma(t).square()


@dataclass(frozen=True)
class Likelihood(Weighting):
    """g^2: half its integral over time bounds the negative log-likelihood.

    Song et al., arXiv 2101.09258, theorem 1.
    """

    def at(self, sde: LinearSDE, t: Tensor, units: type[Parametrisation]) -> Tensor:
        """g^2."""
        return sde.diffusion(t).square()


@dataclass(frozen=True)
class EDM(Weighting):
    """(q^2 + d^2) / (q d)^2 for the denoiser, q = sigma/alpha, d the spread of the data.

    A network that is preconditioned as in the paper then has an error of about 1 at each level.

    Karras et al., arXiv 2206.00364, table 1 and equation 8.
    """

    sigma_data: float = option(0.5, help="standard deviation of the data", gt=0.0)

    def at(self, sde: LinearSDE, t: Tensor, units: type[Parametrisation]) -> Tensor:
        """(q^2 + d^2) / (q d)^2, from the denoiser to the score: times sigma^4 / alpha^2."""
        squared, data = torch.exp(-sde.log_snr(t)), self.sigma_data**2
        return (squared + data) / data * sde.sigma(t).square()


@dataclass(frozen=True)
class Own(Weighting):
    """The plain squared error in the network's own units, whatever they are.

    For noise that is :class:`Variance`; for v it is the SNR + 1 of Salimans & Ho, arXiv 2202.00512;
    for a flow it is flow matching (Lipman et al., arXiv 2210.02747).
    """

    def at(self, sde: LinearSDE, t: Tensor, units: type[Parametrisation]) -> Tensor:
        """1 over the square of the score that one unit of the network's output makes."""
        return units.units(sde, t).of_output.pow(-2)
