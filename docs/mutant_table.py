"""What the checks see of the mutants, as Markdown: measured, not written.

``python docs/mutant_table.py`` writes the parts between ``<!-- generated: NAME -->`` and
``<!-- end -->`` of the page; tests compare them.  To measure all rows takes a quarter of an hour,
so that it can be done in pieces: ``--missing`` measures those that the page does not have,
``--only TEXT`` those whose name has the text in it, ``--after NAME`` those below a row, and
``--seconds N`` stops after so many.  Each row is written as soon as it is there.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
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
from sdeplug.testing.mutants.collection import FAMILIES

PAGE = Path(__file__).resolve().parent / "explanation" / "mutants.md"
STEPS = 16
SLOW = tuple(check for check in CHECKS if check not in FAST)

_PART = re.compile(
    r"(?P<head><!-- generated: (?P<name>[\w-]+) -->\n).*?(?P<tail><!-- end -->)", re.DOTALL
)


def seen_by(mutant: Mutant) -> tuple[str, ...]:
    """The checks that fail a mutant: those of tiers 0 and 1, or the first above that does."""
    # Some mutants draw from global generators, or remember earlier runs: start all from one state.
    random.seed(0)
    torch.manual_seed(0)
    forget()
    fast = tuple(each.name for each in check_solver(mutant.solver, fast=True).failures)
    return fast or next(((each.__name__,) for each in SLOW if fails(each, mutant)), ())


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


def rows() -> dict[str, str]:
    """The lines of the page by the names of the mutants, of those that are there still."""
    lines = shown()["mutants"].splitlines()
    found = {line.split("`")[1]: line for line in lines if line.startswith("| `")}
    return {each.name: found[each.name] for each in MUTANTS if each.name in found}


def seen() -> dict[str, tuple[str, ...]]:
    """The checks that see the mutants, of those that are meant to, as the page has it."""
    return {
        name: tuple(f"check_{each.replace(' ', '_')}" for each in _meant(line))
        for name, line in rows().items()
    }


def _meant(line: str) -> list[str]:
    """The checks of a line that are set in bold."""
    return re.findall(r"\*\*([\w ]+)\*\*", line)


def mutants(lines: Mapping[str, str]) -> str:
    """A table for each family, in the order of the mutants."""
    head = ["| mutant | what is wrong | seen by |", "| --- | --- | --- |"]
    return "\n".join(
        "\n".join((f"### {family}\n", *head, *_of(family, lines))) + "\n" for family in FAMILIES
    )


def _of(family: str, lines: Mapping[str, str]) -> Iterator[str]:
    return (lines[each.name] for each in FAMILIES[family] if each.name in lines)


def counts(lines: Mapping[str, str]) -> str:
    """How many mutants each check is meant to see and sees, the busiest first."""
    found = Counter(name for line in lines.values() for name in _meant(line))
    rows = [f"| {name} | {count} |" for name, count in found.most_common()]
    return "\n".join(["| check | mutants |", "| --- | --- |", *rows]) + "\n"


def chosen(only: str, after: str, missing: bool) -> list[Mutant]:
    """The mutants that are asked for, in their order."""
    names = [each.name for each in MUTANTS]
    below = MUTANTS[names.index(after) + 1 :] if after else MUTANTS
    known = rows() if missing else {}
    return [each for each in below if only in each.name and each.name not in known]


def measure(mutants: Iterable[Mutant], seconds: float) -> None:
    """Measure rows and write them, one by one, until the time is over."""
    begin = time.monotonic()
    for each in mutants:
        if time.monotonic() - begin > seconds:
            print(f"stopped before {each.name}")
            return
        before, line = rows().get(each.name), row(each, seen_by(each))
        write(rows() | {each.name: line})
        print(f"{each.name}: {'as it was' if line == before else line}", flush=True)


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


def write(lines: Mapping[str, str]) -> None:
    """Write the generated parts into the page, the tables of mutants with these lines."""
    made = {
        "counts": partial(counts, lines),
        "mutants": partial(mutants, lines),
        "equivalents": _equivalents,
    }

    def fill(found: re.Match[str]) -> str:
        return f"{found['head']}\n{made[found['name']]().rstrip()}\n\n{found['tail']}"

    PAGE.write_text(_PART.sub(fill, PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def _short(check: str, bold: bool) -> str:
    name = check.removeprefix("check_").replace("_", " ")
    return f"**{name}**" if bold else name


_equivalents = cache(equivalents)


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="names with this in it")
    parser.add_argument("--after", default="", help="the rows below this one")
    parser.add_argument("--missing", action="store_true", help="rows that the page does not have")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many")
    given = parser.parse_args()
    torch.set_num_threads(1)
    measure(chosen(given.only, given.after, given.missing), given.seconds)


if __name__ == "__main__":
    main()
