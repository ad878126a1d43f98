"""Diffusion samplers as plugins on a generic SDE library.

A forward SDE and a score model make a reverse SDE; an integrator carries x ~ p_t to x' ~ p_s; a
corrector leaves p_t as it is; a pipeline is a list of legs, each an integrator and the time it
runs to.
"""

from sdeplug import targets
from sdeplug.brownian import BrownianPath
from sdeplug.compose import Corrected, Denoise, OnGrid
from sdeplug.course import Leg, Samples
from sdeplug.errors import (
    ArgumentError,
    MissingExtraError,
    NonFiniteError,
    PairingError,
    PluginError,
    PluginWarning,
    RunError,
    ScoreModelError,
    SdeplugError,
    SolverError,
    StepError,
    UnknownNameError,
)
from sdeplug.grid import At, Focus, Karras, LogSNR, Quadratic, TimeGrid, Uniform
from sdeplug.hookspecs import hookimpl, hookspec
from sdeplug.metric import Metric, Truth
from sdeplug.noise import NoiseSource, PerSampleNoise, SharedNoise, Silence
from sdeplug.observers import Guard, Progress, Trajectory
from sdeplug.options import option
from sdeplug.pipeline import Pipeline, sample
from sdeplug.registry import Registry, solver
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Event, Observer, Run
from sdeplug.schedules import EDMSDE, VESDE, VPSDE, CosineVPSDE, SubVPSDE, VariancePreserving
from sdeplug.score import (
    Counted,
    FromDenoiser,
    FromFlow,
    FromNoise,
    FromVelocity,
    InDtype,
    ScoreModel,
)
from sdeplug.sde import ForwardSDE, LinearSDE, Marginal
from sdeplug.solver import Advance, Claims, Corrector, Field, FlowIntegrator, Integrator
from sdeplug.spec import from_spec, read_spec, to_spec, write_spec
from sdeplug.walk import BrownianWalk

__all__ = [
    "EDMSDE",
    "VESDE",
    "VPSDE",
    "Advance",
    "ArgumentError",
    "At",
    "BrownianPath",
    "BrownianWalk",
    "Claims",
    "Corrected",
    "Corrector",
    "CosineVPSDE",
    "Counted",
    "Denoise",
    "Event",
    "Field",
    "FlowIntegrator",
    "Focus",
    "ForwardSDE",
    "FromDenoiser",
    "FromFlow",
    "FromNoise",
    "FromVelocity",
    "Guard",
    "InDtype",
    "Integrator",
    "Karras",
    "Leg",
    "LinearSDE",
    "LogSNR",
    "Marginal",
    "Metric",
    "MissingExtraError",
    "NoiseSource",
    "NonFiniteError",
    "Observer",
    "OnGrid",
    "PairingError",
    "PerSampleNoise",
    "Pipeline",
    "PluginError",
    "PluginWarning",
    "Progress",
    "Quadratic",
    "Registry",
    "ReverseSDE",
    "Run",
    "RunError",
    "Samples",
    "ScoreModel",
    "ScoreModelError",
    "SdeplugError",
    "SharedNoise",
    "Silence",
    "SolverError",
    "StepError",
    "SubVPSDE",
    "TimeGrid",
    "Trajectory",
    "Truth",
    "Uniform",
    "UnknownNameError",
    "VariancePreserving",
    "from_spec",
    "hookimpl",
    "hookspec",
    "option",
    "read_spec",
    "sample",
    "solver",
    "targets",
    "to_spec",
    "write_spec",
]
