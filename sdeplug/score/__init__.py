"""Score models: the protocol, other parametrisations, labels, dtypes, chunks, counting."""

from sdeplug.score.bound import Bound as Bound
from sdeplug.score.checked import checked as checked
from sdeplug.score.chunked import Chunked as Chunked
from sdeplug.score.counted import Counted as Counted
from sdeplug.score.in_dtype import InDtype as InDtype
from sdeplug.score.labels import LABELS as LABELS
from sdeplug.score.labels import Label as Label
from sdeplug.score.labels import Labelled as Labelled
from sdeplug.score.labels import LevelLabel as LevelLabel
from sdeplug.score.labels import LogSigmaLabel as LogSigmaLabel
from sdeplug.score.labels import LogSNRLabel as LogSNRLabel
from sdeplug.score.labels import SigmaLabel as SigmaLabel
from sdeplug.score.labels import TimeLabel as TimeLabel
from sdeplug.score.model import ScoreModel as ScoreModel
from sdeplug.score.model import error_of as error_of
from sdeplug.score.model import for_rows as for_rows
from sdeplug.score.model import sde_of as sde_of
from sdeplug.score.pairing import check_pair as check_pair
from sdeplug.score.parametrisations import FromDenoiser as FromDenoiser
from sdeplug.score.parametrisations import FromFlow as FromFlow
from sdeplug.score.parametrisations import FromNoise as FromNoise
from sdeplug.score.parametrisations import FromScore as FromScore
from sdeplug.score.parametrisations import FromVelocity as FromVelocity
from sdeplug.score.parametrisations import Parametrisation as Parametrisation
from sdeplug.score.parametrisations import Units as Units
from sdeplug.score.wrapper import Wrapper as Wrapper
