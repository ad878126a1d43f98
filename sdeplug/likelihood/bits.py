r"""Bits per dimension, term by term.

Data of L levels, k = 0 ... L - 1, lie in [a, b] as x = a + (b - a)(k + u) / L with u in [0, 1).
A model with the density p then gives the level the probability of its bin, and with u uniform

.. math:: \log P(k) \ge E_u\,\big[\log p(x)\big] + D \log\frac{b - a}{L},

by Jensen's inequality.  The last term is the constant of the reference implementation of Song et
al.: in bits per dimension it is log2(256) - log2(2) = 7 for [-1, 1], and 8 for [0, 1].

Reference: Theis et al., arXiv 1511.01844; with K draws of u: Ho et al., arXiv 1902.00275, and
Burda et al., arXiv 1509.00519.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError, argument_type
from sdeplug.likelihood.arguments import checked_noise
from sdeplug.likelihood.density import Likelihood
from sdeplug.noise import NoiseSource
from sdeplug.values import number


@dataclass(frozen=True, eq=False, repr=False)
class BitsPerDim:
    """Negative log-probability in bits per dimension, and the terms that it is the sum of.

    Each term has one number for each image, shape ``(B,)``.

    Attributes:
        prior: of the latent under the prior.
        flow: what the flow stretches.
        rescaling: of a density on the data range to a probability of levels: one number, repeated.
        dequantisation: what several draws of u gain over one, at most 0.
        truncation: from the time of the density to the data.
        std_error: standard error over the probes, ``(B,)``; None where there is none.
    """

    prior: Tensor
    flow: Tensor
    rescaling: Tensor
    dequantisation: Tensor
    truncation: Tensor
    std_error: Tensor | None

    @property
    def terms(self) -> dict[str, Tensor]:
        """The terms by name."""
        names = ("prior", "flow", "rescaling", "dequantisation", "truncation")
        return {name: getattr(self, name) for name in names}

    @property
    def total(self) -> Tensor:
        """Their sum: shape ``(B,)``."""
        return torch.stack(tuple(self.terms.values())).sum(0)

    @property
    def mean(self) -> float:
        """Mean of the total over the images."""
        return float(self.total.detach().mean())

    def __repr__(self) -> str:
        parts = (f"{name} {float(each.detach().mean()):+.4f}" for name, each in self.terms.items())
        return f"BitsPerDim({self.mean:.4f} = {' '.join(parts)})"


def bits_per_dim(
    likelihood: Likelihood,
    *,
    levels: int | None = 256,
    data_range: Sequence[float] = (-1.0, 1.0),
    truncation: Tensor | None = None,
    draws: int = 1,
) -> BitsPerDim:
    """Bits per dimension of what :func:`log_likelihood` says of images.

    Args:
        likelihood: that of :func:`dequantised` images.
        levels: values that a pixel can have; None: data are real numbers, and not rescaled.
        data_range: the ends of the range that the levels share.
        truncation: what :func:`truncated` gave in nats, ``(B * draws,)``; None:
            the density is taken where it is.
        draws: rows of one image, next to each other; above 1 the bound is the importance-weighted
            one, the logarithm of a mean over draws, which is the tighter the more there are.

    Raises:
        ArgumentError: for arguments that do not fit.
    """
    if not isinstance(likelihood, Likelihood):
        argument_type("likelihood", likelihood, "a Likelihood", "log_likelihood(...) gives one.")
    low, high = _checked_range(data_range)
    rows, size = len(likelihood.log_prob), likelihood.latent[0].numel()
    _check_draws(draws, rows)
    bit = -1.0 / (size * math.log(2.0))
    blank = torch.zeros_like(likelihood.prior)
    cut = blank if truncation is None else _checked_truncation(truncation, blank)
    parts = [each.reshape(-1, draws) for each in (likelihood.prior, likelihood.flow, cut)]
    each_draw = torch.stack(parts).sum(0)
    whole = each_draw.logsumexp(1) - math.log(draws)
    prior, flow, cut = (bit * each.mean(1) for each in parts)
    scale = 0.0 if levels is None else math.log2(_checked_levels(levels) / (high - low))
    return BitsPerDim(
        prior, flow, torch.full_like(prior, scale), bit * (whole - each_draw.mean(1)), cut,
        _std_error(likelihood.std_error, each_draw, -bit),
    )  # fmt: skip


def dequantised(
    images: Tensor,
    noise: NoiseSource | None = None,
    *,
    levels: int = 256,
    data_range: Sequence[float] = (-1.0, 1.0),
    draws: int = 1,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Images of whole levels as real numbers: a + (b - a)(k + u) / L with u uniform in [0, 1).

    Args:
        images: whole numbers from 0 to levels - 1, of any dtype: shape ``(B, *D)``.
        noise: where u comes from; None: ``SharedNoise(0)``.
        levels: L, values that a pixel can have.
        data_range: a and b.
        draws: how many rows to make of one image.
        dtype: dtype of the result.

    Returns:
        Shape ``(B * draws, *D)``, the rows of one image next to each other.

    Raises:
        ArgumentError: for images in another range, or of other numbers than whole ones.
    """
    low, high = _checked_range(data_range)
    count = _checked_levels(levels)
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1:
        raise ArgumentError("draws", draws, "a whole number of at least 1")
    source = checked_noise(noise).stream("dequantised")
    k = _checked_images(images, count).to(torch.float64)
    # The number at which the normal distribution function is u has the law of u itself.
    u = torch.stack([torch.special.ndtr(source.normal(k)) for _ in range(draws)], 1)
    x = low + (high - low) / count * (k[:, None] + u)
    return x.flatten(0, 1).to(dtype)


