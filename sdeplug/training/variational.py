r"""The variational bound of a chain, with variances that the network learns.

.. math:: -\log p(x_0) \le E\,\big[-\log p(x_0 | x_1)\big] + \sum_{i > 1} KL\big(q(x_{i-1} | x_i,
          x_0)\,\|\,p(x_{i-1} | x_i)\big) + KL\big(q(x_N | x_0)\,\|\,p(x_N)\big).

Reference: Ho et al., arXiv 2006.11239, equation 5; Nichol & Dhariwal, arXiv 2102.09672, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdeplug.grid import TimeGrid, Uniform
from sdeplug.noise import NoiseSource
from sdeplug.options import option
from sdeplug.score import FromNoise, Parametrisation
from sdeplug.sde import LinearSDE
from sdeplug.training.chain import Chain, chain_of
from sdeplug.training.decoders import Continuous, Decoder
from sdeplug.training.denoising import DenoisingLoss
from sdeplug.training.divergence import prior_divergence, step_nats
from sdeplug.training.loss import Loss, Network, Noised, checked_sde, like, noised, two_halves
from sdeplug.training.steps import ChainTimes, EvenSteps, MeasuredSteps, Steps
from sdeplug.training.times import Drawn, Times


@dataclass(frozen=True, repr=False)
class VariationalLoss(Loss):
    """The variational bound in nats, or a share of it beside L_simple.

    The network has twice the channels: the prediction, then v, which is -1 where the variance of
    a step is the least that data can make, and 1 where it is that of data N(0, I); the logarithm
    is interpolated between them.

    With ``hybrid`` the loss is L_simple plus that factor times the bound, in which the mean of a
    step is a constant: the prediction is trained by L_simple, the variance by the bound.  With
    None it is the bound alone; its mean over rows is then the negative bound of log p(x_0), for
    each coordinate, or for all of them if not ``mean``.

    Raises:
        PairingError: unless the SDE is linear.
        ArgumentError: if a part is not what it should be.
    """

    sde: LinearSDE = option(help="forward SDE")
    parametrisation: type[Parametrisation] = option(FromNoise, help="what the network predicts")
    grid: TimeGrid = option(Uniform(1000), help="grid of the levels, from T to 0")
    hybrid: float | None = option(1e-3, help="factor of the bound beside L_simple", gt=0.0)
    decoder: Decoder = option(Continuous(), help="the law of data given the first level")
    steps: Steps = option(EvenSteps(), help="how often a step of the chain is looked at")

    def __post_init__(self) -> None:
        checked_sde(self.sde, type(self).__name__)
        super().__post_init__()
        self.steps.shares(self._chain)

    def __call__(self, network: Network, x0: Tensor, noise: NoiseSource) -> Tensor:
        """The loss of each row of x0, shape ``(B, C, *D)``: shape ``(B,)``."""
        times = ChainTimes.of(self._chain, self.steps)
        state = noised(self.sde, times, x0, noise)
        output, place = self._halves(network, state)
        learned = output if self.hybrid is None else output.detach()
        bound = self._term(state, learned, place)
        bound = bound * like(state.drawn.weight * len(self._chain.t), bound)
        if self.hybrid is None:
            return bound + self._prior(state.x0)
        return self._simple.of_output(state, output) + self.hybrid * bound

    def measured(
        self, network: Network, x0: Tensor, noise: NoiseSource, draws: int = 10
    ) -> VariationalLoss:
        """This loss, with steps drawn by the sizes of their terms, as this network has them.

        Args:
            network: callable (x, t).
            x0: data, shape ``(B, C, *D)``; each step looks at ``draws`` of them.
            noise: where the random numbers come from.
            draws: how often each step is looked at.
        """
        levels = self._chain.t.repeat_interleave(draws)
        sizes = []
        with torch.no_grad():
            for t in levels.split(len(x0)):
                state = noised(self.sde, _Given(t), x0[: len(t)], noise)
                sizes.append(self._term(state, *self._halves(network, state)).double().cpu())
        squared = torch.cat(sizes).square().reshape(-1, draws).mean(1)
        return replace(self, steps=MeasuredSteps(tuple(squared.sqrt().tolist())))

    def _halves(self, network: Network, state: Noised) -> tuple[Tensor, Tensor]:
        """The prediction, and the place of the log-variance in [0, 1]."""
        output, v = two_halves(state.says(network), state.x, "v, the place of the log-variance")
        return output, 0.5 * (v + 1.0)

    def _term(self, state: Noised, output: Tensor, place: Tensor) -> Tensor:
        """The term of the bound at the level of each row, in nats: ``(B,)``."""
        chain, t = self._chain, state.drawn.t
        number = torch.searchsorted(chain.t, t)
        error = self._simple.error(state, output)
        score = self.parametrisation.units(self.sde, t).of_output
        moved = like(chain.pull[number] * score, error) * error
        lower, upper = (like(each[number], error) for each in (chain.lower, chain.upper))
        log_variance = torch.lerp(lower.expand_as(place), upper.expand_as(place), place)
        nats = step_nats(chain, number, state.x0, moved, log_variance, self.decoder)
        return self._total(nats)

    def _prior(self, x0: Tensor) -> Tensor:
        """The divergence of x_T given x0 from the prior, in nats: ``(B,)``."""
        return self._total(prior_divergence(self.sde, x0))

    def _total(self, nats: Tensor) -> Tensor:
        """Nats of each coordinate, shape ``(B, *D)``, to the mean or sum of a row."""
        return self.reduced(nats) * (1.0 if self.mean else 2.0)

    @property
    def _simple(self) -> DenoisingLoss:
        return DenoisingLoss(self.sde, self.parametrisation, mean=self.mean)

    @property
    def _chain(self) -> Chain:
        return chain_of(self.sde, self.grid)


@dataclass(frozen=True)
class _Given(Times):
    """Given times, one for each row."""

    t: Tensor = option(help="times")

    def draw(self, sde: LinearSDE, rows: int, noise: NoiseSource) -> Drawn:
        return self.at(sde, self.t)

    def at(self, sde: LinearSDE, u: Tensor) -> Drawn:
        return Drawn(self.t, torch.ones_like(self.t))
