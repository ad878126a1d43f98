"""Pipelines: legs, one run over them, samples in one line."""

from sdeplug.pipeline.arguments import Seed as Seed
from sdeplug.pipeline.arguments import checked_shape as checked_shape
from sdeplug.pipeline.arguments import checked_source as checked_source
from sdeplug.pipeline.arguments import checked_start as checked_start
from sdeplug.pipeline.leg import Leg as Leg
from sdeplug.pipeline.leg import Samples as Samples
from sdeplug.pipeline.pipeline import Pipeline as Pipeline
from sdeplug.pipeline.sampling import DEFAULT as DEFAULT
from sdeplug.pipeline.sampling import last_time as last_time
from sdeplug.pipeline.sampling import sample as sample
from sdeplug.pipeline.sampling import whole_run as whole_run
