"""Samples that agree with what is known of them: guidance, measurements, imputation.

Everything here is a score model made of score models, an integrator or a corrector, so that every
solver, grid, corrector and likelihood works with it.
"""

from sdeplug.conditioning.ddrm import DDRM as DDRM
from sdeplug.conditioning.decomposed import Blur as Blur
from sdeplug.conditioning.decomposed import Matrix as Matrix
from sdeplug.conditioning.exact import exact_posterior as exact_posterior
from sdeplug.conditioning.guidance import ClassifierFree as ClassifierFree
from sdeplug.conditioning.guidance import ClassifierGuided as ClassifierGuided
from sdeplug.conditioning.isometries import Downsample as Downsample
from sdeplug.conditioning.isometries import Grey as Grey
from sdeplug.conditioning.isometries import Mask as Mask
from sdeplug.conditioning.measurement import Measurement as Measurement
from sdeplug.conditioning.operator import Operator as Operator
from sdeplug.conditioning.operator import Pair as Pair
from sdeplug.conditioning.operator import Spectral as Spectral
from sdeplug.conditioning.posterior import DPS as DPS
from sdeplug.conditioning.posterior import LocalScore as LocalScore
from sdeplug.conditioning.posterior import MomentMatching as MomentMatching
from sdeplug.conditioning.posterior import PiGDM as PiGDM
from sdeplug.conditioning.purify import purify as purify
from sdeplug.conditioning.replacement import Replacement as Replacement
from sdeplug.conditioning.smc import SMC as SMC
from sdeplug.conditioning.time_travel import TimeTravel as TimeTravel
