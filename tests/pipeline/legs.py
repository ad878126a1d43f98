"""A pipeline of three legs."""

from __future__ import annotations

from common import GaussianScore

from sdeplug import (
    Corrected,
    Denoise,
    Leg,
    LogSNR,
    OnGrid,
    Pipeline,
    ReverseSDE,
    Uniform,
    solver,
)
from sdeplug.sde import VPSDE

SDE = VPSDE()
REVERSE = ReverseSDE(SDE, GaussianScore(SDE))
EM = solver("song/euler-maruyama")
PC = Corrected(solver("song/reverse-diffusion"), solver("song/langevin"))
LEGS = (
    Leg(0.5, OnGrid(PC, Uniform(5))),
    Leg(0.01, OnGrid(solver("ode/heun"), LogSNR(4)), stochasticity=0.0),
    Leg(0.0, Denoise()),
)
PIPELINE = Pipeline(REVERSE, LEGS)
