"""Where random numbers come from: sources, counter-based numbers, Brownian bridges and walks."""

from sdeplug.noise.brownian import BrownianBridge as BrownianBridge
from sdeplug.noise.brownian import BrownianPath as BrownianPath
from sdeplug.noise.sources import NoiseSource as NoiseSource
from sdeplug.noise.sources import PerSampleNoise as PerSampleNoise
from sdeplug.noise.sources import SharedNoise as SharedNoise
from sdeplug.noise.sources import Silence as Silence
from sdeplug.noise.sources import checked_seed as checked_seed
from sdeplug.noise.walk import BrownianWalk as BrownianWalk
