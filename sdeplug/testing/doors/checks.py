"""All checks, in their tiers.

A check is a small function of a solver.  It raises :class:`CheckFailed` with what it saw, or
:class:`NotApplicable` with the reason; otherwise it returns a :class:`Finding`.
:class:`sdeplug.Claims` say which checks apply.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sdeplug.testing.contract import arithmetic, halves, randomness, sizes, times, values
from sdeplug.testing.contract import one_call as contract
from sdeplug.testing.exact import (
    affine,
    everywhere,
    floors,
    invariance,
    marginals,
    moments,
    paired,
    parts,
    randomised,
    runs,
    shapes,
    short_rows,
    short_steps,
    wide_rows,
)
from sdeplug.testing.findings import Finding
from sdeplug.testing.law import flow, sampling
from sdeplug.testing.strong import paths as strong
from sdeplug.testing.weak import after_correctors, mixtures, nonlinear, rejected, sweeps

Check = Callable[[Any], Finding]

CALLS: tuple[Check, ...] = (
    *contract.CHECKS,
    *randomness.CHECKS,
    *times.CHECKS,
    *arithmetic.CHECKS,
    halves.check_state_in_half_precision,
)
"""The part of the contract that is about calls of a solver, whatever they lead to."""

CONTRACT: tuple[Check, ...] = (
    *values.CHECKS,
    *CALLS,
    *sizes.CHECKS,
    halves.check_pipeline_in_half_precision,
)
"""Tier 0: what every solver does, whatever its mathematics."""

EXACT: tuple[Check, ...] = (
    *affine.CHECKS,
    *shapes.CHECKS,
    *everywhere.CHECKS,
    *randomised.CHECKS,
    *parts.CHECKS,
    *short_steps.CHECKS,
    *marginals.CHECKS,
    *strong.CHECKS,
    *invariance.CHECKS,
    *floors.CHECKS,
    *paired.CHECKS,
    *wide_rows.CHECKS,
    *short_rows.CHECKS,
    *moments.CHECKS,
    *mixtures.CHECKS,
    *after_correctors.CHECKS,
    *rejected.CHECKS,
    *sweeps.CHECKS,
)
"""Tier 1: exact laws of a Gaussian target; leaks on a mixture, and what sweeps make of some."""

FAST: tuple[Check, ...] = (*CONTRACT, *EXACT)
"""Tiers 0 and 1, the contract and the exact laws: free of noise, some seconds."""

CHECKS: tuple[Check, ...] = (
    *FAST,
    *runs.CHECKS,
    *nonlinear.CHECKS,
    *flow.CHECKS,
    *sampling.CHECKS,
)
"""All checks, cheap ones first."""

LAW: tuple[Check, ...] = (
    marginals.check_marginals,
    moments.check_moments,
    floors.check_floor,
    paired.check_own_tolerance,
    wide_rows.check_wide_rows,
    short_rows.check_short_rows,
    invariance.check_corrector_invariance,
    flow.check_flow,
    sweeps.check_mixture_invariance,
    sampling.check_law_by_sampling,
)
"""The checks that measure the law of a solver: one of them has to pass, or it is unproven.  The
last resort is last."""
