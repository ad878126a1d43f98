r"""What a network says at one level of noise, against the noise that was added.

Of data :math:`x_0` it sees :math:`x = \alpha x_0 + \sigma \epsilon`, and predicts
:math:`\hat\epsilon = -\sigma s(x, t)`.  The best answer is
:math:`\epsilon^* = E[\epsilon | x]`, and

.. math::
    E|\epsilon - \hat\epsilon|^2 = E|\epsilon - \epsilon^*|^2 + E|\hat\epsilon - \epsilon^*|^2.

The first term is irreducible, and known for an exact target only.  For data there is a bound: any
other predictor has a loss of at least the irreducible one, so that what a *mixture* of the network
with simple ones gains over the network is a part of its error.  The error is at least that.

All means are over rows and coordinates; a loss of 1 is that of an answer of 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdeplug.compare import Estimate
from sdeplug.noise import NoiseSource
from sdeplug.pipeline import last_time
from sdeplug.reverse import ReverseSDE
from sdeplug.sde import LinearSDE
from sdeplug.targets import Empirical, Target
from sdeplug.tuning.fitted import gaussian
from sdeplug.tuning.held import Held
from sdeplug.tuning.jackknife import estimate, without_each
from sdeplug.tuning.told import predicted_noise, retold

SHIFT = 0.25  # nats of log-SNR that the network is told too much, or too little
_REACH = 4.0  # shifts that a parabola is believed for
_LARGER = 1.1  # factor of the state


@dataclass(frozen=True)
class Level:
    """What a network says at one level of noise.

    Attributes:
        t: time.
        log_snr: log(alpha^2 / sigma^2), in nats.
        loss: denoising loss, the mean square of the noise less the predicted one.
        excess: how far it is above that of the best Gaussian for the data: above 0, the network
            is wrong, and below it nothing is said.
        irreducible: loss of the exact score; None for data.
        error: relative error of the predicted noise: its root mean square, for data at least that.
        slope: what the predicted noise should be multiplied with; 1 is right.
        bias: mean square of the mean error over rows, without its noise: below 0 half of the
            time where there is none.
        shift: nats of log-SNR that the network should be told more.
        label_gain: what of the loss another label mends.
        slope_gain: what of it the slope mends.
        response: how much the predicted noise follows the size of the state; 1: in proportion.
        expected: how much that of the best Gaussian, or the exact score, does.
        change: relative change of what the network says when it is told a time far away.
    """

    t: float
    log_snr: float
    loss: Estimate
    excess: Estimate
    irreducible: Estimate | None
    error: Estimate
    slope: Estimate
    bias: Estimate
    shift: Estimate
    label_gain: float
    slope_gain: float
    response: float
    expected: float
    change: float


@dataclass(frozen=True, eq=False)
class References:
    """Reverse SDEs of what is known without the network.

    Attributes:
        gaussian: of the best Gaussian for the data.
        other: of the exact score; of the known rows of data, where there is no such.
        exact: whether it is exact.
    """

    gaussian: ReverseSDE
    other: ReverseSDE
    exact: bool

    @classmethod
    def of(cls, held: Held, sde: LinearSDE) -> References:
        """Those for data or a target."""
        other: Target = Empirical(held.known) if held.target is None else held.target
        known: tuple[Target, Target] = (gaussian(held.known), other)
        plain, better = (ReverseSDE(sde, each.score(sde)) for each in known)
        return cls(plain, better, held.target is not None)


@dataclass(frozen=True, eq=False)
class _Seen:
    """Rows on their way to noise, flat: what was added, and what is said of it."""

    x: Tensor
    noise: Tensor
    said: Tensor

    def errors(self, said: Tensor) -> Tensor:
        """Mean square of the error of each row, of another answer."""
        return (self.noise - said).square().flatten(1).mean(1).double()


def looked_at(
    reverse: ReverseSDE, references: References, x0: Tensor, times: tuple[float, float],
    noise: NoiseSource,
) -> Level:  # fmt: skip
    """Look at the network at one level: five evaluations of the rows, three where runs end.

    Args:
        reverse: with the network.
        references: what it is measured against.
        x0: data, shape ``(B, *D)``.
        times: the time, and one far away.
        noise: where the added noise comes from.
    """
    t, far = times
    at = reverse.linear.at(t)
    epsilon = noise.normal(x0)
    x = at.alpha * x0 + at.sigma * epsilon
    seen = _Seen(x, epsilon, predicted_noise(reverse, x, t))
    plain, other = (predicted_noise(each, x, t) for each in (references.gaussian, references.other))
    own = seen.errors(seen.said)
    shift, label_gain = _label(reverse, seen, t)
    slope, slope_gain = _slope(seen)
    expecting = references.other if references.exact else references.gaussian
    return Level(
        t=t,
        log_snr=at.log_snr,
        loss=_mean(own),
        excess=_mean(own - seen.errors(plain)),
        irreducible=_mean(seen.errors(other)) if references.exact else None,
        error=_exact(seen.said - other) if references.exact else _at_least(seen, plain, other),
        slope=slope,
        bias=_bias(seen.noise - seen.said),
        shift=shift,
        label_gain=label_gain,
        slope_gain=slope_gain,
        response=_response(reverse, seen, t),
        expected=_response(expecting, replace(seen, said=predicted_noise(expecting, x, t)), t),
        change=_change(seen, retold(reverse, x, t, far)),
    )


def _mean(rows: Tensor) -> Estimate:
    return Estimate(float(rows.mean()), float(rows.std() / math.sqrt(len(rows))))


def _exact(errors: Tensor) -> Estimate:
    """Root mean square of errors, with its standard error."""
    return root(_mean(errors.square().flatten(1).mean(1).double()))


def _at_least(seen: _Seen, *others: Tensor) -> Estimate:
    """What of the error a mixture with other answers mends, fitted to one half for the other."""
    answers = torch.stack([seen.said, *others]).flatten(2).double()
    wanted = seen.noise.flatten(1).double()
    halves = torch.arange(len(wanted), dtype=torch.int64, device=wanted.device) % 2
    mixed = torch.empty_like(wanted)
    for half in (0, 1):
        fit, rest = answers[:, halves != half].flatten(1), answers[:, halves == half]
        target = fit @ wanted[halves != half].flatten()
        weights = torch.linalg.lstsq((fit @ fit.T).cpu(), target.cpu()).solution.to(target)
        mixed[halves == half] = torch.einsum("k,krd->rd", weights, rest)
    gains = seen.errors(seen.said) - (wanted - mixed).square().mean(1)
    return root(_mean(gains))


def root(square: Estimate) -> Estimate:
    """The root of a mean square that may be estimated below 0."""
    error = square.error or 0.0
    value = math.sqrt(max(square.mean, 0.0))
    return Estimate(value, min(0.5 * error / value if value else math.inf, math.sqrt(error)))


def _slope(seen: _Seen) -> tuple[Estimate, float]:
    """What the predicted noise should be multiplied with, and what that mends."""
    said, wanted = seen.said.flatten(1).double(), seen.noise.flatten(1).double()
    along, size = (said * wanted).mean(1), said.square().mean(1)

    def slope(rows: Tensor) -> float:
        return float(along[rows].sum() / size[rows].sum().clamp(min=1e-300))

    found = estimate(without_each(slope, len(said)))
    return found, (found.mean - 1.0) ** 2 * float(size.mean())


def _bias(errors: Tensor) -> Estimate:
    """Mean square of the mean error, over coordinates, without the part that chance has."""
    flat = errors.flatten(1).double()

    def squared(rows: Tensor) -> float:
        some = flat[rows]
        total = some.sum(0).square().sum() - some.square().sum()
        return float(total) / (len(rows) * (len(rows) - 1) * some.shape[1])

    return estimate(without_each(squared, len(flat)))


def _label(reverse: ReverseSDE, seen: _Seen, t: float) -> tuple[Estimate, float]:
    """How many nats more the network should be told, and what that mends: a parabola.

    Where runs end it cannot be told of less noise, so that nothing is said there.
    """
    sde = reverse.linear
    if t <= last_time(sde):
        return Estimate(0.0, math.inf), 0.0
    middle = seen.errors(seen.said)
    around = []
    for step in (-SHIFT, SHIFT):
        told = time_at(sde, sde.at(t).log_snr + step)
        around.append([seen.errors(each) for each in retold(reverse, seen.x, t, told)])
    best: tuple[Estimate, float] = (Estimate(0.0, math.inf), 0.0)
    for low, high in zip(*around, strict=True):

        def vertex(rows: Tensor, low: Tensor = low, high: Tensor = high) -> float:
            return _vertex(*(float(each[rows].mean()) for each in (low, middle, high)))[0]

        where = estimate(without_each(vertex, len(middle)))
        gain = _vertex(*(float(each.mean()) for each in (low, middle, high)))[1]
        if gain > best[1]:
            best = (where, gain)
    return best


def _vertex(low: float, middle: float, high: float) -> tuple[float, float]:
    """Where a parabola through three losses is least, and its fall."""
    bend, tilt = low + high - 2.0 * middle, 0.5 * (high - low)
    if bend <= 0.0:
        best = min(low, middle, high)
        return (0.0 if best == middle else SHIFT if best == high else -SHIFT), middle - best
    place = min(max(-tilt / bend, -_REACH), _REACH)
    return SHIFT * place, -(tilt * place + 0.5 * bend * place**2)


def time_at(sde: LinearSDE, log_snr: float) -> float:
    """The time at which the log-SNR has a value."""
    return float(sde.time_at(torch.tensor(log_snr, dtype=torch.float64, device="cpu")))


def _response(reverse: ReverseSDE, seen: _Seen, t: float) -> float:
    """How much the predicted noise follows the size of the state."""
    moved = predicted_noise(reverse, _LARGER * seen.x, t) - seen.said
    along = float((moved * seen.said).double().sum())
    return along / (_LARGER - 1.0) / max(float(seen.said.double().square().sum()), 1e-300)


def _change(seen: _Seen, others: list[Tensor]) -> float:
    """The least relative change of what is said over what a network may predict."""
    size = float(seen.said.double().square().sum())
    moved = min(float((each - seen.said).double().square().sum()) for each in others)
    return math.sqrt(moved / max(size, 1e-300))
