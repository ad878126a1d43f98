r"""Denoising score matching: regression on what the noise was.

With :math:`x_t = \alpha x_0 + \sigma \epsilon` the score of p_t is the mean of
:math:`-\epsilon / \sigma` given x_t, so that

.. math:: E\,\lambda(t)\,\big\|s_\theta(x_t, t) + \epsilon / \sigma\big\|^2
          = E\,\lambda(t)\,\big\|s_\theta(x_t, t) - \nabla \log p_t(x_t)\big\|^2 + \mathrm{const}.

Reference: Vincent, Neural Computation 23 (2011); Song et al., arXiv 2011.13456, equation 7.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError
from sdeplug.grid import Uniform
from sdeplug.noise import NoiseSource
from sdeplug.options import option
from sdeplug.score import FromFlow, FromNoise, FromScore, Parametrisation, checked
from sdeplug.sde import LinearSDE
from sdeplug.training.loss import Loss, Network, Noised, checked_sde, like, noised
from sdeplug.training.times import Drawn, GridTimes, Times, UniformTimes
from sdeplug.training.weightings import Own, Variance, Weighting


@dataclass(frozen=True, repr=False)
class DenoisingLoss(Loss):
    """Weighted squared error of the score, by regression on the noise that was added.

    The network predicts what the parametrisation says: score, noise, denoised data, v or flow.
    Its trained self is a score model by the same class: ``FromNoise(network, sde)``.

    Raises:
        PairingError: unless the SDE is linear.
        ArgumentError: if a part is not what it should be.
    """

    sde: LinearSDE = option(help="forward SDE")
    parametrisation: type[Parametrisation] = option(FromNoise, help="what the network predicts")
    weighting: Weighting = option(Variance(), help="how much an error of the score counts")
    times: Times = option(UniformTimes(), help="at which times the loss looks")

    def __post_init__(self) -> None:
        checked_sde(self.sde, type(self).__name__)
        super().__post_init__()
        if not issubclass(self.parametrisation, Parametrisation):
            raise ArgumentError(
                "parametrisation", self.parametrisation, "a class of parametrisations",
                "FromScore, FromNoise, FromDenoiser, FromVelocity, FromFlow.",
            )  # fmt: skip
        u = torch.tensor((0.0, 0.5), dtype=torch.float64, device="cpu")
        if not bool(self.weight(self.times.at(self.sde, u)).isfinite().all()):
            first = self.times.first(self.sde)
            raise ArgumentError(
                "times", self.times, f"times at which an error has a weight, but at t = {first} "
                "it has none", f"Give a later one, start={self.sde.eps or 1e-3}.",
            )  # fmt: skip

    def __call__(self, network: Network, x0: Tensor, noise: NoiseSource) -> Tensor:
        """The loss of each row of x0, shape ``(B, *D)``: shape ``(B,)``."""
        state = noised(self.sde, self.times, x0, noise)
        return self.of_output(state, checked(state.says(network), state.x, "loss", "x0, noise"))

    def of_output(self, state: Noised, output: Tensor) -> Tensor:
        """The loss of each row, given what the network said: ``(B, *D)`` to ``(B,)``."""
        rows = self.reduced(self.error(state, output).square())
        return rows * like(self.weight(state.drawn), rows)

    def error(self, state: Noised, output: Tensor) -> Tensor:
        """What the network said minus what it should have said, in its units: ``(B, *D)``."""
        target = self.parametrisation.target(self.sde, state.x0, state.epsilon, state.drawn.t)
        return output.to(target.dtype) - target

    def weight(self, drawn: Drawn) -> Tensor:
        """Factor of the squared error in the network's units: float64, shape ``(B,)``."""
        weight = self.weighting.at(self.sde, drawn.t, self.parametrisation)
        score = self.parametrisation.units(self.sde, drawn.t).of_output
        return weight * score.square() * drawn.weight


@dataclass(frozen=True, repr=False)
class SimpleLoss(DenoisingLoss):
    """L_simple of DDPM: the squared error of the noise, at the levels of a chain.

    A network of whole labels has a :class:`TabulatedSDE`, whose levels are at 1/N, ..., 1.

    Ho et al., arXiv 2006.11239, equation 14.
    """

    times: Times = option(GridTimes(Uniform(1000)), help="at which times the loss looks")


@dataclass(frozen=True, repr=False)
class SMLDLoss(DenoisingLoss):
    """Denoising score matching with Langevin dynamics: the score at a thousand noise levels.

    Song & Ermon, arXiv 1907.05600, equations 5 and 6; the levels run from sigma(0) to sigma(T).
    """

    parametrisation: type[Parametrisation] = option(FromScore, help="what the network predicts")
    times: Times = option(GridTimes(Uniform(999), last=True), help="at which times the loss looks")


@dataclass(frozen=True, repr=False)
class FlowMatchingLoss(DenoisingLoss):
    """Conditional flow matching: the squared error of the velocity of the probability flow.

    The path is that of the SDE, alpha x_0 + sigma epsilon, whose velocity at t is the target.

    Lipman et al., arXiv 2210.02747, theorem 2.
    """

    parametrisation: type[Parametrisation] = option(FromFlow, help="what the network predicts")
    weighting: Weighting = option(Own(), help="how much an error of the score counts")
