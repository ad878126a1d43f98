r"""The variational bound of data: as a chain of steps, term by term, and its continuous limit.

.. math:: -\log p(x_0) \le \underbrace{KL\big(q(x_T | x_0)\,\|\,p\big)}_{L_T}
          + \sum_{i > 1} L_{i-1} + \underbrace{E\,\big[-\log p(x_0 | x_1)\big]}_{L_0},
          \qquad
          \sum_{i > 1} L_{i-1} \to \tfrac12 \int g^2\, E\,\|s - \nabla \log p(x_t | x_0)\|^2\,dt.

Each expectation is one draw for each row: means over rows are what the terms say.

Reference: Ho et al., arXiv 2006.11239, equation 5; Nichol & Dhariwal, arXiv 2102.09672, section
3; Song et al., arXiv 2101.09258, theorem 3; Kingma et al., arXiv 2107.00630, equation 13.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError, PairingError, ScoreModelError, brief
from sdeplug.grid import TimeGrid, Uniform
from sdeplug.likelihood.arguments import (
    checked_data,
    checked_decoder,
    checked_noise,
    checked_time,
)
from sdeplug.noise import NoiseSource
from sdeplug.options import Configured, option
from sdeplug.pipeline import last_time
from sdeplug.reverse import ReverseSDE, checked_reverse
from sdeplug.score import Counted
from sdeplug.sde import expand
from sdeplug.training import Chain, Continuous, Decoder, chain_of, prior_divergence, step_nats


class Variance(Configured, ABC):
    """The variance of the steps of a chain."""

    @abstractmethod
    def log_at(self, chain: Chain, number: int, x: Tensor, t: Tensor) -> Tensor:
        """Its logarithm for the step from a level, of shape ``()`` or ``(B, *D)``.

        Args:
            chain: the chain.
            number: the level, from 0.
            x: states there, shape ``(B, *D)``.
            t: the time, shape ``(B,)``.
        """


@dataclass(frozen=True)
class FixedSmall(Variance):
    """The variance of a step given x_0: right for data of one point."""

    def log_at(self, chain: Chain, number: int, x: Tensor, t: Tensor) -> Tensor:
        """log beta tilde."""
        return chain.lower[number]


@dataclass(frozen=True)
class FixedLarge(Variance):
    """The variance of a step up: right for data N(0, I).

    Into the data it is that of the smaller kind: the other one would blur them.
    """

    def log_at(self, chain: Chain, number: int, x: Tensor, t: Tensor) -> Tensor:
        """log beta; of the step into the data, log beta tilde."""
        return (chain.upper if number else chain.lower)[number]


@dataclass(frozen=True)
class Learned(Variance):
    """A variance that a network says, between the other two: v = -1 the small, 1 the large one."""

    place: Callable[[Tensor, Tensor], Tensor] = option(
        help="callable (x, t) -> v of the shape of x, such as the second half of the channels"
    )

    def log_at(self, chain: Chain, number: int, x: Tensor, t: Tensor) -> Tensor:
        """Interpolated in the logarithm.

        Raises:
            ScoreModelError: if what is said has not the shape of x.
        """
        v = self.place(x, t)
        if not isinstance(v, Tensor) or v.shape != x.shape:
            given = tuple(v.shape) if isinstance(v, Tensor) else type(v).__name__
            raise ScoreModelError(
                f"place returned {given} for x of shape {tuple(x.shape)}: must be of that shape. "
                f"Of twice the channels it is the second half, net(x, t)[:, {x.shape[1]}:]."
            )
        lower, upper = (each[number].to(x) for each in (chain.lower, chain.upper))
        return lower + 0.5 * (v.to(x.dtype) + 1.0) * (upper - lower)


@dataclass(frozen=True, eq=False, repr=False)
class VariationalBound:
    """A bound of the negative log-probability of each row, and its terms in nats.

    Attributes:
        prior: L_T: how far x_T given x_0 is from the prior, ``(B,)``.
        steps: the terms between, ``(N, B)``, that of the level next to the data first.
        data: L_0: what the decoder leaves, ``(B,)``.
        t: the times of the steps' levels, shape ``(N,)``; of a random one, its mean over rows.
        size: numbers in a sample, D.
        nfe: score evaluations of the whole batch.
    """

    prior: Tensor
    steps: Tensor
    data: Tensor
    t: Tensor
    size: int
    nfe: int

    @property
    def nats(self) -> Tensor:
        """The bound: the sum of all terms, ``(B,)``."""
        return self.prior + self.steps.sum(0) + self.data

    @property
    def bits(self) -> Tensor:
        """The bound in bits per dimension, ``(B,)``.

        With :class:`Discretised` these are bits of levels; with :class:`Continuous` of a density.
        """
        return self.nats / (self.size * math.log(2.0))

    def __repr__(self) -> str:
        unit = self.size * math.log(2.0)
        parts = (("prior", self.prior), ("steps", self.steps.sum(0)), ("data", self.data))
        shown = " ".join(f"{name} {float(each.mean()) / unit:+.4f}" for name, each in parts)
        return f"VariationalBound({float(self.bits.mean()):.4f} bits/dim = {shown}, nfe={self.nfe})"


def variational_bound(
    reverse: ReverseSDE,
    x: Tensor,
    grid: TimeGrid = Uniform(1000),  # noqa: B008  a frozen value
    *,
    variance: Variance = FixedSmall(),
    decoder: Decoder = Continuous(),  # noqa: B008
    noise: NoiseSource | None = None,
) -> VariationalBound:
    """The bound of DDPM: a chain of steps down the grid, each looked at once.

    Args:
        reverse: the reverse SDE, of a linear forward SDE.
        x: data, shape ``(B, *D)``: clean ones, at t = 0.
        grid: the grid from T to 0 whose times are the levels of the chain.
        variance: :class:`FixedSmall`, :class:`FixedLarge` or :class:`Learned`.
        decoder: the law of data given the first level; ``Discretised(256)`` for images.
        noise: where the numbers come from; None: ``SharedNoise(0)``.

    Raises:
        ArgumentError: for x or a grid that does not fit.
        PairingError: if a part is not what it should be.
    """
    reverse, counted, x0, source = _begun(reverse, x, noise)
    sde = reverse.linear
    checked_decoder(decoder)
    if not isinstance(variance, Variance):
        raise PairingError(
            f"variance = {brief(variance)}: must be FixedSmall(), FixedLarge() or Learned(place)."
        )
    if not isinstance(grid, TimeGrid):
        raise PairingError(f"grid = {brief(grid)}: must be a TimeGrid, such as Uniform(1000).")
    chain = chain_of(sde, grid)
    terms = []
    with torch.no_grad():
        for number, t in enumerate(chain.t.tolist()):
            seen, error = _look(reverse, x0, t, source)
            moved = float(chain.pull[number]) * error
            times = x0.new_full((len(x0),), t)
            log_variance = variance.log_at(chain, number, seen, times).to(x0).expand_as(x0)
            rows = torch.full((len(x0),), number, dtype=torch.int64, device="cpu")
            terms.append(_total(step_nats(chain, rows, x0, moved, log_variance, decoder)))
        prior = _total(prior_divergence(sde, x0))
    steps = torch.stack(terms)
    return VariationalBound(prior, steps[1:], steps[0], chain.t[1:], x0[0].numel(), counted.nfe)


def continuous_bound(
    reverse: ReverseSDE,
    x: Tensor,
    points: int = 100,
    *,
    t: float | None = None,
    decoder: Decoder = Continuous(),  # noqa: B008
    noise: NoiseSource | None = None,
) -> VariationalBound:
    """The limit of the bound for ever more steps, down to a first time.

    The integral is taken over the log-SNR, with a random point in each of as many equal pieces,
    so that its mean is right whatever their number.

    Args:
        reverse: the reverse SDE, of a linear forward SDE.
        x: data, shape ``(B, *D)``: clean ones, at t = 0.
        points: pieces of the span of log-SNR; one evaluation each.
        t: the first time, from which the decoder goes to the data; None: eps.
        decoder: the law of data given the state at t.
        noise: where the numbers come from; None: ``SharedNoise(0)``.

    Raises:
        ArgumentError: for arguments that do not fit.
        PairingError: if a part is not what it should be.
    """
    reverse, counted, x0, source = _begun(reverse, x, noise)
    sde = reverse.linear
    if isinstance(points, bool) or not isinstance(points, int) or points < 1:
        raise ArgumentError("points", points, "a whole number of at least 1")
    checked_decoder(decoder)
    first = checked_time(t, sde, last_time(sde))
    high, low = sde.at(first).log_snr, sde.at(sde.T).log_snr
    # The number at which the normal distribution function is u has the law of u itself.
    pieces = torch.arange(points, dtype=torch.float64, device="cpu")
    draws = torch.stack([source.normal(x0[:, :1].flatten(1)[:, :1]) for _ in range(points)])
    u = torch.special.ndtr(draws[..., 0].double().cpu())
    places = high + (low - high) * (pieces[:, None] + u) / points
    times = sde.time_at(places).clamp(first, sde.T)
    with torch.no_grad():
        terms = []
        for each in times:
            _, error = _look(reverse, x0, each, source)
            terms.append(_total((expand(sde.sigma(each).to(x0), x0) * error).square()))
        _, error = _look(reverse, x0, first, source)
        level = sde.at(first)
        off = level.sigma**2 / level.alpha * error
        scale = x0.new_full((), -level.log_snr).expand_as(x0)
        data, prior = _total(decoder.nats(x0, off, scale)), _total(prior_divergence(sde, x0))
    steps = 0.5 * (high - low) / points * torch.stack(terms)
    return VariationalBound(prior, steps, data, times.mean(1), x0[0].numel(), counted.nfe)


def _begun(
    reverse: object, x: object, noise: object
) -> tuple[ReverseSDE, Counted, Tensor, NoiseSource]:
    """The reverse SDE with its count, data, and the stream of noise."""
    found = checked_reverse(reverse)
    counted = Counted(found.score_model)
    source = checked_noise(noise).stream("bound")
    found.linear  # noqa: B018  refused now, not in the run
    return replace(found, score_model=counted), counted, checked_data(x), source


def _look(
    reverse: ReverseSDE, x0: Tensor, t: float | Tensor, source: NoiseSource
) -> tuple[Tensor, Tensor]:
    """x_t given x_0, and the score there less that of x_t given x_0: both ``(B, *D)``."""
    sde, epsilon = reverse.linear, source.normal(x0)
    times = torch.as_tensor(t, dtype=torch.float64, device="cpu").expand(len(x0))
    alpha, sigma = (expand(each(times).to(x0), x0) for each in (sde.alpha, sde.sigma))
    x = alpha * x0 + sigma * epsilon
    return x, reverse.score(x, t) + epsilon / sigma


def _total(nats: Tensor) -> Tensor:
    """Nats of each coordinate to those of a row."""
    return nats.flatten(1).sum(1)
