"""The bench that checks put a solver on: targets, SDEs and spans with exact scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, lru_cache

import torch
from torch import Tensor

from sdeplug.compose import Denoise
from sdeplug.grid import At
from sdeplug.noise import NoiseSource, PerSampleNoise, SharedNoise
from sdeplug.options import option
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.score import ScoreModel
from sdeplug.sde import EDMSDE, VESDE, VPSDE, CosineVPSDE, ForwardSDE, LinearSDE, SubVPSDE, expand
from sdeplug.solvers import Corrector, Integrator
from sdeplug.targets import Gaussian
from sdeplug.testing.claimed import first_level
from sdeplug.testing.findings import NotApplicable
from sdeplug.testing.memory import remembered

Solver = Integrator | Corrector

SPECTRUM = (0.01, 0.1, 0.25, 1.0, 4.0)
"""Variances of the Gaussian target along its principal axes."""


def gaussian(spectrum: Sequence[float] = SPECTRUM) -> Gaussian:
    """A Gaussian with the given variances on the axes, off the origin."""
    return _gaussian(tuple(spectrum))


@lru_cache(16)
def _gaussian(spectrum: tuple[float, ...]) -> Gaussian:
    mean = torch.linspace(-1.0, 1.0, len(spectrum), dtype=torch.float64, device="cpu")
    return Gaussian(mean, torch.diag(torch.tensor(spectrum, dtype=torch.float64, device="cpu")))


def gaussian_score(sde: LinearSDE, spectrum: Sequence[float] = SPECTRUM) -> ScoreModel:
    """The score of :func:`gaussian`; that of the target says the same at ten times the cost."""
    return _gaussian_score(sde, tuple(spectrum))


@remembered(16)  # checks ask for the same ones, at the same times
def gaussian_law(
    sde: LinearSDE, spectrum: tuple[float, ...] = SPECTRUM
) -> Callable[[float], tuple[Tensor, Tensor]]:
    """Time to mean and variances of p_t for :func:`gaussian`, each of shape ``(D,)``, float64."""
    mean = gaussian(spectrum).mean
    variance = torch.tensor(spectrum, dtype=torch.float64, device="cpu")

    @lru_cache(maxsize=4096)
    def law(t: float) -> tuple[Tensor, Tensor]:
        now = sde.at(t)
        return now.alpha * mean, now.alpha**2 * variance + now.sigma**2

    return law


@remembered(16)
def _gaussian_score(sde: LinearSDE, spectrum: tuple[float, ...]) -> ScoreModel:
    law, mean = gaussian_law(sde, spectrum), gaussian(spectrum).mean
    variance = torch.tensor(spectrum, dtype=torch.float64, device="cpu")

    def score(x: Tensor, t: Tensor) -> Tensor:
        first, last = map(float, t.aminmax())
        if first == last:
            center, spread = law(first)
        else:
            times = t.to(torch.float64)[:, None]
            alpha = sde.alpha(times)
            center, spread = alpha * mean, alpha.square() * variance + sde.sigma(times).square()
        return (center - x).div_(spread).to(x.dtype)

    return score


def by_row(function: Callable[[float], float], t: Tensor, x: Tensor) -> float | Tensor:
    """A function of time: a number where all rows have one time, else a tensor like x, but
    float64 and of shape ``(B, 1, ..., 1)``."""
    return spread([function(time) for time in times_of_rows(t)], x)


def times_of_rows(t: Tensor) -> list[float]:
    """The times of the rows: a single one where they have it in common."""
    first, last = map(float, t.aminmax())
    return [first] if first == last else t.tolist()


def spread(values: Sequence[float], x: Tensor) -> float | Tensor:
    """One number for all rows of x as it is, others in the shape ``(B, 1, ..., 1)``: float64."""
    if len(values) == 1:
        return values[0]
    return torch.tensor(values, dtype=torch.float64, device="cpu").reshape(-1, *[1] * (x.ndim - 1))


_VP, _VE = VPSDE(), VESDE()  # one of each, whose tables of times all checks share
_OTHERS = (SubVPSDE(eps=1e-2), CosineVPSDE(), EDMSDE())


@dataclass(frozen=True)
class DiagonalVP(ForwardSDE):
    r"""Variance preserving, at a rate for each coordinate: the SDE with diagonal noise.

    .. math:: dx_j = -\tfrac12 r_j \beta(t)\,x_j\,dt + \sqrt{r_j \beta(t)}\,dw_j .

    It is not a linear SDE of the core, whose alpha and sigma are numbers; but each coordinate by
    itself is one, :meth:`alone`, so that every law of a Gaussian is known.
    """

    rates: tuple[float, ...] = option((0.5, 1.0, 2.0), help="r of each coordinate")

    def alone(self, coordinate: int) -> VPSDE:
        """The SDE of one coordinate by itself."""
        rate = self.rates[coordinate]
        return VPSDE(rate * _VP.beta_min, rate * _VP.beta_max)

    def drift(self, x: Tensor, t: Tensor) -> Tensor:
        """-r beta / 2 x."""
        growth = self._growth(t)
        return (expand(growth, x) if t.ndim else growth).mul(-0.5).to(x.dtype) * x

    def diffusion(self, t: Tensor) -> Tensor:
        """sqrt(r beta): shape ``(B, D)``, or ``(D,)`` for t of shape ``()``."""
        return self._growth(t).sqrt()

    def prior(
        self,
        shape: Sequence[int],
        noise: NoiseSource,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """N(0, I)."""
        return _VP.prior(shape, noise, dtype, device)

    def prior_log_prob(self, x: Tensor) -> Tensor:
        """log N(x; 0, I)."""
        return _VP.prior_log_prob(x)

    def moments(self, t: float, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Means and variances of the coordinates at time t, from those at 0: shape ``(D,)``."""
        means, variances = self._moments(
            torch.tensor([t], dtype=torch.float64, device="cpu"), mean, variance
        )
        return means[0], variances[0]

    def score(self, mean: Tensor, variance: Tensor) -> ScoreModel:
        """The score of p_t for Gaussian data with the given moments, each of shape ``(D,)``."""

        def score(x: Tensor, t: Tensor) -> Tensor:
            means, variances = self._moments(t.to(torch.float64), mean, variance)
            return ((means - x) / variances).to(x.dtype)

        return score

    def _moments(self, t: Tensor, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        decay = _VP.log_alpha(t)[..., None] * torch.tensor(
            self.rates, dtype=torch.float64, device="cpu"
        )
        kept = (2.0 * decay).exp()
        return decay.exp() * mean, kept * variance - torch.expm1(2.0 * decay)

    def _growth(self, t: Tensor) -> Tensor:
        rates = torch.tensor(self.rates, dtype=torch.float64, device=t.device)
        return _VP.diffusion(t.to(torch.float64)).square()[..., None] * rates


def rotation() -> Tensor:
    """An orthogonal matrix that mixes all five coordinates: float64, shape ``(5, 5)``."""
    generator = torch.Generator().manual_seed(0)
    axes: Tensor = torch.linalg.qr(
        torch.randn(5, 5, generator=generator, dtype=torch.float64, device="cpu")
    )[0]
    return axes


@cache
def rotated() -> Gaussian:
    """:func:`gaussian`, rotated off the axes by :func:`rotation`."""
    straight, axes = gaussian(), rotation()
    return Gaussian(axes @ straight.mean, axes @ straight.covariance @ axes.T)


def sdes(solver: Solver) -> tuple[LinearSDE, ...]:
    """The forward SDEs that a solver is tested on.

    Raises:
        NotApplicable: if the solver works with none of them.
    """
    fitting = tuple(sde for sde in (_VP, _VE) if isinstance(sde, solver.claims.needs))
    if not fitting:
        raise NotApplicable(f"it needs a {solver.claims.needs.__name__}; the bench has VP and VE")
    return fitting


@contextmanager
def single_thread() -> Iterator[None]:
    """Let torch use one thread: on tensors of a few numbers, more of them only wait."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def parts(value: object) -> Iterator[object]:
    """A solver and what it is made of, at any depth."""
    yield value
    if is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from parts(getattr(value, each.name))


def jumps(solver: Solver) -> bool:
    """Whether it runs to time 0 only, since there is a :class:`Denoise` in it."""
    return any(isinstance(part, Denoise) for part in parts(solver))


def all_sdes(solver: Solver) -> tuple[LinearSDE, ...]:
    """The five forward SDEs, as far as a solver works with them, :func:`sdes` first.

    The eps of sub-VP is one that a step in time can resolve: its sigma falls faster than the
    others' as t goes to 0.

    Raises:
        NotApplicable: if the solver works with none of them.
    """
    return (*sdes(solver), *(sde for sde in _OTHERS if isinstance(sde, solver.claims.needs)))


def span(solver: Solver) -> tuple[float, float]:
    """A span for checks of a single call: short, a point for a corrector, to 0 for Denoise."""
    if isinstance(solver, Corrector):
        return 0.5, 0.5
    return (0.5, 0.0) if jumps(solver) else (0.5, 0.45)


def smooth(x: Tensor, t: Tensor) -> Tensor:
    """A score for any shape: that of a standard normal distribution, bent a little."""
    return -x - 0.1 * torch.sin(x)


def apply(
    solver: Solver, x: Tensor, run: Run, sde: LinearSDE, score: ScoreModel = smooth
) -> Tensor:
    """One ``integrate()`` over the :func:`span` of the solver, or one ``correct()``."""
    reverse, (t, s) = ReverseSDE(sde, score, first_level(solver)), span(solver)
    with torch.no_grad():
        if isinstance(solver, Corrector):
            return solver.correct(reverse, x, t, run)
        return solver.integrate(reverse, x, t, s, run)


def state(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """A reproducible state of the given shape."""
    return SharedNoise(1).normal(torch.empty(shape, dtype=torch.float64, device="cpu")).to(dtype)


def rows(count: int, seed: int = 0) -> Run:
    """A run whose rows have noise of their own."""
    return Run(PerSampleNoise(seed, range(count)))


@remembered(64)  # the same for every solver
def alternating(steps: int, t: float, s: float, sde: LinearSDE) -> At:
    """A grid in log-SNR whose steps have lengths h, 2h, h, 2h, ..."""
    lengths = torch.tensor([1.0, 2.0], dtype=torch.float64, device="cpu").repeat((steps + 1) // 2)[
        :steps
    ]
    ends = lengths.cumsum(0) / lengths.sum()
    start, end = sde.at(t).log_snr, sde.at(s).log_snr
    return At(tuple(sde.time_at(start + ends[:-1] * (end - start)).tolist()))


def carried(by: Integrator, reverse: ReverseSDE, end: float, x: Tensor, run: Run) -> Tensor:
    """x carried from T to a time."""
    return by.integrate(reverse, x, reverse.forward.T, end, run)
