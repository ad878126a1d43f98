"""The door for a whole pipeline: its parts draw noise of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from sdeplug.errors import PairingError, brief
from sdeplug.pipeline import Pipeline
from sdeplug.testing.doors.proof import PROOF
from sdeplug.testing.doors.report import Report
from sdeplug.testing.doors.running import result_of
from sdeplug.testing.exact.parts import demand_apart, demand_forgotten
from sdeplug.testing.findings import Finding


def check_pipeline(pipeline: Pipeline, shape: Sequence[int], *, seed: int = 0) -> Report:
    """Check that the parts of a pipeline use no number of each other's noise.

    Parts are the start, the legs, and in a leg a predictor and its corrector.  It is run some
    times as it is, with its own score model.  That each of its solvers is right is for
    :func:`check_solver`: right solvers whose noise is their own make a right pipeline.

    Args:
        pipeline: the pipeline; its solvers draw from ``run.noise``, with one seed for all samples.
        shape: of the samples, ``(B, *D)``; two small samples are enough.
        seed: one number.

    Returns:
        Results: of a run from the prior; of a run from a state that is drawn with the same
        seed; of numbers that a leg keeps for a later one.

    Raises:
        PairingError: if it is no pipeline.
    """
    if not isinstance(pipeline, Pipeline):
        raise PairingError(f"{brief(pipeline)} is not a Pipeline. Solvers go to check_solver.")
    size = tuple(shape)
    checks: tuple[tuple[str, Callable[[], None]], ...] = (
        ("check_noise_of_parts", partial(demand_apart, pipeline, size, seed, False)),
        ("check_noise_from_a_given_state", partial(demand_apart, pipeline, size, seed, True)),
        ("check_noise_of_legs_before", partial(demand_forgotten, pipeline, size)),
    )
    results = [result_of(name, partial(_found, check)) for name, check in checks]
    results.append(result_of(PROOF, _proven))
    return Report(repr(pipeline), tuple(results))


def _found(check: Callable[[], None]) -> Finding:
    check()
    return Finding()


def _proven() -> Finding:
    return Finding("of its composition: check_solver proves the solvers in it")
