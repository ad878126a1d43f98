r"""The schedule of a network that was trained on a table of noise levels.

A denoising diffusion model has N levels, :math:`\bar\alpha_i = \prod_{j \le i} (1 - \beta_j)`,
and its network was told the number i of the level.  Level i is put at the time t = (i + 1) / N,
and the data, on which no noise lies, at t = 0; between them log alpha is interpolated, so that
alpha, sigma, a and g belong together at every time.

Reference: Ho et al., arXiv 2006.11239, section 2; Song et al., arXiv 2011.13456, appendix C.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError
from sdeplug.options import option
from sdeplug.sde.cubic import MonotoneCubic
from sdeplug.sde.elementwise import elementwise
from sdeplug.sde.linear import LinearSDE
from sdeplug.sde.schedules import BUILTIN_SDES, VariancePreserving

_TABLES = ("betas", "alphas_cumprod", "sigmas")


@dataclass(frozen=True, repr=False)
class TabulatedSDE(LinearSDE):
    """The schedule of a network that was trained on a table of noise levels.

    One table is given, in the order of the network's labels: ``betas`` or ``alphas_cumprod`` of
    a denoising diffusion model, with x = sqrt(alphas_cumprod) x_0 + sqrt(1 - alphas_cumprod)
    noise, or ``sigmas``, rising or falling, with x = x_0 + sigma noise.  At the times
    (i + 1) / N of the N levels alpha and sigma are those of the table.  ``betas`` are the best
    to give: in float32 the first of ``alphas_cumprod`` have lost four digits of 1 minus them.

    Last levels with alpha = 0 (zero terminal SNR) say nothing of the data: time ends before them.

    Raises:
        ArgumentError: unless one table is given, of two levels at least, with noise that grows
            at each: betas in (0, 1), alphas_cumprod falling, sigmas rising or falling, above 0.
    """

    betas: tuple[float, ...] | None = option(None, help="table of a DDPM: beta", ge=0.0, le=1.0)
    alphas_cumprod: tuple[float, ...] | None = option(
        None, help="table of a DDPM: alpha^2, falling", ge=0.0, le=1.0
    )
    sigmas: tuple[float, ...] | None = option(None, help="table of noise levels", gt=0.0)
    T: float = option(1.0, help="end of time, at most that of the last level with data", gt=0.0)
    eps: float = option(None, help="smallest time of sampling; None: the first level", ge=0.0)

    def __post_init__(self) -> None:
        given = [name for name in _TABLES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ArgumentError("tables", given, f"one of {', '.join(_TABLES)}")
        first = self.eps is None
        if first:
            object.__setattr__(self, "eps", 0.0)  # until the table is known to be one
        super().__post_init__()
        last = (len(self._line) - 1) / self.levels
        object.__setattr__(self, "T", min(self.T, last))
        if first:
            object.__setattr__(self, "eps", 1.0 / self.levels)

    def __repr__(self) -> str:
        name = next(each for each in _TABLES if getattr(self, each) is not None)
        table = f"<{self.levels} levels>"
        return f"{type(self).__name__}({name}={table}, T={self.T:g}, eps={self.eps:g})"

    @property
    def levels(self) -> int:
        """N: the length of the table."""
        return len(self.betas or self.alphas_cumprod or self.sigmas or ())

    @elementwise
    def label(self, t: Tensor) -> Tensor:
        """The network's own label at time t, elementwise: a real number in [0, N - 1].

        N t - 1, and N - N t where the table begins with the most noise; whole at the levels, to
        rounding.  A network that has learned a vector for each level takes :meth:`index`.
        """
        label = (self.levels * t - 1.0).clamp(0.0, self.levels - 1.0)
        return self.levels - 1.0 - label if self._reversed else label

    def index(self, t: Tensor) -> Tensor:
        """The number of the level nearest to time t, elementwise: int64, in [0, N - 1]."""
        return self.label(t).round().long()

    def time_of(self, label: float) -> float:
        """The time of a label, in [0, 1]: (label + 1) / N, counted from the other end where the
        table begins with the most noise.

        Raises:
            ArgumentError: unless 0 <= label <= N - 1.
        """
        if not 0.0 <= label <= self.levels - 1:
            raise ArgumentError("label", label, f"a label in [0, N - 1] = [0, {self.levels - 1}]")
        return ((self.levels - 1 - label if self._reversed else label) + 1.0) / self.levels

    def log_alpha(self, t: Tensor) -> Tensor:
        """log alpha, elementwise."""
        return self._between.log_alpha(t)

    def sigma(self, t: Tensor) -> Tensor:
        """sigma, elementwise."""
        return self._between.sigma(t)

    def drift_rate(self, t: Tensor) -> Tensor:
        """d log alpha / dt, elementwise."""
        return self._between.drift_rate(t)

    def diffusion(self, t: Tensor) -> Tensor:
        """g, elementwise."""
        return self._between.diffusion(t)

    @property
    def prior_std(self) -> float:
        """1, or the largest sigma of a table of sigmas."""
        return self._between.prior_std

    @property
    def _reversed(self) -> bool:
        return self.sigmas is not None and self.sigmas[0] > self.sigmas[-1]

    @cached_property
    def _line(self) -> Tensor:
        """log alpha, or log sigma, at t = 0, 1 / N, ...; without levels of noise alone."""
        if self.betas is not None:
            betas = _table("betas", self.betas)
            return _accumulated(torch.log1p(-betas), "betas", betas)
        if self.alphas_cumprod is not None:
            kept = _table("alphas_cumprod", self.alphas_cumprod)
            steps = kept.log().diff(prepend=kept.new_zeros(1))
            return _accumulated(steps, "alphas_cumprod", kept)
        logs = _table("sigmas", self.sigmas).log()
        logs = logs.flip(0) if self._reversed else logs
        if not bool((logs.diff() > 0.0).all()):
            at = int((logs.diff() <= 0.0).nonzero()[0])
            pair = logs[at : at + 2].exp().tolist()
            raise ArgumentError("sigmas", pair, "rising or falling from level to level")
        return torch.cat((2.0 * logs[:1] - logs[1:2], logs))

    @cached_property
    def _between(self) -> LinearSDE:
        kind = _Exploding if self.sigmas is not None else _Preserving
        return kind(MonotoneCubic(self._line), self.levels, self.T)


class _Preserving(VariancePreserving):
    """sigma^2 = 1 - alpha^2, and a cubic through log alpha at multiples of 1 / levels."""

    def __init__(self, cubic: MonotoneCubic, levels: int, end: float) -> None:
        self.cubic, self.levels, self.T = cubic, levels, end

    def log_alpha(self, t: Tensor) -> Tensor:
        return self.cubic(self.levels * t)

    def drift_rate(self, t: Tensor) -> Tensor:
        return self.levels * self.cubic.slope(self.levels * t)


class _Exploding(LinearSDE):
    """alpha = 1, and a cubic through log sigma at multiples of 1 / levels."""

    def __init__(self, cubic: MonotoneCubic, levels: int, end: float) -> None:
        self.cubic, self.levels, self.T = cubic, levels, end

    def log_alpha(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        return self.cubic(self.levels * t).exp()

    def drift_rate(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t)

    def diffusion(self, t: Tensor) -> Tensor:
        rate = self.levels * self.cubic.slope(self.levels * t)
        return self.sigma(t) * (2.0 * rate).clamp(min=0.0).sqrt()


def _table(name: str, values: tuple[float, ...] | None) -> Tensor:
    if values is None or len(values) < 2:
        raise ArgumentError(name, values, "a table of two levels at least")
    return torch.tensor(values, dtype=torch.float64, device="cpu")


def _accumulated(steps: Tensor, name: str, table: Tensor) -> Tensor:
    """log alpha at t = 0 and after each level, without the last of minus infinity.

    Args:
        steps: what each level adds to 2 log alpha.
        name: of the table, for errors.
        table: as it was given.
    """
    finite = int(steps.isfinite().cumprod(0).sum())
    rest, steps = steps[finite:], steps[:finite]
    wrong = (steps >= 0.0).nonzero().flatten().tolist()
    if len(rest) and bool(table[finite:].ne(table[-1]).any()):
        wrong.append(finite)
    if wrong or len(steps) < 2:
        at = wrong[0] if wrong else len(steps)
        wanted = "in (0, 1)" if name == "betas" else "above 0, and below the one before"
        raise ArgumentError(
            f"{name}[{at}]", float(table[at]), f"{wanted}; only the last may be noise alone"
        )
    return torch.cat((-steps.new_zeros(1), 0.5 * steps.cumsum(0)))  # -0.0: sigma(0) is then +0.0


NAMED_SDES: Mapping[str, type[LinearSDE]] = MappingProxyType(
    {**BUILTIN_SDES, "tabulated": TabulatedSDE}
)
"""The forward SDEs that are named ``core/...``: those of the field, and the table."""
