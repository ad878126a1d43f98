r"""F-DDIM: each step is made with the data as they are seen from its end.

With :math:`y = x / \alpha` and :math:`q = \sigma / \alpha` the end of a step is predicted from the
noise that was seen before, and the model is asked there,

.. math:: \hat y = y + \int_q^{q'} \epsilon(u)\,du, \qquad
          y' = \tfrac{q'}{q} y + \big(1 - \tfrac{q'}{q}\big) D(\hat y, q').

DDIM has D at the start of the step: the leading errors of the two have opposite signs.  (Jiao et
al., arXiv 2512.24927, and the authors' code.)
"""

from __future__ import annotations

from dataclasses import dataclass
from math import expm1, inf

from torch import Tensor

from sdeplug import Claims, LinearSDE, Marginal, ReverseSDE, Run, option
from sdeplug_exponential.multistep import Memory, Plan, Remembering, Rule, extrapolation
from sdeplug_exponential.prediction import DATA, NOISE, Held


@dataclass(frozen=True)
class FDDIM(Remembering):
    """F-DDIM along the probability flow; with more values in the prediction, F-DPM-Solver.

    One evaluation a step, at its end, and one before the first, which the authors put a Gaussian
    in place of: ``AnalyticFirst(score, sde, 0.0, 1.0)``.  A step into a time without noise costs
    nothing: it ends at the data that were seen last.
    """

    claims = Claims(order=1, stochastic=False, needs=LinearSDE)

    predictor: int = option(1, help="values of the noise in the prediction", ge=1, le=4)

    def memory(self, reverse: ReverseSDE, run: Run) -> Memory:
        """As many values as the prediction uses."""
        return _Forward(Rule(self.predictor, prediction=NOISE), reverse, run, quiet=True)


class _Forward(Memory):
    """The noise at the predicted states, and the data at the last of them."""

    data: Held

    def advance(self, x: Tensor, t: float, s: float) -> Tensor:
        now, end = self.sde.at(t), self.sde.at(s)
        if x is not self.state:
            self.places, self.values = (), []
            self.ask(x, t, now)
        if end.log_snr == inf:
            return self._held(end.alpha)
        target = 0.5 * end.log_snr
        part = -expm1(self.places[0] - target)  # 1 - q' / q
        guess = self.combined(x, self.plan(target, 0.0), now, end)
        self.ask(guess, s, end)
        self.state = x.mul(end.sigma / now.sigma).add_(self._held(end.alpha * part))
        return self.state

    def ask(self, x: Tensor, t: float, here: Marginal) -> None:
        """Keep what the model says of a state: the noise, and the data."""
        score = self.reverse.score(x, t)
        self.remember(x, score, here)
        self.data = DATA.value(x, score, here)

    def plan(self, target: float, zeta: float) -> Plan:
        return extrapolation(self.rule, target, self.places, zeta)

    def _held(self, scale: float) -> Tensor:
        factor, data = self.data
        return data.mul(scale * factor)
