"""A verdict on a method that samples posteriors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from sdeplug.testing.doors import Report
from sdeplug.testing.doors.proof import PROOF
from sdeplug.testing.doors.running import result_of
from sdeplug.testing.findings import CheckFailed, Finding, Outcome, Result
from sdeplug.testing.posterior.errors import Make, PosteriorBench, PosteriorErrors, posterior_errors
from sdeplug.testing.posterior.problems import PosteriorProblem, posterior_problems

_ERRORS = 4.5  # standard errors: with 48 cases, one false alarm in some 20,000 numbers
_ALLOWED = {"coverage": 0.02, "mean": 0.02, "spread": 0.03, "modes": 0.02}  # of steps and particles


def check_posterior(
    make: Make,
    problems: Sequence[PosteriorProblem] | None = None,
    bench: PosteriorBench | None = None,
    on_result: Callable[[Result], None] | None = None,
) -> Report:
    """Whether a method samples the posterior, on problems whose posterior is known. ::

        print(check_posterior(PiGDM))
        print(check_posterior(lambda score, known: MyMethod(score, known, scale=0.5)))

    Measured are the coverage of its intervals, its mean, its spread, and the weights of its modes,
    each against exact draws; what is off by more than 4.5 standard errors, and by more than short
    steps would leave, fails.  Coverage and spread have a sign: below 0 it is over-confident.

    Args:
        make: the method, (score, measurement) to a score model, a corrector or an integrator.
            The measurement has a row of y for each row of the batch.
        problems: priors with their operators; None: :func:`posterior_problems`.
        bench: forward SDE, steps, and how much is drawn; None: as it is by default.
        on_result: called with each result as soon as it is there.

    Returns:
        A result for each problem, with what was measured.
    """
    results: list[Result] = []
    for problem in posterior_problems() if problems is None else problems:
        results.append(result_of(problem.name, partial(_judged, make, problem, bench), None))
        if on_result is not None:
            on_result(results[-1])
    measured = f"its samples were measured on {len(results)} problems"
    proof = Result(PROOF, Outcome.PASSED, measured)
    return Report(getattr(make, "__name__", repr(make)), (*results, proof))


def _judged(make: Make, problem: PosteriorProblem, bench: PosteriorBench | None) -> Finding:
    """Compare what was measured with what chance and steps may do."""
    seen = posterior_errors(make, problem, bench)
    wrong = [name for name in _ALLOWED if not _allowed(name, *getattr(seen, name))]
    if wrong:
        raise CheckFailed(f"off in {' and '.join(wrong)}: {told(seen)}")
    return Finding(told(seen))


def _allowed(name: str, value: float, error: float) -> bool:
    return abs(value) <= _ALLOWED[name] + _ERRORS * error


def told(seen: PosteriorErrors) -> str:
    """What was measured, on a line."""
    names = ("coverage", "mean", "spread", "modes")
    return ", ".join(
        f"{name} {value:+.2f} ± {error:.2f}"
        for name, (value, error) in zip(names, (getattr(seen, name) for name in names), strict=True)
    )
