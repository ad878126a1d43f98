"""What the checks see of the mutants, as Markdown: measured, not written.

``python docs/mutant_table.py`` writes the parts between ``<!-- generated: NAME -->`` and
``<!-- end -->`` of the page, which takes some minutes; tests compare them.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import torch

import sdeplug as sp
from sdeplug.testing import (
    CHECKS,
    FAST,
    NotApplicable,
    check_solver,
    exact_law,
    marginal_law,
    relative_error,
)
from sdeplug.testing.bench import gaussian
from sdeplug.testing.mutants import EQUIVALENT, MUTANTS, Equivalent, Mutant, forget

PAGE = Path(__file__).resolve().parent / "explanation" / "mutants.md"
STEPS = 16
SLOW = tuple(check for check in CHECKS if check not in FAST)

_PART = re.compile(
    r"(?P<head><!-- generated: (?P<name>[\w-]+) -->\n).*?(?P<tail><!-- end -->)", re.DOTALL
)


def seen_by(mutant: Mutant) -> tuple[str, ...]:
    """The checks that fail a mutant: those of tiers 0 and 1; 2 and 3 where these see nothing."""
    # Some mutants draw from global generators, or remember earlier runs: start all from one state.
    random.seed(0)
    torch.manual_seed(0)
    forget()
    fast = tuple(each.name for each in check_solver(mutant.solver, fast=True).failures)
    return fast or tuple(check.__name__ for check in SLOW if fails(check, mutant))


def fails(check: object, mutant: Mutant) -> bool:
    """Whether one check fails a mutant."""
    try:
        check(mutant.solver)  # type: ignore[operator]
    except NotApplicable:
        return False
    except Exception:
        return True
    return False


def row(mutant: Mutant, checks: Iterable[str]) -> str:
    """One line of the table; checks that are meant to see the mistake are set in bold."""
    words = [_short(each, bold=each in mutant.seen_by) for each in checks]
    return f"| `{mutant.name}` | {mutant.what} | {', '.join(words) or 'none'} |"


def mutants() -> str:
    """All mutants, and the checks that fail them."""
    head = ["| mutant | what is wrong | seen by |", "| --- | --- | --- |"]
    return "\n".join([*head, *(row(each, seen_by(each)) for each in MUTANTS)]) + "\n"


def equivalents() -> str:
    """The variants that keep all promises, and what golden coefficients see of them."""
    lines = ["| variant | of | what is done | why it is right | golden coefficients |"]
    lines.append("| --- " * 5 + "|")
    for each in EQUIVALENT:
        gap = difference(each)
        seen = f"the law differs by {100.0 * gap:.2g} %" if gap > 1e-10 else "see nothing"
        cells = (f"`{each.name}`", f"`{each.of}`", each.what, each.why, seen)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def difference(variant: Equivalent) -> float:
    """How far the exact laws of a variant and its right solver are apart, at 16 steps.

    In standard deviations of the right one's, the largest over VP and VE.
    """
    return max(_difference(variant, sde) for sde in (sp.VPSDE(), sp.VESDE()))


def _difference(variant: Equivalent, sde: sp.LinearSDE) -> float:
    target = gaussian()
    reverse = sp.ReverseSDE(sde, target.score(sde))

    def carried(by: sp.Integrator, x: torch.Tensor, run: sp.Run) -> torch.Tensor:
        return sp.OnGrid(by, sp.LogSNR(STEPS)).integrate(reverse, x, sde.T, sde.eps, run)

    start = marginal_law(target, sde, sde.T)
    right, other = (
        exact_law(partial(carried, by), start) for by in (variant.right, variant.solver)
    )
    return float(relative_error(other, right).abs().max())


def shown() -> dict[str, str]:
    """The generated parts of the page as they are there."""
    return {
        found["name"]: found[0][len(found["head"]) : -len(found["tail"])].strip("\n") + "\n"
        for found in _PART.finditer(PAGE.read_text(encoding="utf-8"))
    }


def write() -> None:
    """Write the generated parts into the page."""
    made = {"mutants": mutants, "equivalents": equivalents}

    def fill(found: re.Match[str]) -> str:
        return f"{found['head']}\n{made[found['name']]().rstrip()}\n\n{found['tail']}"

    PAGE.write_text(_PART.sub(fill, PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def _short(check: str, bold: bool) -> str:
    name = check.removeprefix("check_").replace("_", " ")
    return f"**{name}**" if bold else name


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(write())
