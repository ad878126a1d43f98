"""Which method samples which posterior, as Markdown: measured.

``python docs/posteriors.py`` writes the table between ``<!-- generated: NAME -->`` and
``<!-- end -->`` of the page, which takes some minutes; ``python docs/posteriors.py PiGDM ...``
measures these methods alone, and keeps the others.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from sdeplug import RunError
from sdeplug.conditioning import (
    DDRM,
    DPS,
    SMC,
    LocalScore,
    MomentMatching,
    PiGDM,
    Replacement,
)
from sdeplug.testing import (
    PosteriorBench,
    PosteriorErrors,
    PosteriorProblem,
    posterior_errors,
    posterior_problems,
)

PAGE = Path(__file__).resolve().parent / "explanation" / "posteriors.md"
METHODS = {
    "Replacement": lambda score, known: Replacement(known),
    "LocalScore": LocalScore,
    "DPS": DPS,
    "PiGDM": PiGDM,
    "MomentMatching": MomentMatching,
    "DDRM": lambda score, known: DDRM(known),
    "SMC": lambda score, known: SMC(known),
}
BENCHES = {"SMC": PosteriorBench(samples=256, cases=24)}
MEASURED = (1, 2, 4)
MANY = 100
"""Dimensions beyond which an exact posterior takes seconds: 12 truths do there."""

_HEAD = ("method", "coverage", "mean", "spread", "modes", "evaluations", "seconds")
_PART = re.compile(
    r"(?P<head><!-- generated: (?P<name>[\w-]+) -->\n).*?(?P<tail><!-- end -->)", re.DOTALL
)


def problems() -> Mapping[str, PosteriorProblem]:
    """The problems by the name of their table."""
    found = {}
    for noise, std in (("low", 0.1), ("high", 0.5)):
        gaussian, *mixtures = posterior_problems((8,), MEASURED, (std,))
        found[f"gaussian-{noise}"] = gaussian
        for each in mixtures:
            found[f"mixture-8-{len(each.matrix)}-{noise}"] = each
    for dimension in (80, 800):
        for each in posterior_problems((dimension,), MEASURED, (0.1,))[1:]:
            found[f"mixture-{dimension}-{len(each.matrix)}-low"] = each
    return found


def row(method: str, problem: PosteriorProblem) -> str:
    """One line of a table."""
    bench = BENCHES.get(method, PosteriorBench())
    if problem.matrix.shape[1] > MANY:
        bench = replace(bench, cases=12)
    try:
        seen = posterior_errors(METHODS[method], problem, bench)
    except RunError as error:
        cells = (f"not finite: steps at t = {error.t:.2g} are too long", *[""] * 5)
        return f"| `{method}` | {' | '.join(cells)} |"
    return f"| `{method}` | {' | '.join(told(seen))} |"


def told(seen: PosteriorErrors) -> tuple[str, ...]:
    """The numbers of a line; bold where they are off by more than 3 standard errors and 0.03."""
    cells = []
    for value, error in (seen.coverage, seen.mean, seen.spread, seen.modes):
        text = f"{value:+.2f} ± {error:.2f}" if abs(value) < 100.0 else f"{value:+.0e}"
        cells.append(f"**{text}**" if abs(value) > 0.03 + 3.0 * error else text)
    return (*cells, str(seen.nfe), f"{seen.seconds:.1f}")


def shown() -> dict[str, dict[str, str]]:
    """The lines of each table as they are on the page, by method."""
    text = PAGE.read_text(encoding="utf-8")
    return {
        found["name"]: {
            line.split("`")[1]: line for line in found[0].splitlines() if line.startswith("| `")
        }
        for found in _PART.finditer(text)
    }


def write(asked: Sequence[str] = ()) -> None:
    """Measure methods, all unless some are asked for, and write their lines into the page."""
    for name, problem in problems().items():
        lines = shown()[name]
        for method in asked or METHODS:
            lines[method] = row(method, problem)
            print(f"{name}: {lines[method]}", flush=True)
        _put(name, [lines[each] for each in METHODS if each in lines])


def _put(name: str, lines: Sequence[str]) -> None:
    head = f"| {' | '.join(_HEAD)} |\n|{' --- |' * len(_HEAD)}"

    def fill(found: re.Match[str]) -> str:
        if found["name"] != name:
            return found[0]
        return f"{found['head']}\n{head}\n" + "\n".join(lines) + f"\n\n{found['tail']}"

    PAGE.write_text(_PART.sub(fill, PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(write(sys.argv[1:]))
