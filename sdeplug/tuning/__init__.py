"""Solvers and grids for your own network: what is wrong with it, and what suits it."""

from sdeplug.tuning.gits import Search as Search
from sdeplug.tuning.gits import gits as gits
