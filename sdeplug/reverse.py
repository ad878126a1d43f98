r"""The reverse SDE: a forward SDE and a score model.

.. math:: dx = \left[f - \tfrac{1 + l^2}{2} g^2 \nabla \log p_t(x)\right] dt + l\,g\,d\bar w

has the marginals p_t for every stochasticity l >= 0: l = 1 is Anderson's reverse SDE (Song et
al., arXiv 2011.13456, equation 6), l = 0 the probability-flow ODE (equation 13).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import overload

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError, PairingError, brief, brief_fields
from sdeplug.score import ScoreModel, check_pair, checked, error_of, with_divergence
from sdeplug.sde import ForwardSDE, LinearSDE, added, expand, fitted
from sdeplug.values import number

Time = float | Tensor
"""One time for the whole batch, or a tensor of B times, one for each row."""


@dataclass(frozen=True)
class ReverseSDE:
    """A forward SDE run backwards with the help of a score model.

    Attributes:
        forward: the forward SDE.
        score_model: callable (x, t) -> grad log p_t(x).
        stochasticity: l >= 0, a number or a function of time; the marginals do not depend on it.

    Raises:
        PairingError: if a part is not what it should be, or the score is that of another SDE.
        ArgumentError: if the SDE is unsound or the stochasticity negative.
    """

    forward: ForwardSDE
    score_model: ScoreModel
    stochasticity: float | Callable[[float], float] = 1.0

    __repr__ = brief_fields

    def __post_init__(self) -> None:
        if not isinstance(self.forward, ForwardSDE):
            raise PairingError(
                f"forward = {brief(self.forward)}: must be a ForwardSDE, such as VPSDE(). "
                "The order is ReverseSDE(forward, score_model)."
            )
        if not callable(self.score_model):
            raise PairingError(
                f"score_model = {self.score_model!r}: must be a callable (x, t) -> score, such "
                "as target.score(sde) or FromNoise(network, sde)."
            )
        if not callable(self.stochasticity):
            object.__setattr__(self, "stochasticity", checked_level(self.stochasticity))
        self.forward.validate()
        check_pair(self.forward, self.score_model)

    @overload
    def level(self, t: float) -> float: ...
    @overload
    def level(self, t: Tensor) -> float | Tensor: ...
    def level(self, t: Time) -> Time:
        """The stochasticity l at time t; one number for each row, where l depends on time."""
        if not callable(self.stochasticity):
            return self.stochasticity
        if isinstance(t, Tensor):
            return t.new_tensor([self.level(each) for each in t.flatten().tolist()])
        return checked_level(self.stochasticity(t))

    def score(self, x: Tensor, t: Time) -> Tensor:
        """grad log p_t(x).

        Args:
            x: state, shape ``(B, *D)``.
            t: time in [0, T]: one for the whole batch, or a tensor of B times, one for each row,
                where x is or on the CPU.

        Returns:
            Shape ``(B, *D)``, dtype and device of x.

        Raises:
            ArgumentError: for a time outside [0, T].
            ScoreModelError: if the model returns anything but a tensor of the shape of x.
        """
        score = checked(self.score_model(x, self._times(x, t)), x)
        return score if score.dtype == x.dtype else score.to(x.dtype)

    def drift(self, x: Tensor, t: Time) -> Tensor:
        """f - (1 + l^2)/2 g^2 score at one time, or at one for each row: ``(B, *D)``."""
        return self._drift(x, t, 0.5 * (1.0 + self.level(t) ** 2), self.score(x, t))

    @overload
    def diffusion(self, t: float) -> float: ...
    @overload
    def diffusion(self, t: Tensor, x: Tensor | None = None) -> Tensor: ...
    @overload
    def diffusion(self, t: float, x: Tensor) -> float | Tensor: ...
    def diffusion(self, t: Time, x: Tensor | None = None) -> Time:
        """l g, what the noise is multiplied with.

        Args:
            t: one time, or a tensor of B times, one for each row.
            x: the state that the noise moves, shape ``(B, *D)``; with it the answer is right for
                every forward SDE, without it g has to be the same in all coordinates.

        Returns:
            One number at one time, and float64 of shape ``(B,)`` for B of them.  With x, what is
            a tensor broadcasts against x, in its dtype and where it is; for one time it is one
            where the noise differs between coordinates (diagonal noise).

        Raises:
            PairingError: without x, if the noise is diagonal.
            ArgumentError: if g does not broadcast against x.
        """
        scale: Time
        if isinstance(t, Tensor):
            g, level = self.forward.diffusion(t.reshape(-1).to(torch.float64)), self.level(t)
            scale = (expand(level, g) if isinstance(level, Tensor) else level) * g
        else:
            scale = self.level(t) * self.forward.diffusion_at(t)
        if not isinstance(scale, Tensor):
            return scale
        if x is not None:
            return fitted(expand(scale, x) if isinstance(t, Tensor) else scale, x)
        if scale.ndim > 1 or not isinstance(t, Tensor):
            raise PairingError(
                f"forward = {self.forward!r}: its noise differs between coordinates, and one "
                "number g(t) was asked for. A solver that asks reverse.diffusion(t, x), such as "
                "'song/euler-maruyama', works with diagonal noise."
            )
        return scale

    def flow(self, x: Tensor, t: Time) -> Tensor:
        """Velocity of the probability flow, f - g^2/2 score: ``(B, *D)``; times as in `drift`."""
        return self._drift(x, t, 0.5, self.score(x, t))

    def flow_and_divergence(self, x: Tensor, t: Time) -> tuple[Tensor, Tensor] | None:
        """Velocity of the probability flow and its divergence, the trace of its Jacobian.

        Args:
            x: state, shape ``(B, *D)``.
            t: one time, or a tensor of B times, one for each row.

        Returns:
            Shapes ``(B, *D)`` and ``(B,)``; None unless the SDE is linear and the score model has
            a formula for its divergence.

        Raises:
            ArgumentError: for a time outside [0, T].
            ScoreModelError: if the model returns tensors of other shapes.
        """
        sde = self.forward
        known = isinstance(sde, LinearSDE) and hasattr(self.score_model, "with_divergence")
        found = with_divergence(self.score_model, x, self._times(x, t)) if known else None
        if found is None:
            return None
        assert isinstance(sde, LinearSDE)
        score = checked(found[0], x).to(x.dtype)
        slope = checked(found[1], x.flatten(1).sum(1), "with_divergence").to(x.dtype)
        return self._drift(x, t, 0.5, score), _divergence(sde, slope, t, math.prod(x.shape[1:]))

    def denoised(self, x: Tensor, t: float) -> Tensor:
        """E[x_0 | x_t] = (x + sigma^2 score) / alpha (Tweedie) at one time: ``(B, *D)``.

        Raises:
            PairingError: unless the forward SDE is linear.
        """
        marginal = self.linear.at(t)
        return (x + marginal.sigma**2 * self.score(x, t)) / marginal.alpha

    def _times(self, x: Tensor, t: Time) -> Tensor:
        """One time for each row, as a score model gets them."""
        first, last = _ends(t)
        if not 0.0 <= first <= last <= self.forward.T:
            raise ArgumentError(
                "t", t, f"a time in [0, T] = [0, {self.forward.T}]",
                "A solver must ask for the score inside the span that it was given.",
            )  # fmt: skip
        dtype = _time_dtype(x.dtype)
        if isinstance(t, Tensor):
            return t.reshape(-1).to(x.device, dtype)
        like = x if dtype == x.dtype else x.new_empty(0, dtype=dtype)
        return like.new_full(x.shape[:1], t)  # to name its dtype would double its time

    def _drift(self, x: Tensor, t: Time, factor: Time, score: Tensor) -> Tensor:
        """f - factor g^2 score."""
        if not isinstance(t, Tensor):
            weight = factor * self.forward.diffusion_at(t) ** 2
            if isinstance(weight, Tensor):
                weight = fitted(weight, x)
            return added(self.forward.drift_at(x, t), score, -weight)
        times = t.reshape(-1).to(x.device, torch.float64)
        squared = self.forward.diffusion(times) ** 2
        if isinstance(factor, Tensor):
            factor = expand(factor.reshape(-1).to(squared), squared)
        weights = fitted(expand(factor * squared, x), x)
        return self.forward.drift(x, times).to(x.dtype) - weights * score

    @property
    def error(self) -> float | None:
        """Relative error of the noise that the score model predicts, where it says so; 0: exact.

        Raises:
            ArgumentError: for an error that cannot be.
        """
        error = error_of(self.score_model)
        if error is not None and not 0.0 <= error < math.inf:
            raise ArgumentError(
                "score_model.error", error, "a finite number of at least 0",
                "0 says that the score is exact; None that nobody knows, as with a network.",
            )  # fmt: skip
        return error

    @property
    def linear(self) -> LinearSDE:
        """The forward SDE, for methods that need a linear one.

        Raises:
            PairingError: unless the forward SDE is a :class:`LinearSDE`.
        """
        if not isinstance(self.forward, LinearSDE):
            raise PairingError(
                f"forward = {self.forward!r}: must be a LinearSDE, since alpha and sigma are "
                "asked for. Use a solver that needs only drift and diffusion, such as "
                "'song/euler-maruyama'."
            )
        return self.forward


def checked_reverse(reverse: object) -> ReverseSDE:
    """The reverse SDE that somebody has given.

    Raises:
        PairingError: if it is none.
    """
    if not isinstance(reverse, ReverseSDE):
        raise PairingError(
            f"reverse = {brief(reverse)}: must be a ReverseSDE, and comes first. Of a model it is "
            "ReverseSDE(model.sde, model.score), of a target ReverseSDE(sde, target.score(sde))."
        )
    return reverse


def _ends(t: Time) -> tuple[float, float]:
    if not isinstance(t, Tensor):
        return t, t
    first, last = t.aminmax() if t.numel() else (0.0, 0.0)
    return float(first), float(last)


def _divergence(sde: LinearSDE, slope: Tensor, t: Time, size: int) -> Tensor:
    """That of the flow in d = ``size`` dimensions, d a - g^2/2 times that of the score."""
    if isinstance(t, Tensor):
        times = t.reshape(-1).to(slope.device, torch.float64)
        rate, weight = sde.drift_rate(times), 0.5 * sde.diffusion(times) ** 2
        return (size * rate).to(slope) - weight.to(slope) * slope
    known = sde.at(t)
    return size * known.drift_rate - 0.5 * known.diffusion**2 * slope


def _time_dtype(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def checked_level(level: float) -> float:
    """The stochasticity, if it is a finite number of at least 0.

    Raises:
        ArgumentError: if it is anything else.
    """
    found = number(level)
    if found is None:
        raise ArgumentError("stochasticity", level, "a number of at least 0, or a function of t")
    if not 0.0 <= found < math.inf:
        raise ArgumentError(
            "stochasticity", level, "a finite number of at least 0",
            "1 is the reverse SDE, 0 the probability flow.",
        )  # fmt: skip
    return found
