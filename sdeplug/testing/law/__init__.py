"""Tier 3: laws by sampling, with a declared rate of false alarms."""

from sdeplug.testing.law.battery import law_pvalues as law_pvalues
from sdeplug.testing.law.battery import law_pvalues_of_many as law_pvalues_of_many
from sdeplug.testing.law.bounds import equivalence_bound as equivalence_bound
from sdeplug.testing.law.cells import Cell as Cell
from sdeplug.testing.law.cells import CellVerdict as CellVerdict
from sdeplug.testing.law.cells import Specimen as Specimen
from sdeplug.testing.law.cells import specimens as specimens
from sdeplug.testing.law.flow import check_flow as check_flow
from sdeplug.testing.law.sampling import check_law_by_sampling as check_law_by_sampling
from sdeplug.testing.law.sampling import rejected as rejected
from sdeplug.testing.law.sampling import sampling_cells as sampling_cells
