"""Targets: distributions whose diffused score is exact under any linear SDE."""

from sdeplug.targets.base import DiffusedScore as DiffusedScore
from sdeplug.targets.base import Target as Target
from sdeplug.targets.mixture import Empirical as Empirical
from sdeplug.targets.mixture import Gaussian as Gaussian
from sdeplug.targets.mixture import GaussianMixture as GaussianMixture
from sdeplug.targets.named import BUILTIN as BUILTIN
from sdeplug.targets.named import digit_labels as digit_labels
from sdeplug.targets.named import digits as digits
from sdeplug.targets.named import eight_gaussians as eight_gaussians
from sdeplug.targets.named import mixture_64 as mixture_64
from sdeplug.targets.named import two_modes as two_modes
from sdeplug.targets.parameters import numbers as numbers
from sdeplug.targets.parameters import short as short
