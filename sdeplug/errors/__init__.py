"""Every exception and warning, and what turns those of the system into them."""

from sdeplug.errors.raised import ArgumentError as ArgumentError
from sdeplug.errors.raised import MissingExtraError as MissingExtraError
from sdeplug.errors.raised import NonFiniteError as NonFiniteError
from sdeplug.errors.raised import PairingError as PairingError
from sdeplug.errors.raised import PluginError as PluginError
from sdeplug.errors.raised import PluginWarning as PluginWarning
from sdeplug.errors.raised import RunError as RunError
from sdeplug.errors.raised import ScoreModelError as ScoreModelError
from sdeplug.errors.raised import SdeplugError as SdeplugError
from sdeplug.errors.raised import SolverError as SolverError
from sdeplug.errors.raised import StepError as StepError
from sdeplug.errors.raised import TrainingError as TrainingError
from sdeplug.errors.raised import UnknownNameError as UnknownNameError
from sdeplug.errors.raised import UnwrittenError as UnwrittenError
from sdeplug.errors.raised import argument_type as argument_type
from sdeplug.errors.raised import brief as brief
from sdeplug.errors.raised import brief_fields as brief_fields
from sdeplug.errors.raised import warn as warn
from sdeplug.errors.written import IN_MEMORY as IN_MEMORY
from sdeplug.errors.written import RESUMED as RESUMED
from sdeplug.errors.written import whole as whole
from sdeplug.errors.written import write_text as write_text
