"""The metrics that sdeplug brings, chosen for what they detect."""

from sdeplug.metrics.clouds import EnergyDistance as EnergyDistance
from sdeplug.metrics.clouds import SlicedW2 as SlicedW2
from sdeplug.metrics.features import Coverage as Coverage
from sdeplug.metrics.features import Density as Density
from sdeplug.metrics.features import FrechetDistance as FrechetDistance
from sdeplug.metrics.features import NearestNeighbour as NearestNeighbour
from sdeplug.metrics.features import Precision as Precision
from sdeplug.metrics.features import Recall as Recall
from sdeplug.metrics.laws import BuresWasserstein as BuresWasserstein
from sdeplug.metrics.laws import ModeMoments as ModeMoments
from sdeplug.metrics.laws import ModeWeights as ModeWeights
from sdeplug.metrics.named import BUILTIN as BUILTIN
