"""A verdict on code that is no plugin: a function that samples, in as many steps as it is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from sdeplug.errors import PairingError
from sdeplug.noise import SharedNoise
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.testing.bench import SPECTRUM, gaussian, gaussian_score
from sdeplug.testing.doors.by_samples import BySamples, Function, Sampling, by_samples, seeded
from sdeplug.testing.doors.by_sizes import same_in_all_sizes
from sdeplug.testing.doors.proof import PROOF, proven
from sdeplug.testing.doors.report import Report
from sdeplug.testing.doors.running import result_of
from sdeplug.testing.exact import (
    Affinity,
    Law,
    affinity,
    foreign_law,
    intercepted,
    marginal_law,
    paired_laws,
    relative_error,
)
from sdeplug.testing.exact.convergence import (
    STEPS,
    demand_order_and_limit,
    observed,
    on_finer_grids,
    rms,
)
from sdeplug.testing.exact.intercept import demand_noise_for_rows
from sdeplug.testing.exact.words import largest
from sdeplug.testing.findings import Curve, Finding, NotApplicable, Outcome, Result, demand

_NEITHER = (
    "for Gaussian data it is not affine in x and its noise, nor so given the step sizes of a batch"
)
_MANY = 64
_PAIRS = 2048  # rows in one run of a paired probe; more where there are more draws


def judge(
    function: Sampling,
    sde: LinearSDE,
    *,
    order: float = 1.0,
    steps: int = 32,
    dtype: torch.dtype = torch.float64,
) -> Report:
    """A verdict on code that is no plugin: does it carry p_T to p_eps, at an order?

    It is run on Gaussian data, whose score and laws are exact, in ``steps``, in twice and in four
    times as many, and in more as long as these do not tell.  What torch draws is intercepted, so
    that the law of its output is computed: by impulses where it is affine in x and noise, in pairs
    of rows where it is so given the step sizes of a batch, and else by samples, in which what is
    drawn are columns of orthogonal arrays; then samples of two mixtures are compared with exact
    ones.  By samples a right function fails for one in a million choices of random numbers, at
    most; one whose moments may be off by more than 1 % has not passed.

    The same rows with the same noise have to come out the same in batches of 1 to 4,000 rows, and
    in rows of 1 to 20,000 numbers where it treats numbers by themselves.  That is not judged where
    the rows of a batch hang together.

    Args:
        function: (score, x, steps) to y.  ``score`` is asked as a network is: x of shape ``(B, D)``
            and t of shape ``(B,)`` in [eps, T] give the score of p_t, of the shape of x.  x are
            draws of p_T, and y is to be draws of p_eps.  It draws its noise from torch, for each
            row its own.  It is called many times, and must not remember one call in the next:
            what has a state, such as a scheduler of diffusers, is built anew in each.
        sde: the forward SDE: with its p_T, p_eps and score.
        order: the order that it is held to, 1 unless it is known to be better.  By samples it
            tells how errors fall, and is not judged.
        steps: the fewest steps that it is run in; more where these are too few for its order.
            What has a tolerance instead is judged at that, whatever the steps.
        dtype: dtype of x.

    Returns:
        A report, whose verdict is ``UNPROVEN`` where its noise is not torch's, where it remembers
        other calls, or where chance leaves open whether errors are below 1 %.
    """
    name, bench = _named(function), _OnBench(function, sde, dtype)
    first = result_of("check_randomness", partial(bench.repeating, steps))
    if first.outcome is not Outcome.PASSED:
        return Report(name, (first, result_of(PROOF, partial(proven, (first,), first.reason))))
    sizes = result_of("check_sizes", partial(same_in_all_sizes, function, sde, dtype, steps))
    if sizes.outcome is Outcome.FAILED:
        return Report(name, (first, sizes))
    law = result_of("check_marginals", partial(bench.converging, order, steps))
    results: tuple[Result, ...] = (first, sizes, law)
    if law.outcome is Outcome.NOT_APPLICABLE:
        results += by_samples(BySamples(function, sde, dtype), order, steps, law.reason)
    why = next((each.reason for each in results if each.outcome is Outcome.UNPROVEN), None)
    return Report(name, (*results, result_of(PROOF, partial(proven, results, why))))


def _named(value: object) -> str:
    """What code is called: a function with what it is given, an object without its address."""
    if isinstance(value, partial):
        given = [*map(_named, value.args), *(f"{k}={_named(v)}" for k, v in value.keywords.items())]
        return f"{_named(value.func)}({', '.join(given)})"
    if not isinstance(value, type) and type(value).__repr__ is object.__repr__:
        return f"{type(value).__name__}()"
    return str(getattr(value, "__name__", repr(value)))


@dataclass(frozen=True)
class _OnBench:
    """A function on the bench, as far as its noise is intercepted."""

    function: Sampling
    sde: LinearSDE
    dtype: torch.dtype

    def repeating(self, steps: int) -> Finding:
        """The same draws give the same numbers, and numbers they are."""
        x = self._rows(4)
        sampler = seeded(self._run(steps), 0, strict=False)
        first, again = (sampler(x, Run(SharedNoise(1))) for _ in range(2))
        demand(bool(first.isfinite().all()), "its output is not finite")
        if not torch.equal(first, again):
            raise NotApplicable(
                "the same draws of torch gave two results: take all noise from torch, and build "
                "what has a state anew in each call"
            )
        return Finding("the same draws give the same result")

    def converging(self, order: float, steps: int) -> Finding:
        """It carries p_T to p_eps: the right limit, at the order.

        Raises:
            NotApplicable: if its law can be computed neither exactly nor for the steps of batches.
        """
        probe = self._probe(steps)
        start, wanted = (marginal_law(gaussian(), self.sde, t) for t in (self.sde.T, self.sde.eps))

        def error(count: int) -> Tensor:
            laws = probe(self._run(count // STEPS[0] * steps), start)
            return torch.stack([relative_error(law, wanted) for law in laws]).mean(0)

        grids, errors = on_finer_grids(error, order)
        counts = tuple(count // STEPS[0] * steps for count in grids)
        curve = Curve(repr(self.sde), counts, tuple(map(rms, errors)))
        demand_order_and_limit(errors, order, curve)
        return Finding(
            f"order {observed(curve):.2f} observed, {order:g} asked for; at {counts[-1]} steps "
            f"{largest(errors[-1])}",
            (curve,),
        )

    def _rows(self, count: int) -> Tensor:
        like = torch.empty(count, len(SPECTRUM), dtype=self.dtype, device="cpu")
        return SharedNoise(0).normal(like)

    def _run(self, count: int) -> Function:
        """The function in so many steps."""
        score = gaussian_score(self.sde)
        return lambda x: self.function(score, x, count)

    def _probe(self, steps: int) -> Callable[[Function, Law], Sequence[Law]]:
        """How its law is measured: exactly, or for the step sizes of some batches.

        Raises:
            NotApplicable: if neither is possible.
        """
        run = self._run(steps)
        try:
            found = affinity(seeded(run, 0), len(SPECTRUM))
            if found is Affinity.PAIRED:
                return self._in_pairs
            start = marginal_law(gaussian(), self.sde, self.sde.T)
            # One that is affine in no sense may be rounded to float32 inside.
            if found is not Affinity.NONE or foreign_law(run, start).affine:
                return self._exactly
        except PairingError as error:
            demand_noise_for_rows(run, self._rows(_MANY))
            raise NotApplicable(f"{_NEITHER}: it draws for some rows alone") from error
        raise NotApplicable(_NEITHER)

    def _exactly(self, run: Function, start: Law) -> Sequence[Law]:
        return (foreign_law(run, start, dtype=self.dtype).law,)

    def _in_pairs(self, run: Function, start: Law) -> Sequence[Law]:
        return paired_laws(intercepted(run), start, _PAIRS)
