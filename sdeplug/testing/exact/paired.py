r"""The paired probe: the exact law of a sampler whose steps depend on the batch.

Where a step size follows from the whole batch, as by a rule of mean norms or an adaptive error
control, a sampler is not affine, but it is *given its step sizes*, and all rows of one run share
those.  So rows come in pairs with the same random x and noise, and the second row of pair j gets
an impulse in column j: the difference is the answer to that impulse, exactly, for the step sizes
of this run.  What is left to chance is their small scatter from seed to seed.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from sdeplug.noise import NoiseSource, SharedNoise
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Integrator
from sdeplug.testing.bench import Solver, carried, gaussian, gaussian_score, sdes
from sdeplug.testing.claimed import first_level
from sdeplug.testing.exact.laws import (
    Law,
    Response,
    Sampler,
    marginal_law,
    probes,
    relative_error,
    split,
)
from sdeplug.testing.exact.tolerances import demand_tolerance
from sdeplug.testing.findings import Finding, NotApplicable

ROWS = 4096
SEEDS = (0, 1, 2)
PER_ROW = "its steps differ from row to row, so that no probe applies: the sampling checks measure"


class Pairs(NoiseSource):
    """Random noise that is the same in rows 2 k and 2 k + 1, up to an impulse in the second.

    Args:
        source: where the noise comes from.
        patterns: the impulses, one a row, shape ``(p, D)``; pair p + j p + i gets the i-th in
            draw j, and the pairs before get none.
    """

    def __init__(self, source: NoiseSource, patterns: Tensor) -> None:
        self.source = source
        self.patterns = patterns
        self.first: list[Tensor] = []

    def normal(self, like: Tensor) -> Tensor:
        """Noise in pairs, with the impulses of this draw."""
        noise = self.source.normal(like[::2]).repeat_interleave(2, 0)
        self.first.append(noise[0].flatten())
        count = len(self.patterns)
        begin = 1 + 2 * count * len(self.first)
        rows = noise[begin : begin + 2 * count : 2]
        rows += self.patterns[: len(rows)].reshape(-1, *like.shape[1:])
        return noise


def paired_response(
    sampler: Sampler, start: Law, seed: int = 0, rows: int = ROWS, apart: bool = False
) -> Response:
    """The answer of a sampler to impulses, given the step sizes of one run.

    Args:
        sampler: function (x, run) -> y, affine given its step sizes.
        start: law of x.
        seed: decides x, the noise, and thereby the step sizes.
        rows: size of the batch, an even number; more if there are more draws than pairs.
        apart: whether the sampler keeps coordinates apart.
    """
    patterns = probes(len(start.mean), apart)
    count, source = len(patterns), SharedNoise(seed)
    root = torch.linalg.cholesky(start.covariance)
    half = source.normal(start.mean.expand(rows // 2, -1)) @ root.T + start.mean
    x = half.repeat_interleave(2, 0)
    x[1 : 1 + 2 * count : 2] += patterns
    noise = Pairs(source, patterns)
    with torch.no_grad():
        y = sampler(x, Run(noise))
    draws = len(noise.first)
    if 2 * count * (1 + draws) > rows:
        # The step sizes of a larger batch are other ones, but so are those of another seed.
        return paired_response(sampler, start, seed, 4 * count * (1 + draws), apart)
    changes = (y[1::2] - y[::2])[: count * (1 + draws)]
    answer = split(torch.zeros_like(start.mean), changes, apart)
    # b is what x and noise of the first row leave unexplained of its y.
    told = torch.stack((x[0], *noise.first))
    if apart:
        explained = (changes * told).sum(0)
    else:
        explained = torch.einsum("jie,ji->e", changes.reshape(1 + draws, count, -1), told)
    return Response(y[0] - explained, answer.inputs, answer.noise, apart)


def paired_laws(
    sampler: Sampler, start: Law, rows: int = ROWS, apart: bool = False
) -> tuple[Law, ...]:
    """The law of the output for the step sizes of some seeds; they differ by little.

    Args:
        sampler: function (x, run) -> y, affine given its step sizes.
        start: law of x.
        rows: size of the batch.
        apart: whether the sampler keeps coordinates apart.
    """
    return tuple(paired_response(sampler, start, seed, rows, apart).law(start) for seed in SEEDS)


def check_own_tolerance(solver: Solver) -> Finding:
    """A solver that chooses its steps for the whole batch carries p_T to p_eps."""
    if not isinstance(solver, Integrator):
        raise NotApplicable("it is a corrector")
    claims = solver.claims
    if claims.affine:
        raise NotApplicable("it claims to be affine: its law is measured without pairs")
    if not claims.couples_batch:
        raise NotApplicable(f"{PER_ROW} its law")
    if claims.order is not None or claims.floor is not None:
        raise NotApplicable("it claims an order or a floor, and is judged by that")
    off = [demand_tolerance(solver, partial(errors_in_pairs, sde), sde) for sde in sdes(solver)]
    return Finding(f"off by {max(off):.1e}")


def errors_in_pairs(sde: LinearSDE, by: Integrator, rows: int = ROWS) -> tuple[Tensor, float]:
    """Errors of the law at eps of a solver whose steps the batch shares, and their scatter.

    Args:
        sde: the forward SDE.
        by: the solver.
        rows: size of the batch.

    Returns:
        The mean over some seeds, shape ``(2 D,)``, and the largest standard error of it.
    """
    start, wanted = (marginal_law(gaussian(), sde, t) for t in (sde.T, sde.eps))
    reverse = ReverseSDE(sde, gaussian_score(sde), first_level(by))
    laws = paired_laws(partial(carried, by, reverse, sde.eps), start, rows, apart=True)
    errors = torch.stack([relative_error(law, wanted) for law in laws])
    return errors.mean(0), float(errors.std(0).max()) / math.sqrt(len(SEEDS))


CHECKS = (check_own_tolerance,)
"""The checks of this module."""
