"""Tier 1: exact laws of samplers, without sampling."""

from sdeplug.testing.exact.affine import Affinity as Affinity
from sdeplug.testing.exact.affine import affinity as affinity
from sdeplug.testing.exact.affine import check_affinity as check_affinity
from sdeplug.testing.exact.affine import is_affine as is_affine
from sdeplug.testing.exact.affine import rounding as rounding
from sdeplug.testing.exact.arrays import Arrays as Arrays
from sdeplug.testing.exact.arrays import array_moments as array_moments
from sdeplug.testing.exact.floors import check_floor as check_floor
from sdeplug.testing.exact.impulses import Impulses as Impulses
from sdeplug.testing.exact.intercept import ForeignLaw as ForeignLaw
from sdeplug.testing.exact.intercept import foreign_law as foreign_law
from sdeplug.testing.exact.intercept import intercepted as intercepted
from sdeplug.testing.exact.invariance import check_corrector_bias as check_corrector_bias
from sdeplug.testing.exact.invariance import (
    check_corrector_invariance as check_corrector_invariance,
)
from sdeplug.testing.exact.invariance import gaussian_bias as gaussian_bias
from sdeplug.testing.exact.laws import Law as Law
from sdeplug.testing.exact.laws import Response as Response
from sdeplug.testing.exact.laws import counted_columns as counted_columns
from sdeplug.testing.exact.laws import exact_law as exact_law
from sdeplug.testing.exact.laws import exact_spectrum as exact_spectrum
from sdeplug.testing.exact.laws import extrapolated_columns as extrapolated_columns
from sdeplug.testing.exact.laws import marginal_law as marginal_law
from sdeplug.testing.exact.laws import probes as probes
from sdeplug.testing.exact.laws import relative_error as relative_error
from sdeplug.testing.exact.laws import response as response
from sdeplug.testing.exact.laws import through as through
from sdeplug.testing.exact.leaks import Place as Place
from sdeplug.testing.exact.leaks import Watched as Watched
from sdeplug.testing.exact.leaks import places as places
from sdeplug.testing.exact.marginals import check_constant as check_constant
from sdeplug.testing.exact.marginals import check_marginals as check_marginals
from sdeplug.testing.exact.marginals import check_rotation as check_rotation
from sdeplug.testing.exact.paired import check_own_tolerance as check_own_tolerance
from sdeplug.testing.exact.paired import paired_laws as paired_laws
from sdeplug.testing.exact.refine import refinements as refinements
from sdeplug.testing.exact.runs import OnOwnSDEs as OnOwnSDEs
from sdeplug.testing.exact.short_rows import check_short_rows as check_short_rows
from sdeplug.testing.exact.tuning import grid_errors as grid_errors
from sdeplug.testing.exact.tuning import tune_grid as tune_grid
from sdeplug.testing.exact.wide_rows import check_wide_rows as check_wide_rows
