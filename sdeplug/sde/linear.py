r"""Linear forward SDEs: two functions of time say all about them.

A :class:`LinearSDE` has f = a(t) x, so that :math:`p(x_t | x_0) = N(\alpha(t) x_0,
\sigma(t)^2 I)`.  Two functions, log alpha and sigma, say all about it; the rest follows:

.. math:: a = \frac{d \log\alpha}{dt}, \qquad g^2 = \frac{d\sigma^2}{dt} - 2 a \sigma^2.

Reference: Song et al., arXiv 2011.13456, sections 3.1 to 3.4 and appendix B; Karras et al.,
arXiv 2206.00364, equation 2.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError
from sdeplug.noise import NoiseSource
from sdeplug.sde.derivative import derivative
from sdeplug.sde.elementwise import elementwise
from sdeplug.sde.forward import ForwardSDE, expand, in_float32
from sdeplug.sde.inverse import falling_inverse, tabulated

_NEAR_ZERO = 1e-12  # derivatives at t = 0 are taken here, in units of T: sigma may go as sqrt(t)
_MEMO_SIZE = 16384
_BLIND = -2.0 * math.log(1e5)  # log-SNR
_FUNCTIONS_OF_TIME = {"log_alpha", "sigma", "alpha", "drift_rate", "diffusion", "log_snr"}


@dataclass(frozen=True)
class Marginal:
    """A :class:`LinearSDE` at one time, as Python floats computed in float64.

    Attributes:
        alpha: factor of x_0 in the mean of x_t.
        sigma: standard deviation of x_t given x_0.
        drift_rate: a, in f = a x; per unit of time.
        diffusion: g; per square root of the unit of time.
        log_snr: log(alpha^2 / sigma^2), in nats; infinite where sigma is 0.
    """

    alpha: float
    sigma: float
    drift_rate: float
    diffusion: float
    log_snr: float


class LinearSDE(ForwardSDE):
    """f = a(t) x; p(x_t | x_0) = N(alpha(t) x_0, sigma(t)^2 I).

    A new noise schedule is two functions::

        class Linear(LinearSDE):
            def log_alpha(self, t): return torch.log1p(-t / 2)
            def sigma(self, t): return t

    All functions of time take a number as well, which counts as a float64 tensor of shape
    ``()``; one of your own may return a number for all times: ``return 0.0``.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in _FUNCTIONS_OF_TIME & vars(cls).keys():
            setattr(cls, name, elementwise(vars(cls)[name]))

    @abstractmethod
    def log_alpha(self, t: Tensor) -> Tensor:
        """log alpha, elementwise: any shape, float64 in gives float64 out."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        """sigma, elementwise: any shape, float64 in gives float64 out."""

    @elementwise
    def alpha(self, t: Tensor) -> Tensor:
        """alpha, elementwise: the factor of x_0 in the mean of x_t."""
        return self.log_alpha(t).exp()

    @elementwise
    def drift_rate(self, t: Tensor) -> Tensor:
        """a = d log alpha / dt, elementwise; by automatic differentiation unless overridden."""
        return derivative(self.log_alpha, self._off_zero(t))

    @elementwise
    def diffusion(self, t: Tensor) -> Tensor:
        """g, elementwise, from g^2 = d sigma^2/dt - 2 a sigma^2; by automatic differentiation
        unless overridden."""
        t = self._off_zero(t)
        sigma = self.sigma(t)
        g2 = 2.0 * sigma * (derivative(self.sigma, t) - self.drift_rate(t) * sigma)
        return g2.clamp(min=0.0).sqrt()

    @elementwise
    def log_snr(self, t: Tensor) -> Tensor:
        """log(alpha^2 / sigma^2), elementwise, in nats; falls with t."""
        return 2.0 * (self.log_alpha(t) - self.sigma(t).log())

    @property
    def prior_std(self) -> float:
        """Standard deviation of the prior N(0, prior_std^2 I): sigma(T) unless overridden."""
        return self.at(self.T).sigma

    def at(self, t: float) -> Marginal:
        """Everything at one time, as floats; memoised.

        Args:
            t: time in [0, T].

        Raises:
            ArgumentError: for other times, or if the schedule is not finite there.
        """
        known = self._memo.get(t)
        return self._tabulated((float(t),))[0] if known is None else known

    def prepare(self, times: Sequence[float]) -> None:
        """Tabulate the schedule at many times in one vectorised pass.

        Raises:
            ArgumentError: for times outside [0, T], or if the schedule is not finite there.
        """
        new = [float(t) for t in times if t not in self._memo]
        if new:
            self._tabulated(new)

    def time_at(self, log_snr: Tensor) -> Tensor:
        """The time in [0, T] at which the log-SNR has the given value; clamped to the ends.

        Args:
            log_snr: float64, any shape, in nats.
        """

        def slope(t: Tensor) -> Tensor:
            return -(self.diffusion(t) / self.sigma(t)).square()

        return falling_inverse(self.log_snr, slope, log_snr, self.T, self._log_snrs)

    @cached_property
    def _log_snrs(self) -> Tensor:
        """The table that :meth:`time_at` looks in."""
        return tabulated(self.log_snr, self.T)

    @cached_property
    def horizon(self) -> float:
        """The time from which on no data can be seen: sigma / alpha = 1e5 there, or T if less.

        What x_t still says of x_0 is then less than what the start of any sampler leaves out, and
        less than what a network, or a state in float32, resolves.  That is so for data of a
        standard deviation up to some thousands; an SDE for larger ones overrides it with its T.
        """
        if self.at(self.T).log_snr >= _BLIND:
            return self.T
        return float(self.time_at(torch.tensor(_BLIND, dtype=torch.float64, device="cpu")))

    def from_horizon(self, x: Tensor, t: float, s: float) -> tuple[Tensor, float]:
        """x and its time t, moved to the horizon where a span from t down to s crosses it.

        Beyond it x / sigma stands still along the probability flow: steps there would find
        nothing, and multiply their rounding by the ratio of the alphas at their ends.
        """
        if not s < self.horizon < t <= self.T:
            return x, t
        return x * (self.at(self.horizon).sigma / self.at(t).sigma), self.horizon

    def transition(self, s: float, t: float) -> tuple[float, float]:
        """(scale, variance) of p(x_t | x_s) = N(scale x_s, variance I) for s <= t."""
        early, late = self.at(s), self.at(t)
        variance = -(late.sigma**2) * math.expm1(late.log_snr - early.log_snr)
        return late.alpha / early.alpha, variance

    def perturb(self, x0: Tensor, t: Tensor, noise: NoiseSource) -> Tensor:
        """Draw x_t given x_0: x0 of shape ``(B, *D)``, t of shape ``(B,)`` or ``()``.

        The numbers are those of ``noise.stream("perturb")``, so that a run with the same seed
        does not draw them again.
        """
        times, x = t.to(torch.float64), in_float32(x0)
        alpha, sigma = (expand(each(times).to(x.dtype), x) for each in (self.alpha, self.sigma))
        return (alpha * x + sigma * noise.stream("perturb").normal(x)).to(x0.dtype)

    def drift(self, x: Tensor, t: Tensor) -> Tensor:
        """a(t) x."""
        wide = in_float32(x)
        rate = expand(self.drift_rate(t.to(torch.float64)).to(wide.dtype), x)
        return (rate * wide).to(x.dtype)

    def drift_at(self, x: Tensor, t: float) -> Tensor:
        """a(t) x at one time for the whole batch: ``(B, *D)``."""
        return self.at(t).drift_rate * x

    def diffusion_at(self, t: float) -> float:
        """g(t) at one time."""
        return self.at(t).diffusion

    def prior(
        self,
        shape: Sequence[int],
        noise: NoiseSource,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Draw x_T ~ N(0, prior_std^2 I) of the given shape ``(B, *D)``."""
        return self.prior_std * noise.normal(torch.empty(tuple(shape), dtype=dtype, device=device))

    def prior_log_prob(self, x: Tensor) -> Tensor:
        """log N(x; 0, prior_std^2 I): shape ``(B,)``, in nats; float32 at least."""
        z = in_float32(x).flatten(1) / self.prior_std
        normaliser = z.shape[1] * (0.5 * math.log(2.0 * math.pi) + math.log(self.prior_std))
        return -0.5 * z.square().sum(1) - normaliser

    def validate(self) -> None:
        """Check the schedule on [eps, T] once; called when a reverse SDE is built.

        Raises:
            ArgumentError: if alpha or sigma is not finite or not positive, if the log-SNR does
                not fall with t, or if an overridden drift_rate or diffusion is not the one
                that log_alpha and sigma imply.
        """
        super().validate()
        self._schedule_is_sound  # noqa: B018  evaluated once, remembered

    @cached_property
    def _schedule_is_sound(self) -> bool:
        t = torch.linspace(self.eps, self.T, 129, dtype=torch.float64, device="cpu")
        t = t[t > 0.0]
        table = self._table(t)
        alpha, sigma, drift_rate, diffusion, log_snr = table.unbind(1)
        where = f"on [eps, T] = [{self.eps}, {self.T}]"
        name = type(self).__name__
        if not bool(table[:, :4].isfinite().all()):
            raise ArgumentError("sde", name, f"finite {where}", "Move eps or T off the pole.")
        if not bool(((alpha > 0.0) & (sigma > 0.0)).all()):
            raise ArgumentError("sde", name, f"of positive alpha and sigma {where}")
        if not bool((log_snr.diff() < 0.0).all()):
            raise ArgumentError("sde", name, f"of falling log-SNR {where}", "Noise only grows.")
        derived = LinearSDE.drift_rate(self, t)
        implied = 2.0 * sigma * (derivative(self.sigma, t) - derived * sigma)
        for what, given, wanted in (
            ("drift_rate", drift_rate, derived),
            ("diffusion", diffusion.square(), implied),
        ):
            if not torch.allclose(given, wanted, rtol=1e-6, atol=1e-9 * float(wanted.abs().max())):
                raise ArgumentError(
                    what, name, f"what log_alpha and sigma imply {where}", "Leave it out: it is "
                    "derived by automatic differentiation."
                )  # fmt: skip
        return True

    @cached_property
    def _memo(self) -> dict[float, Marginal]:
        return {}

    def _tabulated(self, times: Sequence[float]) -> list[Marginal]:
        """Everything at new times, computed and remembered.

        It returns what it computed and looks nothing up, since another thread may clear the memo.
        """
        for t in times:
            if not 0.0 <= t <= self.T:
                raise ArgumentError("t", t, f"a time in [0, T] = [0, {self.T}]")
        table = self._table(torch.tensor(times, dtype=torch.float64, device="cpu"))
        marginals = [Marginal(*row) for row in table.tolist()]
        for t, each, row in zip(times, marginals, table.tolist(), strict=True):
            if not all(map(math.isfinite, row[:4])):
                raise ArgumentError(
                    "t", t, "a time where the schedule is finite", f"It gives {each}."
                )
        if len(self._memo) + len(times) > _MEMO_SIZE:
            self._memo.clear()
        self._memo.update(zip(times, marginals, strict=True))
        return marginals

    def _table(self, t: Tensor) -> Tensor:
        """The columns of :class:`Marginal` at times t of shape (N,): float64, (N, 5)."""
        functions = (self.sigma, self.drift_rate, self.diffusion, self.log_snr)
        columns = (self.alpha(t), *(function(t) for function in functions))
        return torch.stack(torch.broadcast_tensors(*columns), dim=1).detach()

    def _off_zero(self, t: Tensor) -> Tensor:
        return t.clamp(min=_NEAR_ZERO * self.T)
