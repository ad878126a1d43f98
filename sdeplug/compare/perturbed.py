r"""A score with an error of stated size: the second axis of a comparison.

With an exact score deterministic solvers always win.  A network is never exact, and what an
error does depends on the solver: noise forgets it, a flow carries it along.

.. math:: \tilde s(x, t) = s(x, t) + \frac{\delta}{\sigma_t} F(x, t)

where F is a smooth random field with mean square 1 in each coordinate, a sum of random Fourier
features (Rahimi & Recht 2007) in x and in the log-SNR, so that :math:`\delta` is the size of the
error of the predicted noise, whose own size is about 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from sdeplug.metrics import stream
from sdeplug.options import Configured, option
from sdeplug.score import ScoreModel, check_pair, error_of, for_rows
from sdeplug.sde import LinearSDE, expand


@dataclass(frozen=True)
class PerturbedScore(Configured):
    """A score model with a smooth random error; the same for the same seed, and a function.

    Attributes:
        score_model: the model without the error.
        sde: the SDE that it belongs to.
        size: relative size of the error of the predicted noise.
        seed: which field it is.
        scale: standard deviation of the data, which decides what is smooth.
        length: how far the field reaches, in standard deviations of p_t.
        span: how far it reaches in time, in nats of log-SNR.
        features: number of random Fourier features.
    """

    score_model: ScoreModel = option(help="the model without the error")
    sde: LinearSDE = option(help="the SDE that it belongs to")
    size: float = option(0.1, help="relative size of the error", ge=0.0)
    seed: int = option(0, help="which field it is", ge=0)
    scale: float = option(1.0, help="standard deviation of the data", gt=0.0)
    length: float = option(1.0, help="reach of the field, in deviations of p_t", gt=0.0)
    span: float = option(1.0, help="reach in time, in nats of log-SNR", gt=0.0)
    features: int = option(32, help="number of random Fourier features", ge=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pair(self.sde, self.score_model)

    @property
    def error(self) -> float | None:
        """Relative error of the noise that it predicts, where that of the model is known."""
        known = error_of(self.score_model)
        return None if known is None else math.hypot(known, self.size)

    def for_rows(self, rows: Tensor) -> PerturbedScore:
        """The same around the model for some rows of its batch."""
        return replace(self, score_model=for_rows(self.score_model, rows))

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """The score with its error: x of shape ``(B, *D)``, t of shape ``(B,)``."""
        sigma = self.sde.sigma(t.double())
        weight = expand((self.size / sigma).to(x.dtype), x)
        return self.score_model(x, t) + weight * self.field(x, t)

    def field(self, x: Tensor, t: Tensor) -> Tensor:
        """F: x of shape ``(B, *D)``, t of shape ``(B,)``, to ``(B, *D)``."""
        wide = t.double()
        alpha, sigma = self.sde.log_alpha(wide).exp(), self.sde.sigma(wide)
        norm = (alpha.square() * self.scale**2 + sigma.square()).rsqrt() / self.length
        late = (2.0 * (alpha.log() - sigma.log()) / self.span).to(x.dtype)
        place = torch.cat((x.flatten(1) * norm.to(x.dtype)[:, None], late[:, None]), dim=1)
        frequencies, phases, amplitudes = self._drawn(place)
        return torch.addmm(phases, place, frequencies).cos_().mm(amplitudes).reshape(x.shape)

    def _drawn(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Frequencies ``(D + 1, F)``, phases ``(F,)``, amplitudes ``(F, D)``, as like x."""
        key = (like.shape[1], like.dtype, like.device)
        drawn = self._memo.get(key)
        if drawn is None:
            noise, dimension = stream(self.seed, "score error"), like.shape[1] - 1
            blank = torch.empty(dimension, self.features, dtype=torch.float64, device="cpu")
            spatial = noise.normal(blank) / math.sqrt(dimension)
            frequencies = torch.cat((spatial, noise.normal(blank[:1])))
            phases = 2.0 * math.pi * torch.special.ndtr(noise.normal(blank[0]))
            amplitudes = noise.normal(blank.T) * math.sqrt(2.0 / self.features)
            drawn = (frequencies.to(like), phases.to(like), amplitudes.to(like))
            self._memo[key] = drawn
        return drawn

    @cached_property
    def _memo(self) -> dict[object, tuple[Tensor, Tensor, Tensor]]:
        return {}
