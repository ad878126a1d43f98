"""Score models: the protocol, other parametrisations, dtypes, counting."""

from sdeplug.score.checked import checked as checked
from sdeplug.score.counted import Counted as Counted
from sdeplug.score.in_dtype import InDtype as InDtype
from sdeplug.score.model import ScoreModel as ScoreModel
from sdeplug.score.parametrisations import FromDenoiser as FromDenoiser
from sdeplug.score.parametrisations import FromFlow as FromFlow
from sdeplug.score.parametrisations import FromNoise as FromNoise
from sdeplug.score.parametrisations import FromVelocity as FromVelocity
