"""All checks, in their tiers.

A check is a small function of a solver.  It raises :class:`CheckFailed` with what it saw, or
:class:`NotApplicable` with the reason; otherwise it returns a :class:`Finding`.
:class:`sdeplug.Claims` say which checks apply.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sdeplug.testing import contract, marginals
from sdeplug.testing.report import Finding

Check = Callable[[Any], Finding]

FAST: tuple[Check, ...] = (*contract.CHECKS, *marginals.CHECKS)
"""Tiers 0 and 1, the contract and the exact laws: free of noise, some seconds."""

CHECKS: tuple[Check, ...] = FAST
"""All checks, cheap ones first."""
