r"""How far a method is from the posterior: coverage, mean, spread and modes.

Truths are drawn from the prior and measured, and the method draws samples for each.  Each number is
computed from the samples of the method and, in the same way, from exact draws of the posterior: so
what few samples do to a number is no error of the method.  A case, one truth with its samples, is
independent of the others; the spread between cases gives the standard errors.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sdeplug.compose import Corrected, OnGrid, stepped
from sdeplug.conditioning import Measurement
from sdeplug.errors import PairingError
from sdeplug.grid import LogSNR
from sdeplug.noise import SharedNoise
from sdeplug.pipeline import Leg, Pipeline
from sdeplug.registry import solver
from sdeplug.reverse import ReverseSDE
from sdeplug.score import Counted, ScoreModel
from sdeplug.sde import VPSDE, LinearSDE
from sdeplug.solvers import Corrector, Integrator
from sdeplug.targets import GaussianMixture
from sdeplug.testing.posterior.problems import PosteriorProblem

Make = Callable[[ScoreModel, Measurement], ScoreModel | Corrector | Integrator]
"""A method: (score of the prior, measurement) to a score model of the posterior, or to a corrector
or an integrator that samples it with the score of the prior."""

LEVEL = 0.9  # of the intervals whose coverage is counted
_DIRECTIONS = 4  # besides those that are measured


@dataclass(frozen=True)
class PosteriorBench:
    """How a method is run.

    Attributes:
        sde: the forward SDE.
        steps: of the ancestral sampler, for what is a score model or a corrector, and of any
            integrator that needs a grid.
        cases: truths, each with a measurement of its own.
        samples: for each.
        seed: of everything that is drawn.
    """

    sde: LinearSDE = field(default_factory=VPSDE)
    steps: int = 100
    cases: int = 48
    samples: int = 32
    seed: int = 0

    def run(self, made: object, score: ScoreModel, shape: tuple[int, ...]) -> Tensor:
        """Samples at eps by a method: float64, of the given shape ``(B, D)``."""
        ancestral = solver("song/ancestral")
        if isinstance(made, Corrector):
            by: Integrator = Corrected(ancestral, made)
        elif isinstance(made, Integrator):
            by = made
        elif callable(made):
            by, score = ancestral, made
        else:
            raise PairingError(
                f"make returned {made!r}: must be a score model, a corrector or an integrator."
            )
        by = (
            OnGrid(by, LogSNR(self.steps)) if by.needs_grid else stepped(by, self.sde, self.sde.eps)
        )
        pipeline = Pipeline(ReverseSDE(self.sde, score), (Leg(self.sde.eps, by),))
        return pipeline.sample(shape, seed=self.seed + 1, dtype=torch.float64).x


@dataclass(frozen=True)
class PosteriorErrors:
    """What is wrong with the samples of a method, each with its standard error.

    Attributes:
        coverage: how often an interval that should hold the truth in 90 of 100 cases does, less
            what exact draws give: below 0 the method is over-confident.
        mean: mean square by which the mean of the samples is off, in variances of the posterior,
            beyond that of exact draws.
        spread: mean of log(standard deviation / that of exact draws): below 0 it is too narrow.
        modes: by how much of the mass the weights of the modes are off, beyond exact draws.
        nfe: evaluations of the score for a sample.
        seconds: processor time of the run.
    """

    coverage: tuple[float, float]
    mean: tuple[float, float]
    spread: tuple[float, float]
    modes: tuple[float, float]
    nfe: int
    seconds: float


def posterior_errors(
    make: Make, problem: PosteriorProblem, bench: PosteriorBench | None = None
) -> PosteriorErrors:
    """Measure a method on one problem.

    Args:
        make: the method.
        problem: prior, operator and noise.
        bench: forward SDE, steps, and how much is drawn; None: as it is by default.

    Raises:
        PairingError: if ``make`` returns no method.
    """
    bench = PosteriorBench() if bench is None else bench
    sde, t = bench.sde, bench.sde.eps
    truth, y = problem.drawn(bench.cases, bench.seed)
    known = problem.measurement(y.repeat_interleave(bench.samples, 0))
    counted, began = Counted(problem.prior.score(sde)), time.process_time()
    shape = (bench.cases * bench.samples, *problem.prior.shape)
    drawn = bench.run(make(counted, known), counted, shape)
    seconds = time.process_time() - began
    noise = SharedNoise(bench.seed + 2)
    truth = sde.at(t).alpha * truth + sde.at(t).sigma * noise.normal(truth)
    axes = _axes(problem.matrix)
    differences = []
    for row, samples in enumerate(drawn.reshape(bench.cases, bench.samples, -1)):
        law = problem.posterior(y[row : row + 1])
        exact = law.sample(bench.samples, noise=noise, t=t, sde=sde, dtype=torch.float64)
        moments = law.moments(t, sde)
        found, wanted = (
            _numbers(each, truth[row], law, moments, axes, sde) for each in (samples, exact)
        )
        differences.append(found - wanted)
    apart = torch.stack(differences)
    mean, error = apart.mean(0).tolist(), (apart.std(0) / bench.cases**0.5).tolist()
    coverage, off, spread, modes = zip(mean, error, strict=True)
    return PosteriorErrors(coverage, off, spread, modes, counted.nfe, seconds)


def _numbers(
    samples: Tensor,
    truth: Tensor,
    law: GaussianMixture,
    moments: tuple[Tensor, Tensor],
    axes: Tensor,
    sde: LinearSDE,
) -> Tensor:
    """Coverage, mean, spread and modes of the samples of one case: ``(4,)``."""
    mean, covariance = moments
    variance = (axes @ covariance * axes).sum(1)
    along = samples @ axes.T
    count = len(samples)
    # Among exact draws the truth has any rank from 0 to count with the same probability.
    rank = (along < truth @ axes.T).sum(0).to(torch.float64) / count
    inside = (rank - 0.5).abs() <= 0.5 * LEVEL
    off = (along.mean(0) - mean @ axes.T).square() / variance
    spread = 0.5 * (along.var(0) / variance).log()
    shares = law.responsibilities(samples, sde.eps, sde).mean(0)
    modes = 0.5 * (shares - law.weights).abs().sum()
    return torch.stack((inside.to(torch.float64).mean(), off.mean(), spread.mean(), modes))


def _axes(matrix: Tensor) -> Tensor:
    """Unit vectors: what is measured, and some that mix everything; ``(P, D)``."""
    place = torch.arange(matrix.shape[1], dtype=torch.float64, device="cpu") + 1.0
    extra = torch.arange(1, _DIRECTIONS + 1, dtype=torch.float64, device="cpu")[:, None]
    both = torch.cat((matrix, torch.sin(extra * place.square())))
    lengths: Tensor = torch.linalg.vector_norm(both, dim=1, keepdim=True)
    return both / lengths
