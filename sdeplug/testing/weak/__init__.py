"""Tier 2: the weak error with a nonlinear score, without noise."""

from sdeplug.testing.weak.after_correctors import (
    check_steps_after_correctors as check_steps_after_correctors,
)
from sdeplug.testing.weak.kolmogorov import weak_error as weak_error
from sdeplug.testing.weak.mixtures import check_mixture_leaks as check_mixture_leaks
from sdeplug.testing.weak.nonlinear import check_nonlinear_order as check_nonlinear_order
from sdeplug.testing.weak.rejected import check_rejected_steps as check_rejected_steps
from sdeplug.testing.weak.sweeps import check_mixture_invariance as check_mixture_invariance
