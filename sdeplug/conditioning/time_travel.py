r"""Time travel: back into the noise and down again, so that the unknown learns of the known.

From x at t the forward SDE goes up to the time t' whose log-SNR is lower by ``rise``, and a solver
comes down again,

.. math:: x' \sim p(x_{t'} | x_t = x), \qquad x'' = \text{solver}(x', t' \to t).

Both halves keep the marginals, so that p_t is left as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdeplug.conditioning.span import Span, check_span, inside
from sdeplug.options import option
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Claims, Corrector, Integrator


@dataclass(frozen=True)
class TimeTravel(Corrector):
    """Diffuse the state back to an earlier, noisier time, and sample down again.

    ::

        step = Corrected(solver("song/ancestral"), Replacement(known))
        by = OnGrid(Corrected(step, TimeTravel(step), sweeps=30), LogSNR(40))

    Lugmayr et al., arXiv 2201.09865 (RePaint), whose resampling this is: what :class:`Replacement`
    puts in is heard by the rest one step too late, and each journey says it again.  Any integrator
    makes the way down, so that it serves :class:`PiGDM` and other guessed scores too, whose errors
    of earlier steps it forgets.  A solver of single steps comes down in one.
    """

    integrator: Integrator = option(help="the way down")
    rise: float = option(2.0, gt=0.0, lt=math.inf, help="log-SNR by which it goes up, in nats")
    span: Span = option(None, help="times (from, to) from which it starts; None: all")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_span(self.span)

    @property
    def claims(self) -> Claims:
        """Those of the way down; it draws noise at any stochasticity, and is as exact as a step."""
        down = self.integrator.claims
        return replace(
            down, order=None, strong_order=None, steps=None, floor=math.inf, stochastic=True,
            randomised=True, needs=LinearSDE,
        )  # fmt: skip

    def correct(self, reverse: ReverseSDE, x: Tensor, t: float, run: Run) -> Tensor:
        """x up and down again; x itself outside the span, at the horizon, and at the data."""
        sde = reverse.linear
        if not inside(torch.tensor(t, dtype=torch.float64, device="cpu"), self.span):
            return x
        wanted = torch.tensor(sde.at(t).log_snr - self.rise, dtype=torch.float64, device="cpu")
        up = min(float(sde.time_at(wanted)), sde.horizon)
        if up <= t:
            return x
        scale, variance = sde.transition(t, up)
        noised = scale * x + math.sqrt(variance) * run.noise.normal(x)
        return self.integrator.integrate(reverse, noised, up, t, run)
