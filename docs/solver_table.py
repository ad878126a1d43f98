"""What the registry and the harness say about the bundled solvers, as Markdown.

The parts between ``<!-- generated: NAME -->`` and ``<!-- end -->`` in the pages about solvers
come from here.  ``python docs/solver_table.py`` writes them; a test compares them.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import tableau_table
import torch

import sdeplug as sp
from sdeplug.options import Option, options_of
from sdeplug.registry import Entry, registry
from sdeplug.testing import exact_law, exact_spectrum, marginal_law, relative_error
from sdeplug.testing.bench import gaussian, gaussian_score

FOLDER = Path(__file__).resolve().parent / "solvers"
STEPS = (16, 32, 64, 128, 256)
FAMILIES = ("torchdiffeq", "torchsde")  # plugins whose solvers share a page of that name

_PART = re.compile(
    r"(?P<head><!-- generated: (?P<name>[\w-]+) -->\n).*?(?P<tail><!-- end -->)", re.DOTALL
)


def bundled() -> dict[str, Entry]:
    """The solvers that come with sdeplug, by full name: those of Song et al. first.

    Without the adapters of other libraries and the families, which have one page for all.
    """
    entries = {
        name: each
        for name, each in registry().solvers().items()
        if each.bundled and each.plugin not in ("foreign", *FAMILIES)
    }
    return dict(sorted(entries.items(), key=lambda item: (item[1].plugin != "song",)))


def table() -> str:
    """All solvers in one table."""
    head = "| solver | what it is | order | evaluations | noise | forward SDE |"
    rows = [head, "| --- | --- | --- | --- | --- | --- |"]
    others = {name: each for plugin in FAMILIES for name, each in family(plugin).items()}
    for name, entry in (bundled() | others).items():
        claims = entry.obj().claims
        page = entry.plugin if name in others else entry.short
        cells = (
            f"[`{name}`]({page}.md)",
            kind(entry),
            _order(claims),
            _evaluations(claims),
            "yes" if claims.stochastic else "no",
            _needs(claims),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def family(plugin: str) -> dict[str, Entry]:
    """The solvers of one bundled plugin, by full name."""
    entries = registry().solvers().items()
    return {name: each for name, each in entries if each.bundled and each.plugin == plugin}


def relatives(plugin: str) -> str:
    """The solvers of a family, what they promise, and their options."""
    lines = [
        "| solver | class | weak order | strong order | evaluations | options |",
        "| --- " * 6 + "|",
    ]
    for entry in family(plugin).values():
        claims = entry.obj().claims
        options = (
            f"`{each.name} = {each.default!r}`" if not each.required else f"`{each.name}`"
            for each in options_of(entry.obj)
        )
        cells = (
            f"`{entry.name}`",
            f"`{entry.obj.__name__}`",
            _order(claims),
            f"{claims.strong_order or 'none'}",
            _evaluations(claims),
            ", ".join(options),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def facts(entry: Entry) -> str:
    """What one solver is and promises, and its options."""
    claims = entry.obj().claims
    lines = [
        "| | |",
        "| --- | --- |",
        f"| name | `{entry.name}` |",
        f"| class | `{entry.obj.__module__.partition('.')[0]}.{entry.obj.__name__}` |",
        f"| kind | {kind(entry)} |",
        f"| weak order | {_order(claims)} |",
        f"| strong order | {claims.strong_order or 'none'} |",
        f"| evaluations of the score | {_evaluations(claims)} |",
        f"| draws noise | {'yes' if claims.stochastic else 'no'} |",
        f"| affine for a Gaussian | {'yes' if claims.affine else 'no'} |",
        f"| bias that stays | {_floor(claims)} |",
        f"| forward SDE | {_needs(claims)} |",
        "",
    ]
    options = options_of(entry.obj)
    if options:
        lines += ["| option | allowed | default | what it does |", "| --- | --- | --- | --- |"]
        lines += [_row(each) for each in options] + [""]
    else:
        lines += ["It has no options.", ""]
    return "\n".join(lines)


def kind(entry: Entry) -> str:
    """Integrator, flow integrator or corrector."""
    if issubclass(entry.obj, sp.Corrector):
        return "corrector"
    return "flow integrator" if issubclass(entry.obj, sp.FlowIntegrator) else "integrator"


def error(
    by: sp.Integrator,
    sde: sp.LinearSDE,
    steps: int,
    level: float = 1.0,
    grid: Callable[[int], sp.TimeGrid] = sp.LogSNR,
) -> tuple[float, int]:
    """Exact error of the law at eps, from p_T: root mean square, and the evaluations made."""
    counted = sp.Counted(gaussian_score(sde))
    reverse, onto = sp.ReverseSDE(sde, counted, level), sp.OnGrid(by, grid(steps))
    start, wanted = (marginal_law(gaussian(), sde, t) for t in (sde.T, sde.eps))
    law = exact_spectrum(lambda x, run: onto.integrate(reverse, x, sde.T, sde.eps, run), start)
    each = relative_error(law, wanted)
    return float(each.square().mean().sqrt()), counted.nfe // 2  # one dry run, one with impulses


def errors(by: sp.Integrator, levels: tuple[float, ...]) -> str:
    """Exact errors of an integrator as a table: steps, evaluations, then VP and VE."""
    columns = [(sde, level) for sde in (sp.VPSDE(), sp.VESDE()) for level in levels]
    titles = [
        type(sde).__name__.removesuffix("SDE") + (f", l = {level:g}" if len(levels) > 1 else "")
        for sde, level in columns
    ]
    lines = [
        f"| steps | evaluations | {' | '.join(titles)} |",
        f"| --- | --- | {' | '.join('---' for _ in titles)} |",
    ]
    for steps in STEPS:
        measured = [error(by, sde, steps, level) for sde, level in columns]
        cells = [_percent(value) for value, _ in measured]
        lines.append(f"| {steps} | {measured[0][1]} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def drift(corrector: sp.Corrector) -> str:
    """How far sweeps of an affine corrector move p_t, exactly: t = 0.5 under VP and VE."""
    lines = ["| `snr` | 1 sweep | 10 sweeps | 100 sweeps | declared floor |", "| --- " * 5 + "|"]
    for snr in (0.05, 0.16, 0.3):
        by = replace(corrector, snr=snr)  # type: ignore[call-arg]
        cells = [_percent(max(_moved(by, sde, n) for sde in (sp.VPSDE(), sp.VESDE())))
                 for n in (1, 10, 100)]  # fmt: skip
        lines.append(f"| {snr} | {' | '.join(cells)} | {_percent(by.claims.floor)} |")
    return "\n".join(lines) + "\n"


def _moved(corrector: sp.Corrector, sde: sp.LinearSDE, sweeps: int, t: float = 0.5) -> float:
    """Largest relative error of p_t after some sweeps."""
    reverse, marginal = sp.ReverseSDE(sde, gaussian_score(sde)), marginal_law(gaussian(), sde, t)

    def swept(x: torch.Tensor, run: sp.Run) -> torch.Tensor:
        for _ in range(sweeps):
            x = corrector.correct(reverse, x, t, run)
        return x

    return float(relative_error(exact_law(swept, marginal), marginal).abs().max())


def sampled_drift(corrector: sp.Corrector, rows: int = 100_000) -> str:
    """How far 100 sweeps move the standard deviation of p_t, by sampling, in 2 and 256 dimensions.

    The target is N(0, 1/4) in every coordinate, under VP at t = 0.3.
    """
    lines = ["| `snr` | 2 dimensions | 256 dimensions | declared floor |", "| --- " * 4 + "|"]
    sde, t = sp.VPSDE(), 0.3
    for snr in (0.05, 0.16, 0.3):
        cells = []
        for dimension in (2, 256):
            # The same number of numbers, and hence the same standard error, in both columns.
            n = 2 * rows // dimension
            data = sp.targets.Gaussian(torch.zeros(dimension), std=0.5)
            noise = sp.SharedNoise(1)
            x = data.sample(n, noise=noise, t=t, sde=sde)
            reverse, before = sp.ReverseSDE(sde, data.score(sde)), float(x.std())
            by = replace(corrector, snr=snr)  # type: ignore[call-arg]
            for _ in range(100):
                x = by.correct(reverse, x, t, sp.Run(noise))
            wanted = math.sqrt(float(data.moments(t, sde)[1][0, 0]))
            assert abs(before / wanted - 1.0) < 0.01
            cells.append(f"{100.0 * (float(x.std()) / wanted - 1.0):+.1f} %")
        lines.append(f"| {snr} | {' | '.join(cells)} | {_percent(by.claims.floor)} |")
    return "\n".join(lines) + "\n"


def annealed(corrector: sp.Corrector) -> str:
    """Annealed Langevin dynamics, exactly: Hold and sweeps of the corrector on each level."""
    lines = ["| levels | 1 sweep | 10 sweeps | 100 sweeps |", "| --- " * 4 + "|"]
    for steps in (16, 64, 256):
        cells = []
        for sweeps in (1, 10, 100):
            by = sp.Corrected(sp.solver("song/hold"), corrector, sweeps)
            cells.append("" if steps * sweeps > 2000 else _percent(error(by, sp.VESDE(), steps)[0]))
        lines.append(f"| {steps} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def parts() -> Mapping[str, Callable[[], str]]:
    """Every generated part by name; the slow ones have ``errors`` in their name."""
    made: dict[str, Callable[[], str]] = {"table": table}
    for plugin in FAMILIES:
        made[f"family-{plugin}"] = partial(relatives, plugin)
    made["tableaux"] = tableau_table.tableaux
    made["errors-tableaux"] = partial(tableau_table.errors, error, _percent)
    for short in ("srk", "sde-heun"):
        made[f"errors-{short}"] = partial(errors, sp.solver(f"torchsde/{short}"), (1.0, 0.0))
    for entry in bundled().values():
        made[entry.short] = partial(facts, entry)
        # What brings its own grid is not measured by the steps of another.
        claims = entry.obj().claims
        gridded = kind(entry) != "corrector" and claims.order is not None and claims.steps is None
        if gridded and entry.short not in ("adams-bashforth", "exp-rk"):  # by order, by tableau
            levels = (1.0, 0.0) if entry.obj().claims.stochastic else (1.0,)
            made[f"errors-{entry.short}"] = partial(errors, entry.obj(), levels)
    for order in (2, 3, 4):
        by = sp.solver("ode/adams-bashforth", order=order)
        made[f"errors-adams-bashforth-{order}"] = partial(errors, by, (1.0,))
    made["errors-hold"] = partial(annealed, sp.solver("song/annealed-langevin"))
    made["errors-annealed-langevin"] = partial(drift, sp.solver("song/annealed-langevin"))
    made["errors-langevin"] = partial(sampled_drift, sp.solver("song/langevin"))
    return made


def shown(page: Path) -> dict[str, str]:
    """The generated parts of a page as they are there."""
    text = page.read_text(encoding="utf-8")
    return {
        found["name"]: found[0][len(found["head"]) : -len(found["tail"])].strip("\n") + "\n"
        for found in _PART.finditer(text)
    }


def write() -> None:
    """Write the generated parts into the pages."""
    made = parts()

    def fill(found: re.Match[str]) -> str:
        return f"{found['head']}\n{made[found['name']]().rstrip()}\n\n{found['tail']}"

    for page in sorted(FOLDER.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        page.write_text(_PART.sub(fill, text), encoding="utf-8")


def _row(option: Option) -> str:
    bounds = option.allowed.removeprefix("of type ")
    default = "required" if option.required else f"`{option.default!r}`"
    return f"| `{option.name}` | {bounds} | {default} | {option.help} |"


def _order(claims: sp.Claims) -> str:
    return "none" if claims.order is None else f"{claims.order:g}"


def _evaluations(claims: sp.Claims) -> str:
    return "varies" if claims.evaluations is None else f"{claims.evaluations}"


def _floor(claims: sp.Claims) -> str:
    if claims.floor is None:
        return "none"
    if claims.floor == math.inf:
        return "unbounded: it does not move"
    return f"below {100.0 * claims.floor:.2g} %"


def _needs(claims: Any) -> str:
    return "linear" if issubclass(claims.needs, sp.LinearSDE) else "any"


def _percent(value: float) -> str:
    value *= 100.0
    digits = max(0, 1 - math.floor(math.log10(value))) if value > 0.0 else 0
    return f"{value:.{min(digits, 8)}f} %"


if __name__ == "__main__":
    sys.exit(write())
