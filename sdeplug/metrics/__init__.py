"""What a metric is, distances, and the metrics that sdeplug brings, chosen for what they detect."""

from sdeplug.metrics.clouds import EnergyDistance as EnergyDistance
from sdeplug.metrics.clouds import SlicedW2 as SlicedW2
from sdeplug.metrics.distances import bures_wasserstein as bures_wasserstein
from sdeplug.metrics.distances import energy_distance as energy_distance
from sdeplug.metrics.distances import frechet as frechet
from sdeplug.metrics.distances import mixture_quantiles as mixture_quantiles
from sdeplug.metrics.distances import moments as moments
from sdeplug.metrics.distances import sliced_w2 as sliced_w2
from sdeplug.metrics.distances import unit_vectors as unit_vectors
from sdeplug.metrics.features import Coverage as Coverage
from sdeplug.metrics.features import Density as Density
from sdeplug.metrics.features import FrechetDistance as FrechetDistance
from sdeplug.metrics.features import NearestNeighbour as NearestNeighbour
from sdeplug.metrics.features import Precision as Precision
from sdeplug.metrics.features import Recall as Recall
from sdeplug.metrics.given import FeatureFrechet as FeatureFrechet
from sdeplug.metrics.laws import BuresWasserstein as BuresWasserstein
from sdeplug.metrics.laws import ModeMoments as ModeMoments
from sdeplug.metrics.laws import ModeWeights as ModeWeights
from sdeplug.metrics.metric import Metric as Metric
from sdeplug.metrics.metric import Truth as Truth
from sdeplug.metrics.metric import is_image as is_image
from sdeplug.metrics.metric import stream as stream
from sdeplug.metrics.named import BUILTIN as BUILTIN
