"""Mutants of formulas: one term, one coefficient, one claim."""

from __future__ import annotations

from collections.abc import Iterator

from sdeplug.solvers import Integrator
from sdeplug.testing.mutants import acts, correctors, flows, heard, predictors, promises
from sdeplug.testing.mutants.defect import Defect, Spoilt, spoil
from sdeplug.testing.mutants.generic import LAW, Solver, dashed, mutant
from sdeplug.testing.mutants.joined import Both
from sdeplug.testing.mutants.record import Mutant, origin, sentence
from sdeplug.testing.mutants.right import (
    CLASSICAL,
    EULER,
    HEUN,
    EulerMaruyama,
    ExponentialEuler,
    ExponentialMidpoint,
    Langevin,
    RowLangevin,
    RungeKutta,
)

_STRONG = "check_strong_order check_strong_limit"
_FORMULAS: tuple[tuple[Solver, str], ...] = (
    (predictors.HalfDrift(), LAW),
    (predictors.DoubleDrift(), LAW),
    (predictors.DriftUpwards(), LAW),
    (predictors.ForwardDriftUpwards(), LAW),
    (predictors.NoForwardDrift(), LAW),
    (predictors.DiffusionNotSquared(), LAW),
    (predictors.FlowWithNoise(), LAW),
    (predictors.DriftAtFullStochasticity(), LAW),
    (predictors.StochasticityNotSquared(), LAW),
    (predictors.NoiseWithoutRoot(), LAW),
    (predictors.DiffusionSquared(), LAW),
    (predictors.NoiseAtFullStochasticity(), "check_stochasticity"),
    (predictors.NoNoise(), LAW),
    (predictors.EqualSteps(), LAW),
    (predictors.LengthInFloat32(), "check_short_span"),
    (predictors.ScoreAtTheEnd(), "check_constant"),
    (predictors.DiffusionAtTheEnd(), "check_constant"),
    (predictors.SpreadWithoutRoot(), LAW),
    (predictors.NoAlpha(), LAW),
    (predictors.PowerNotSquared(), LAW),
    (predictors.DeterministicPower(), LAW),
    (predictors.NotDivided(), LAW),
    (predictors.SigmaNotSquared(), LAW),
    (predictors.HalfSlope(), LAW),
    (predictors.SlopeBackwards(), LAW),
    (predictors.NoiseNotCarried(), LAW),
    (predictors.StageWithoutNoise(), LAW),
    (flows.LengthInFloat32(CLASSICAL), "check_directions check_short_span"),
    (flows.DownOnly(CLASSICAL), "check_directions"),
    (flows.Aliased(HEUN), "check_memory"),
    (flows.EqualStepWeights(), LAW),
    (flows.WeightOfOtherSign(), LAW),
    (flows.HalfWeight(), LAW),
    (flows.OldestKept(), LAW),
    (flows.OneStepTooOld(), LAW),
    (flows.GoesOn(), "check_steps_after_correctors"),
    (flows.MemoryOfAll(), "check_split check_interleaved"),
    (correctors.NoTwo(), LAW),
    (correctors.NoRoot(), LAW),
    (correctors.Ascent(), LAW),
    (correctors.Diffusing(), LAW),
    (correctors.Descent(), LAW),
    (correctors.NoiseFirst(), LAW),
    (correctors.LongStep(), LAW),
    (correctors.BatchStep(), "check_batch_independence"),
    (correctors.NoPrior(), f"{LAW} check_sizes"),
    (correctors.RowNoTwo(), f"{LAW} check_sizes"),
    (promises.Changeable(), "check_value"),
    (promises.Plain(), "check_value"),
    (promises.WithFunction(), "check_value"),
    (promises.WithList(), "check_value"),
)

_CLAIMS: tuple[tuple[Solver, str, object, str], ...] = (
    (EulerMaruyama(), "order", 2, LAW),
    (EulerMaruyama(), "strong_order", 1.5, _STRONG),
    (ExponentialMidpoint(), "order", 3, LAW),
    (RungeKutta(HEUN), "order", 3, LAW),
    (EulerMaruyama(), "evaluations", 2, "check_evaluations"),
    (RungeKutta(CLASSICAL), "evaluations", 1, "check_evaluations"),
    (EulerMaruyama(), "stochastic", False, "check_stochastic_claim"),
    (RungeKutta(EULER), "stochastic", True, "check_stochastic_claim"),
    (RowLangevin(), "affine", True, "check_affine"),
    (Langevin(), "floor", 1e-3, LAW),
    (Langevin(), "floor", None, LAW),
)

_MODEST = Both(heard.Scaled(1.05), promises.Promise("affine", False))
_SPOILT: tuple[tuple[Integrator, str, Defect, str], ...] = (
    (EulerMaruyama(), "last-step-without-noise", heard.SilentLast(), _STRONG),
    (ExponentialMidpoint(), "last-step-without-noise", heard.SilentLast(), LAW),
    (ExponentialMidpoint(), "noise-5-percent-large-not-affine", _MODEST, LAW),
    (ExponentialEuler(), "remembers", acts.Remembered(), "check_randomness"),
)


def specific() -> Iterator[Mutant]:
    """All mutants of formulas and claims, and of what only one kind of solver can do wrong."""
    for solver, by in _FORMULAS:
        name = dashed(type(solver).__name__)
        yield mutant(origin(solver), name, sentence(solver), solver, by)
    for name, method in (("heun", HEUN), ("rk4", CLASSICAL)):
        for entry, wrong in flows.wrong_entries(method, 0.95):
            what = f"the entry {entry} of the tableau is 5 % too small"
            yield mutant("RungeKutta", f"{name}-{entry}", what, RungeKutta(wrong), LAW)
    for right, claim, value, by in _CLAIMS:
        untrue = promises.Promise(claim, value)
        name = f"claims-{dashed(claim)}-{value}".lower()
        yield mutant(type(right).__name__, name, untrue.what, spoil(right, untrue), by)
    for integrator, name, defect, by in _SPOILT:
        solver = Spoilt(integrator, defect)
        yield mutant(type(integrator).__name__, name, defect.what, solver, by)
    single = acts.SpoiltCall(EulerMaruyama(), heard.Scaled(1.01))
    what = "steps of a sequence are right, a single integrate() has 1 % too much noise"
    yield mutant("EulerMaruyama", "single-call", what, single, "check_first_step")