def _std_error(given: Tensor | None, values: Tensor, bit: float) -> Tensor | None:
    """That of the logarithm of a mean over draws: each draw counts with its weight."""
    if given is None:
        return None
    share = values.softmax(1)
    return bit * (share * given.reshape(share.shape)).square().sum(1).sqrt()


def _checked_range(data_range: object) -> tuple[float, float]:
    ends = tuple(map(number, data_range)) if isinstance(data_range, Sequence) else ()
    if len(ends) != 2 or None in ends or not -math.inf < ends[0] < ends[1] < math.inf:  # type: ignore[operator]
        raise ArgumentError("data_range", data_range, "two numbers, the lower first", "(-1, 1).")
    return ends  # type: ignore[return-value]


def _checked_levels(levels: object) -> int:
    if isinstance(levels, bool) or not isinstance(levels, int) or levels < 2:
        raise ArgumentError("levels", levels, "a whole number of at least 2")
    return levels


def _check_draws(draws: object, rows: int) -> None:
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1 or rows % draws:
        raise ArgumentError(
            "draws", draws, f"a whole number that divides the {rows} rows of the likelihood",
            "It is that of dequantised(images, draws=...).",
        )  # fmt: skip


def _checked_truncation(truncation: object, like: Tensor) -> Tensor:
    if not isinstance(truncation, Tensor) or truncation.shape != like.shape:
        given = tuple(truncation.shape) if isinstance(truncation, Tensor) else truncation
        raise ArgumentError(
            "truncation", given, f"a tensor of shape {tuple(like.shape)}, in nats",
            "truncated(reverse, x).nats is one.",
        )  # fmt: skip
    return truncation.to(like)


def _checked_images(images: object, levels: int) -> Tensor:
    hint = "Images in [-1, 1] become levels by ((x + 1) / 2 * (levels - 1)).round()."
    if not isinstance(images, Tensor) or images.ndim < 2:
        given = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise ArgumentError("images", given, "a tensor of shape (B, *D)")
    wide = images.to(torch.float64)
    if not bool(((wide >= 0) & (wide <= levels - 1) & (wide == wide.round())).all()):
        low, high = float(wide.min()), float(wide.max())
        allowed = f"whole numbers from 0 to levels - 1 = {levels - 1}"
        raise ArgumentError("images", f"numbers from {low:g} to {high:g}", allowed, hint)
    return images
