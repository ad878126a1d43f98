r"""What an exponential method replaces by a polynomial: the data, or the noise.

In :math:`y = x / \alpha`, :math:`\lambda = \log(\alpha / \sigma) = -\log q` and with
:math:`\kappa = 1 + l^2` the reverse SDE has two semilinear forms,

.. math:: dy = -\kappa (y - D)\,d\lambda + q \sqrt{2}\,l\,dW
             = -\kappa\,q\,\epsilon\,d\lambda + q \sqrt{2}\,l\,dW,

with the data :math:`D = E[x_0 | x_t]` and the noise :math:`\epsilon = (y - D) / q = -\sigma
\nabla \log p_t`.  A method for the first takes the decay of y as exact and D as a polynomial; one
for the second takes :math:`\epsilon` as a polynomial, and nothing is left that decays.  The limits
of short steps are the same.  With noise and long steps the second leaves more of it than the time
says: where D does not matter, :math:`1 + 2 h^2` times the variance at l = 1.
(Lu et al., arXiv 2211.01095, sections 4 and 5.)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import exp, expm1, sqrt

from torch import Tensor

from sdeplug import Marginal
from sdeplug_exponential.weights import Measure, kernel, nodes

Held = tuple[float, Tensor]
"""A value that a method remembers: a factor and a tensor."""


class Prediction(ABC):
    """What is a polynomial inside a step of length h, with zeta the mean of the squared l."""

    @abstractmethod
    def value(self, x: Tensor, score: Tensor, here: Marginal) -> Held:
        """The value at a state, made of x and its score at a time."""

    @abstractmethod
    def decay(self, zeta: float, h: float) -> float:
        """Factor of y in a step."""

    @abstractmethod
    def measure(self, zeta: float, h: float, place: float) -> Measure:
        r"""What the polynomial is integrated against, in a step from a :math:`\lambda`."""

    @abstractmethod
    def share(self, zeta: float, h: float) -> float:
        """Standard deviation of the fresh noise, over q at the end."""

    @abstractmethod
    def landing(self, place: float) -> tuple[float, float]:
        """Factors of y and of the newest value that make D of them: a step to q = 0."""


@dataclass(frozen=True)
class _Data(Prediction):
    def value(self, x: Tensor, score: Tensor, here: Marginal) -> Held:
        # alpha D is one operation, D would be two: alpha goes into the factor.
        return 1.0 / here.alpha, x.add(score, alpha=here.sigma**2)

    def decay(self, zeta: float, h: float) -> float:
        return exp(-(1.0 + zeta) * h)

    def measure(self, zeta: float, h: float, place: float) -> Measure:
        return kernel((1.0 + zeta) * h)

    def share(self, zeta: float, h: float) -> float:
        return sqrt(-expm1(-2.0 * zeta * h))

    def landing(self, place: float) -> tuple[float, float]:
        return 0.0, 1.0


@dataclass(frozen=True)
class _Noise(Prediction):
    def value(self, x: Tensor, score: Tensor, here: Marginal) -> Held:
        # A tensor of its own: a model may write its next answer where this one is.
        return 1.0, score.mul(here.sigma)

    def decay(self, zeta: float, h: float) -> float:
        return 1.0

    def measure(self, zeta: float, h: float, place: float) -> Measure:
        scale = exp(-place) * (1.0 + zeta) * h
        return [(v, scale * exp(-h * v) * weight) for v, weight in nodes(h)]

    def share(self, zeta: float, h: float) -> float:
        return sqrt(zeta * expm1(2.0 * h))

    def landing(self, place: float) -> tuple[float, float]:
        return 1.0, exp(-place)


DATA: Prediction = _Data()
"""The data are a polynomial: DPM-Solver++, UniPC, SA-Solver."""

NOISE: Prediction = _Noise()
"""The noise is a polynomial: DEIS, SDE-DPM-Solver."""
