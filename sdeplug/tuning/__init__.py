"""Solvers and grids for your own network: what is wrong with it, and what suits it."""

from sdeplug.tuning.advice import Advice as Advice
from sdeplug.tuning.calibrated import Calibrated as Calibrated
from sdeplug.tuning.calibrating import Fitting as Fitting
from sdeplug.tuning.calibrating import calibrate as calibrate
from sdeplug.tuning.choosing import tune as tune
from sdeplug.tuning.diagnosing import diagnose as diagnose
from sdeplug.tuning.diagnosis import Diagnosis as Diagnosis
from sdeplug.tuning.effort import Effort as Effort
from sdeplug.tuning.gits import Search as Search
from sdeplug.tuning.gits import gits as gits
from sdeplug.tuning.laws import Laws as Laws
from sdeplug.tuning.levels import Level as Level
from sdeplug.tuning.race import Race as Race
from sdeplug.tuning.trials import Proof as Proof
from sdeplug.tuning.trials import Trial as Trial
from sdeplug.tuning.tuned import Tuning as Tuning
