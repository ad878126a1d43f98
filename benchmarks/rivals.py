"""Who is run on a network: samplers of other libraries and our own, on every grid.

A sampler of another library that is another one over again stands once, with both names.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sdeplug import Integrator, OnGrid, UnknownNameError, solver
from sdeplug.grid import TimeGrid
from sdeplug_foreign.borrowed import SPACINGS

Made = Callable[[str, int], Integrator]
"""A grid's name and the evaluations of a leg to the integrator of the leg."""

GRIDS = tuple(SPACINGS)
OWN = ("its own",)
PACKAGES = {"diffusers": "diffusers", "k-diffusion": "k_diffusion", "azula": "azula"}


@dataclass(frozen=True)
class Sampler:
    """One sampler, which takes a grid and a number of score evaluations.

    Attributes:
        name: what the tables call it.
        library: where it comes from; empty: sdeplug.
        made: its leg.
        stochasticity: of the reverse SDE.
        grids: those that it is tried on.
        analytic: whether the first evaluations are those of a Gaussian with the data's moments,
            which cost nothing.
    """

    name: str
    library: str
    made: Made
    stochasticity: float = 0.0
    grids: tuple[str, ...] = GRIDS
    analytic: bool = False


def _foreign(library: str, name: str, each: int) -> Made:
    def made(grid: str, nfe: int) -> Integrator:
        return solver(f"foreign/{library}", sampler=name, steps=nfe // each, spacing=grid)

    return made


def bundled(name: str, options: Mapping[str, object], each: int) -> Made:
    """One of ours, of so many evaluations a step."""
    ends = name == "exponential/f-ddim"  # which asks where its last step ends, too
    return on_grid(solver(name, **options), each, int(ends))


def on_grid(by: Integrator, each: int, once: int = 0) -> Made:
    """A solver of so many evaluations a step, and so many more in all."""

    def made(grid: str, nfe: int) -> Integrator:
        spaced: TimeGrid = SPACINGS[grid]((nfe - once) // each)
        return OnGrid(by, spaced)

    return made


FLOW = (
    ("DPM++ 2M (diffusers, k-diffusion)", "diffusers", "dpm-multistep-2", 1),
    ("DPM++ 3M", "diffusers", "dpm-multistep-3", 1),
    ("UniPC 2", "diffusers", "unipc-2", 1),
    ("UniPC 3", "diffusers", "unipc-3", 1),
    ("DEIS 2 (diffusers; zEAB 2 of azula)", "diffusers", "deis-2", 1),
    ("DEIS 3", "diffusers", "deis-3", 1),
    ("DDIM (all three)", "diffusers", "ddim", 1),
    ("Heun (all three)", "k-diffusion", "heun", 2),
    ("LMS", "k-diffusion", "lms", 1),
    ("IPNDM 4", "diffusers", "ipndm", 1),
    ("xEAB 2", "azula", "xeab-2", 1),
)
NOISY = (
    ("DPM++ 2M SDE (diffusers, k-diffusion)", "k-diffusion", "dpmpp_2m_sde", 1),
    ("DPM++ 3M SDE", "k-diffusion", "dpmpp_3m_sde", 1),
    ("DPM++ SDE", "k-diffusion", "dpmpp_sde", 2),
    ("Euler ancestral (diffusers, k-diffusion)", "diffusers", "euler-ancestral", 1),
    ("SA-Solver 3", "diffusers", "sa-solver-3", 1),
)
KEY = ("DPM++ 2M", "UniPC 2", "DEIS 2", "DDIM", "ancestral", "auto", "ipndm 2", "adams 2, 2")
"""Words of the names that run first."""

OURS: tuple[tuple[str, str, Mapping[str, object], float, int], ...] = (
    ("adams 2, 2", "exponential/adams", {"predictor": 2, "corrector": 2}, 0.0, 1),
    ("ipndm 2", "exponential/ipndm", {"order": 2}, 0.0, 1),
    ("ipndm 3", "exponential/ipndm", {"order": 3}, 0.0, 1),
    ("gradient-estimation", "exponential/gradient-estimation", {}, 0.0, 1),
    ("f-ddim", "exponential/f-ddim", {}, 0.0, 1),
    ("exp-heun", "exponential/exp-heun", {}, 0.0, 2),
    ("er-sde", "exponential/er-sde", {}, 1.0, 1),
    ("adams 2, 2, l = 1", "exponential/adams", {"predictor": 2, "corrector": 2}, 1.0, 1),
    ("dpmpp-2m-sde, l = 1.4", "exponential/dpmpp-2m-sde", {}, 1.4, 1),
)
AUTO: tuple[tuple[str, Mapping[str, object], float], ...] = (
    ("auto", {}, 1.0),
    ("auto, flow", {}, 0.0),
)
ANALYTIC = ("ipndm 2", "ipndm 3", "f-ddim")


def groups(samplers: Sequence[Sampler]) -> tuple[list[Sampler], list[Sampler]]:
    """Those of :data:`KEY`, and the others."""
    key = [by for by in samplers if any(word in by.name for word in KEY)]
    return key, [by for by in samplers if by not in key]


def theirs() -> Iterator[Sampler]:
    """Those of the libraries that are installed."""
    for level, rows in ((0.0, FLOW), (1.0, NOISY)):
        for name, library, key, each in rows:
            if importlib.util.find_spec(PACKAGES[library]):
                yield Sampler(name, library, _foreign(library, key, each), level)
            else:
                print(f"{library} is not installed: {name} is left out")


def ours() -> Iterator[Sampler]:
    """Those of sdeplug that it has by now, :data:`AUTO` first."""
    for name, options, level in AUTO:
        made = partial(auto, options)
        yield Sampler(name, "", made, level, OWN)
    for name, key, more, level, each in OURS:
        try:
            made = bundled(key, more, each)
        except UnknownNameError:
            continue
        yield Sampler(name, "", made, level)
        if name in ANALYTIC:
            yield Sampler(f"{name}, analytic first", "", made, level, GRIDS, analytic=True)


def auto(options: Mapping[str, object], grid: str, nfe: int) -> Integrator:
    """``auto`` for a leg; it has a grid of its own."""
    return solver("exponential/auto", nfe=nfe, **options)
