r"""A score model that asks its network only where the data can be seen.

Where the noise is much larger than the data, x_t tells nothing of x_0 but its mean, and every law
has the score of a Gaussian.  An evaluation of the network there is spent for nothing.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from sdeplug.errors import ArgumentError, PairingError, brief
from sdeplug.score.checked import checked
from sdeplug.score.model import ScoreModel, asked_rows, error_of, for_rows, with_divergence
from sdeplug.score.pairing import check_pair
from sdeplug.score.wrapper import Wrapper
from sdeplug.sde import LinearSDE, expand, in_float32
from sdeplug.values import as_tensor, number


class AnalyticFirst(Wrapper):
    r"""A score model that asks no network while the data cannot be seen: the analytic first step.

    From a noise ratio :math:`\sigma / \alpha` of ``above`` on it gives the score that the data
    would have if they were a Gaussian N(mean, std^2 I),

    .. math:: \nabla \log p_t(x) = \frac{\alpha m - x}{\alpha^2 s^2 + \sigma^2},

    elsewhere that of the model.  An evaluation in which the model is asked for no row is not
    counted, so that every sampler has one more for the same price: Dockhorn et al.,
    arXiv 2210.05475, section 4.  It stands around everything else that makes up the score, such as
    guidance, which would ask both of its models.

    Each call looks at the times of its rows; on an accelerator that waits for what is before it.

    Attributes:
        score_model: the model to ask where the data can be seen.
        sde: the forward SDE of both.
        mean: mean of the data, a number or a tensor that broadcasts against one sample.
        std: standard deviation of the data around it, likewise; 0 or more.
        above: least noise ratio at which the model is not asked.  None: at the horizon of the SDE
            alone, which is where a run begins, as in the paper.

    Raises:
        PairingError: if a part is not what it should be, or the model is that of another SDE.
        ArgumentError: for a mean or a standard deviation of another kind, and for a noise ratio
            that the SDE does not reach.
    """

    def __init__(
        self,
        score_model: ScoreModel,
        sde: LinearSDE,
        mean: float | Tensor,
        std: float | Tensor,
        above: float | None = None,
    ) -> None:
        order = "The order is AnalyticFirst(score_model, sde, mean, std)."
        if not callable(score_model):
            raise PairingError(
                f"score_model = {score_model!r}: must be a callable (x, t) -> score. {order}"
            )
        if not isinstance(sde, LinearSDE):
            raise PairingError(
                f"sde = {brief(sde)}: must be a LinearSDE, such as VPSDE(), that of the model. "
                f"{order}"
            )
        check_pair(sde, score_model)
        self.score_model, self._sde, self.above = score_model, sde, above
        self.mean, self.std = _statistic("mean", mean), _statistic("std", std, least=0.0)
        self._since = _time_of(sde, above)

    def __repr__(self) -> str:
        names = ("score_model", "sde", "mean", "std", "above")
        shown = (f"{name}={brief(getattr(self, name), 1000)}" for name in names)
        return f"AnalyticFirst({', '.join(shown)})"

    @classmethod
    def of(
        cls,
        score_model: ScoreModel,
        sde: LinearSDE,
        data: Tensor | np.ndarray,
        above: float | None = None,
    ) -> AnalyticFirst:
        """With the mean and the standard deviation of data, coordinate by coordinate.

        Args:
            score_model: the model to ask where the data can be seen.
            sde: the forward SDE of both.
            data: some of the data as the model knows them, floating-point and finite, shape
                ``(N, *D)``.
            above: least noise ratio at which the model is not asked.

        Raises:
            ArgumentError: for data that are none, besides what the class itself refuses.
        """
        x = as_tensor(data)
        sound = isinstance(x, Tensor) and x.is_floating_point() and x.ndim > 1 and x.numel() > 0
        if not isinstance(x, Tensor) or not sound or not bool(x.isfinite().all()):
            shown = f"{tuple(x.shape)}, {x.dtype}" if isinstance(x, Tensor) else data
            raise ArgumentError(
                "data", shown, "floating-point numbers of shape (N, *D), all finite, N above 0",
                "In the range in which the model knows them: images are often -1 to 1.",
            )  # fmt: skip
        variance, mean = torch.var_mean(in_float32(x), dim=0, correction=0)
        return cls(score_model, sde, mean, variance.sqrt(), above)

    @property
    def sde(self) -> LinearSDE:
        """The forward SDE of both."""
        return self._sde

    @property
    def error(self) -> float | None:
        """That of the model inside; unknown around an exact one, since the Gaussian is not."""
        return error_of(self.score_model) or None

    def asked(self, t: Tensor) -> Tensor:
        """Whether the model is asked for a row: bool, shape ``(B,)``, for times of that shape."""
        here = t < self._since
        inside = asked_rows(self.score_model, t)
        return here if inside is None else here & inside

    def through(self, model: ScoreModel, x: Tensor, t: Tensor) -> Tensor:
        """The score: that of the model for the rows where the data can be seen.

        Raises:
            ArgumentError: if the mean or the standard deviation does not fit a sample.
        """
        seen = t < self._since
        count = int(seen.sum())
        if count == len(x):
            return model(x, t)
        known = self._gaussian(x, t)
        if not count:
            return known
        rows = seen.nonzero().flatten()
        some = checked(for_rows(model, rows)(x[rows], t[rows]), x[rows])
        return known.index_copy(0, rows, some.to(known.dtype))

    def through_with_divergence(
        self, model: ScoreModel, x: Tensor, t: Tensor
    ) -> tuple[Tensor, Tensor] | None:
        """The score and its divergence, where both are known in all rows."""
        rows = (t < self._since).nonzero().flatten()
        if len(rows) == len(x):
            return with_divergence(model, x, t)
        score, divergence = self._gaussian(x, t), self._shrinking(x, t)
        if not len(rows):
            return score, divergence
        found = with_divergence(for_rows(model, rows), x[rows], t[rows])
        if found is None:
            return None
        some = (each.to(x.dtype) for each in found)
        return score.index_copy(0, rows, next(some)), divergence.index_copy(0, rows, next(some))

    def _gaussian(self, x: Tensor, t: Tensor) -> Tensor:
        wide = in_float32(x)
        alpha, variance = self._law(wide, t)
        return ((alpha * _for_sample("mean", self.mean, wide) - wide) / variance).to(x.dtype)

    def _shrinking(self, x: Tensor, t: Tensor) -> Tensor:
        """The divergence of the Gaussian's score: ``(B,)``."""
        wide = in_float32(x)
        rates = self._law(wide, t)[1].reciprocal().expand_as(wide)
        return -rates.flatten(1).sum(1).to(x.dtype)

    def _law(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """alpha, and the variance of each coordinate of x_t; both broadcast against x."""
        times = t.to(torch.float64)
        levels = (self.sde.alpha(times), self.sde.sigma(times))
        alpha, sigma = (expand(each.to(x), x) for each in levels)
        return alpha, (alpha * _for_sample("std", self.std, x)) ** 2 + sigma**2


def _statistic(name: str, value: object, least: float = -math.inf) -> float | Tensor:
    """A number, or a tensor of them, that is finite and not below the least."""
    single = number(value)
    if single is not None and math.isfinite(single) and single >= least:
        return float(single)
    if single is None and isinstance(value, Tensor) and _all_at_least(value, least):
        return value
    bound = "" if least == -math.inf else f", at least {least:g}"
    shown = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else value
    raise ArgumentError(
        name, shown, f"a finite number{bound}, or a floating-point tensor for one sample",
        "AnalyticFirst.of(score_model, sde, data) takes it from data.",
    )  # fmt: skip


def _all_at_least(value: Tensor, least: float) -> bool:
    return value.is_floating_point() and bool((value.isfinite() & (value >= least)).all())


def _for_sample(name: str, value: float | Tensor, x: Tensor) -> float | Tensor:
    if not isinstance(value, Tensor):
        return value
    shape, pairs = x.shape[1:], zip(reversed(value.shape), reversed(x.shape[1:]), strict=False)
    if value.ndim > len(shape) or any(mine not in (1, its) for mine, its in pairs):
        raise ArgumentError(
            name, f"a tensor of shape {tuple(value.shape)}",
            f"one that broadcasts against one sample, of shape {tuple(shape)}",
        )  # fmt: skip
    return value.to(x)


def _time_of(sde: LinearSDE, above: float | None) -> float:
    """The time from which on the noise ratio is at least ``above``."""
    if above is None:
        return sde.horizon
    ratio, most = number(above), math.exp(-0.5 * sde.at(sde.horizon).log_snr)
    if ratio is None or not 0.0 < ratio <= most * (1.0 + 1e-6):
        raise ArgumentError(
            "above", above, f"a noise ratio sigma / alpha above 0 and at most {most:.4g}",
            "That is the largest from which a run under this SDE begins; None stands for it.",
        )  # fmt: skip
    wanted = torch.tensor(-2.0 * math.log(ratio), dtype=torch.float64, device="cpu")
    return float(sde.time_at(wanted))
