"""Where every sampler stands: ours and those of other libraries, on four targets, VP and VE.

python benchmarks/standing.py [--nfe N] [--jobs N] [--markdown FILE] [--resume FOLDER]

Samplers of libraries that are not installed are left out.
"""

from __future__ import annotations

import argparse
import importlib.util
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.progress import track

from sdeplug import VESDE, VPSDE, Corrector, Integrator, solver, targets
from sdeplug.compare import Conditions, Contender, Work, compare
from sdeplug.registry import registry

TARGETS = {
    "eight modes": (targets.eight_gaussians, "mode-moments", 8192),
    "two modes": (targets.two_modes, "mode-moments", 8192),
    "64 dimensions": (targets.mixture_64, "mode-moments", 4096),
    "digits": (targets.digits, "nearest-neighbour", 500),
}
SDES = {"VP": VPSDE(), "VE": VESDE()}
FOREIGN = {
    "diffusers": (
        "ddim", "ddpm", "dpm-multistep-2", "dpm-multistep-3", "unipc-2", "unipc-3", "deis-3",
        "sa-solver-3", "dpm-multistep-2-sde",
    ),
    "k-diffusion": (
        "euler", "euler_ancestral", "heun", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_3m_sde", "lms",
    ),
    "azula": ("ddim", "ddpm", "heun", "xeab-3", "zeab-3"),
}  # fmt: skip
PACKAGES = {"diffusers": "diffusers", "k-diffusion": "k_diffusion", "azula": "azula"}
JUMPING = ("song/hold",)  # leaves all work to a corrector


def ours() -> dict[str, Integrator | Contender]:
    """All bundled integrators, at stochasticity 1 unless they follow the flow."""
    found: dict[str, Integrator | Contender] = {}
    for name, entry in sorted(registry().solvers().items()):
        if not entry.bundled or entry.plugin == "foreign" or name in JUMPING:
            continue
        by = solver(name)
        if not isinstance(by, Corrector):
            found[name] = by
    adams = solver("exponential/adams")
    found["exponential/adams, l = 0"] = Contender(adams, stochasticity=0.0)
    return found


def theirs() -> dict[str, Integrator]:
    """Samplers of other libraries, where they are installed."""
    return {
        f"{library}: {sampler}": solver(f"foreign/{library}", sampler=sampler)
        for library, samplers in FOREIGN.items()
        if importlib.util.find_spec(PACKAGES[library])
        for sampler in samplers
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nfe", type=int, default=24)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--markdown", type=Path, help="write the table here")
    parser.add_argument("--resume", type=Path, help="keep finished runs here")
    options = parser.parse_args()
    solvers = {**ours(), **theirs()}
    columns: dict[str, dict[str, str]] = {}
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        places = [(target, sde) for target in TARGETS for sde in SDES]
        for name, sde in track(places, console=Console(stderr=True)):
            make, metric, samples = TARGETS[name]
            result = compare(
                solvers, make(), SDES[sde], nfe=(options.nfe,), seeds=1, metrics=(metric,),
                samples=samples, conditions=Conditions(score_errors=(0.0,)),
                work=Work(pool, options.resume),
            )  # fmt: skip
            cells = {row.solver: _cell(row, metric) for row in result.rows}
            cells["exact draws"] = f"{result.rows[0].floor[metric].mean:.2g}"
            columns[f"{name}, {sde}"] = cells
    lines = [f"| sampler | {' | '.join(columns)} |", "| --- " * (len(columns) + 1) + "|"]
    for label in (*solvers, "exact draws"):
        values = [cells.get(label, "") for cells in columns.values()]
        lines.append(f"| {label} | {' | '.join(values)} |")
    table = "\n".join(lines) + "\n"
    print(table)
    if options.markdown:
        options.markdown.write_text(table)


def _cell(row, metric: str) -> str:
    """The value, and the evaluations where they are not those of the budget."""
    if row.failure:
        return "failed"
    value = row.values[metric].mean
    spent = "" if abs(row.nfe - row.budget) < 0.5 else f" ({row.nfe:.0f})"
    return f"{value:.2g}{spent}"


if __name__ == "__main__":
    main()
