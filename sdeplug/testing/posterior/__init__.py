"""Whether a method samples the posterior: against priors whose posterior is known exactly."""

from sdeplug.testing.posterior.check import check_posterior as check_posterior
from sdeplug.testing.posterior.errors import PosteriorBench as PosteriorBench
from sdeplug.testing.posterior.errors import PosteriorErrors as PosteriorErrors
from sdeplug.testing.posterior.errors import posterior_errors as posterior_errors
from sdeplug.testing.posterior.problems import PosteriorProblem as PosteriorProblem
from sdeplug.testing.posterior.problems import posterior_problems as posterior_problems
