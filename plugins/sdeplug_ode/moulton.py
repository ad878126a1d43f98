r"""Adams-Moulton in a clock of the noise: one evaluation a step, predicted and corrected.

With :math:`q = \sigma / \alpha` and :math:`s^2 = \alpha^2 + \sigma^2` the probability flow
dx/dt = v(x, t) is followed in

.. math:: u = x / s, \qquad \tau = \log\frac{q + q_0}{q + q_1}, \qquad
          \frac{du}{d\tau} = \frac{v - x\,\dot s / s}{s\,\dot\tau}.

u neither grows nor shrinks while the data are not to be seen, and little happens in :math:`\tau`
outside of :math:`q_0 < q < q_1`: there it is what polynomials are good at.  A step is predicted by
the polynomial through the last p slopes, the model is asked at its end, and the step is done over
again with that slope in the place of the oldest (predict, evaluate, correct); Hairer, Norsett &
Wanner, section III.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, log, log1p, sqrt

from torch import Tensor

from sdeplug import (
    Advance,
    ArgumentError,
    Claims,
    Field,
    FlowIntegrator,
    LinearSDE,
    ReverseSDE,
    Run,
    option,
)
from sdeplug_ode.adams import adams_weights
from sdeplug_ode.runge_kutta import CLASSICAL

_STARTED = 3  # the order that the first steps leave


@dataclass(frozen=True)
class AdamsMoulton(FlowIntegrator):
    """Adams, predict-evaluate-correct, in a clock of the noise; remembers within ``begin()``.

    The memory is only used when a step continues the one before it: after a corrector has moved
    the state, the method starts afresh.

    Raises:
        ArgumentError: unless low is below high.
    """

    order: int = option(4, help="slopes of the prediction, and of the correction", ge=2, le=5)
    low: float = option(0.001, help="sigma / alpha below which the clock stands", gt=0.0)
    high: float = option(inf, help="sigma / alpha above which the clock stands", gt=0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low < self.high:
            raise ArgumentError("low", self.low, f"below high = {self.high}")

    @property
    def claims(self) -> Claims:
        """Order 3 at most: the first steps have no better."""
        order = min(self.order, _STARTED)
        return Claims(order=order, stochastic=False, evaluations=1, needs=LinearSDE)

    def flow(self, field: Field, y: Tensor, t: float, s: float, run: Run) -> Tensor:
        """One step without memory, from t to s, of any field: that of Runge and Kutta."""
        return CLASSICAL.step(field, y, t, s)

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """One step of the probability flow, without memory: one of Euler in the clock."""
        return self.begin(reverse, run)(x, t, s)

    def begin(self, reverse: ReverseSDE, run: Run) -> Advance:
        """Start a sequence of steps along the probability flow."""
        return _Memory(self, reverse).advance


class _Memory:
    """Slopes of one sequence of steps, the newest first, and where its last step began."""

    def __init__(self, by: AdamsMoulton, reverse: ReverseSDE) -> None:
        self.by, self.reverse, self.sde = by, reverse, reverse.linear
        self.places: list[float] = []
        self.slopes: list[Tensor] = []
        self.state: Tensor | None = None
        self.before: Tensor | None = None

    def advance(self, x: Tensor, t: float, s: float) -> Tensor:
        if x is not self.state:
            self.places, self.slopes, self.before = [], [], None
        here, size = self._place(t), self._size(t)
        slope = self._slope(x, t)
        keep = self.by.order - 1
        self.places = [here, *self.places[:keep]]
        self.slopes = [slope, *self.slopes[:keep]]
        u = x / size if self.before is None else self._moved(self.before, self.places[1], here)
        self.before = u
        self.state = self._moved(u, here, self._place(s)).mul_(self._size(s))
        return self.state

    def _moved(self, u: Tensor, start: float, end: float) -> Tensor:
        """The integral over a step of the polynomial through the slopes."""
        weights = adams_weights(self.places, start, end)
        u = u.clone()
        for weight, slope in zip(weights, self.slopes, strict=True):
            u.add_(slope, alpha=weight)
        return u

    def _slope(self, x: Tensor, t: float) -> Tensor:
        """du / dtau."""
        known, by = self.sde.at(t), self.by
        q, size = known.sigma / known.alpha, self._size(t)
        growth = known.drift_rate + 0.5 * (known.diffusion / size) ** 2
        rate = 0.5 * known.diffusion**2 / (known.alpha * known.sigma)  # of q
        pace = rate * (1.0 / (q + by.low) - 1.0 / (q + by.high))
        return self.reverse.flow(x, t).sub(x, alpha=growth).div_(size * pace)

    def _place(self, t: float) -> float:
        log_snr, by = self.sde.at(t).log_snr, self.by
        q = 0.0 if log_snr == inf else exp(-0.5 * log_snr)
        return log(q + by.low) - log1p(q / by.high)

    def _size(self, t: float) -> float:
        known = self.sde.at(t)
        return sqrt(known.alpha**2 + known.sigma**2)
