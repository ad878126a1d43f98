"""Golden coefficients: what every bundled solver does on one fixed grid, to ten digits.

Some changes leave limit and order of a solver as they are: a step ratio upside down, a last step
left out.  So the whole answer b, A, C_j of each solver is stored in ``golden.json``.  After a
change that is meant to change numbers, or with a new solver, run ::

    python tests/plugins/golden.py

and read what changed in the file before you commit it.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from sdeplug import (
    VESDE,
    VPSDE,
    Corrected,
    Corrector,
    FlowIntegrator,
    LogSNR,
    OnGrid,
    ReverseSDE,
    solver,
)
from sdeplug.registry import registry
from sdeplug.testing.bench import carried, gaussian_score
from sdeplug.testing.exact import response

FILE = Path(__file__).with_name("golden.json")
COMMAND = "python tests/plugins/golden.py"
STEPS = 16
SPECTRUM = (0.01, 0.25, 4.0)
SDES = (VPSDE(), VESDE())
TIME = 0.5  # where correctors are measured
OPTIONS = {  # besides the defaults
    "song/euler-maruyama": [{"reference_steps": 100}],
    "song/reverse-diffusion": [{"reference_steps": 100}],
    "song/ancestral": [{"large_variance": True}, {"reference_steps": 100}],
    "song/annealed-langevin": [
        {"snr": 0.3, "steps": 2},
        {"reference_steps": 100},
    ],
    "exponential/auto": [{"score_error": 0.0}],
    "ode/adams-bashforth": [{"order": order} for order in (1, 3, 4)],
    "ode/adams-moulton": [{"order": 3, "low": 0.02, "high": 2.0}],
}


def bundled():
    """Full names of the solvers that come with the library."""
    return sorted(name for name, entry in registry().solvers().items() if entry.bundled)


def cases():
    """Name of a case to its solver, for all of ours that are affine."""
    found = {}
    for name in bundled():
        for options in [{}, *OPTIONS.get(name, [])]:
            built = solver(name, **options)
            if built.claims.affine and not name.startswith("foreign/"):  # theirs to change
                told = ",".join(f"{key}={value}" for key, value in options.items())
                found[f"{name}({told})"] = built
    return found | composed()


def composed():
    """The combinators, with memory and correctors at work in them."""
    predictor, corrector = solver("song/ancestral"), solver("song/annealed-langevin")
    multistep = solver("ode/adams-bashforth", order=3)
    return {
        "corrected": Corrected(predictor, corrector),
        "corrected before": Corrected(predictor, corrector, sweeps=2, before=True),
        "corrected multistep": Corrected(multistep, corrector),
        "noiseless last": OnGrid(predictor, LogSNR(STEPS), noiseless_last=True),
        "grid in grid": OnGrid(multistep, LogSNR(4)),
    }


def levels(built):
    options = getattr(built, "reference_steps", None)
    fixed = isinstance(built, (Corrector, FlowIntegrator)) or options is not None
    return (1.0,) if fixed else (1.0, 0.5, 0.0)


def measured(built):
    """The coefficients of a solver for each SDE and stochasticity, as plain data."""
    found = {}
    for sde in SDES:
        for level in levels(built):
            reverse = ReverseSDE(sde, gaussian_score(sde, SPECTRUM), level)
            if isinstance(built, Corrector):
                sampler = partial(corrected, built, reverse)
            else:
                by = built if case_has_grid(built) else OnGrid(built, LogSNR(STEPS))
                sampler = partial(carried, by, reverse, sde.eps)
            answer = response(sampler, len(SPECTRUM), apart=True)
            found[f"{type(sde).__name__} {level:g}"] = {
                "offset": answer.offset.tolist(),
                "input": answer.inputs[0].tolist(),
                "noise": answer.noise.tolist(),
            }
    return found


def case_has_grid(built):
    return isinstance(built, OnGrid) and built.noiseless_last


def corrected(corrector, reverse, x, run):
    return corrector.correct(reverse, x, TIME, run)


def stored():
    return json.loads(FILE.read_text(encoding="utf-8"))


def written(golden):
    """JSON with one line for each list of numbers, so that changes can be read."""
    lines = []
    for case, settings in sorted(golden.items()):
        inner = [
            f'  "{setting}": {{\n'
            + ",\n".join(f'   "{key}": {json.dumps(values)}' for key, values in answer.items())
            + "\n  }"
            for setting, answer in settings.items()
        ]
        lines.append(f' "{case}": {{\n' + ",\n".join(inner) + "\n }")
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(written({case: measured(each) for case, each in cases().items()}))
    print(f"{FILE}: {len(cases())} cases")
