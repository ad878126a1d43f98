r"""A sampler for sdeplug, ``solver("example/exponential-midpoint")``: write yours over it.

With :math:`y = x / \alpha`, :math:`q = \sigma / \alpha` and D = E[x_0 | x_t], the reverse SDE is

.. math:: dy = (1 + l^2)\,(y - D)\,\frac{dq}{q} + l \sqrt{2 q |dq|}\, z.

It is solved exactly while D is held fixed, so that only D has to be approximated: here by two
values, one at the start of the step and one inside it.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from sdeplug import Claims, Integrator, LinearSDE, ReverseSDE, Run, hookimpl, option

HOOKSPEC_VERSION = 2  # of sdeplug's hooks, for which this is written


# Frozen: a solver is a value.  Model, state and noise come with each call, so that one object
# can be shared, stored in a file, and used in two places at once.
@dataclass(frozen=True)
class ExponentialMidpoint(Integrator):
    """Two-stage exponential step for any stochasticity: weak order 2 at two evaluations."""

    # An option is a typed field: it is checked when the object is built, shown by `sdeplug list`
    # and set by solver("example/exponential-midpoint", fraction=0.7).  Below 1, since the score
    # at the end of a step may not exist: the last one may end at time 0.
    fraction: float = option(0.5, help="where in the step D is taken again", gt=0.0, le=0.9)

    # Each claim is a promise that sdeplug.testing puts to the test.
    claims = Claims(order=2, evaluations=2, needs=LinearSDE)

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """Carry x ~ p_t down to s < t; times are floats, and x is not written to."""
        middle = t + self.fraction * (s - t)
        level = reverse.level(middle)
        keep, pull, spread = self._step(reverse.linear, t, middle, level)
        data = reverse.denoised(x, t)
        early = self._noise(run, x, spread)
        inside = keep * x + pull * data + early

        # The slope of D over the first part, used for the whole step, makes the second order.
        data = data + (reverse.denoised(inside, middle) - data) / (2.0 * self.fraction)
        keep, pull, _ = self._step(reverse.linear, t, s, level)
        mean = keep * x + pull * data

        # The noise of the first part is the beginning of that of the whole: it is carried on.
        keep, _, spread = self._step(reverse.linear, middle, s, level)
        return mean + keep * early + self._noise(run, x, spread)

    @staticmethod
    def _step(sde: LinearSDE, t: float, s: float, level: float) -> tuple[float, float, float]:
        """Factors of x, of D and of the noise in the exact step from t to s with D held fixed."""
        start, end = sde.at(t), sde.at(s)  # floats, remembered: cheap to ask for again
        shrink = (end.sigma / start.sigma) * (start.alpha / end.alpha)
        kept = shrink ** (1.0 + level**2)
        spread = end.sigma * math.sqrt(1.0 - shrink ** (2.0 * level**2))
        return end.alpha / start.alpha * kept, end.alpha * (1.0 - kept), spread

    @staticmethod
    def _noise(run: Run, x: Tensor, spread: float) -> Tensor | float:
        # All randomness comes from run.noise, so that one seed gives one result.
        return spread * run.noise.normal(x) if spread else 0.0


# Other hooks offer forward SDEs, targets, metrics, score models, time grids, and the names that
# other libraries have: sdeplug_sdes, _targets, _metrics, _scores, _grids and _aliases.
@hookimpl
def sdeplug_solvers() -> dict[str, type[Integrator]]:
    """Offer the solvers of this plugin: short name to class."""
    return {"exponential-midpoint": ExponentialMidpoint}
