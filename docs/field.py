"""The verdict of the harness on the samplers of other libraries, as Markdown: measured.

``python docs/field.py`` writes the parts between ``<!-- generated: NAME -->`` and ``<!-- end -->``
of the page, which takes some minutes; ``python docs/field.py azula/reab-2 ...`` measures these
rows alone, and keeps the others.  The libraries have to be installed.  Tests compare the page with
what the adapters claim.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

import sdeplug as sp
from sdeplug.testing import CheckFailed, NotApplicable
from sdeplug.testing.exact import check_marginals, refinements
from sdeplug.testing.exact.affine import EXACT, rounding
from sdeplug.testing.exact.convergence import extrapolated, rms
from sdeplug.testing.exact.marginals import Setting
from sdeplug_foreign import AzulaSampler, DiffusersSampler, KDiffusionSampler

PAGE = Path(__file__).resolve().parent / "explanation" / "field.md"
LIBRARIES = {
    "diffusers": DiffusersSampler,
    "k-diffusion": KDiffusionSampler,
    "azula": AzulaSampler,
}
KEPT = "as claimed"
_NEAR = 0.3
_CORRECTOR = "a corrector is at work"
_STEPS, _STEPS_WHERE_ROUNDED = (32, 64, 128), (16, 32, 64)
_HEAD = ("sampler", "order claimed", "observed", "error left", "verdict")
_PART = re.compile(
    r"(?P<head><!-- generated: (?P<name>[\w-]+) -->\n).*?(?P<tail><!-- end -->)", re.DOTALL
)


@dataclass(frozen=True)
class Measured:
    """What is seen of one sampler on VP and VE, the worse of both.

    Attributes:
        order: of the error of its law for Gaussian data.
        left: the largest error, of a standard deviation, that is left for ever shorter steps.
        verdict: what :func:`check_marginals` says, in a sentence.
    """

    order: float
    left: float
    verdict: str


def measured(by: sp.Integrator) -> Measured:
    """Order, limit and verdict of a sampler that brings its own grid."""
    orders, left = [], []
    counts = _STEPS if rounding(by) <= EXACT else _STEPS_WHERE_ROUNDED
    for sde in (sp.VPSDE(), sp.VESDE()):
        (refined,) = refinements(by, sde)
        setting = Setting(repr(sde), sde, 1.0, sde.eps, refined)
        errors = [_judged(setting.error(steps)) for steps in counts]
        order = math.log2(rms(errors[-2]) / rms(errors[-1]))
        orders.append(order)
        left.append(float(extrapolated(errors[-2:], order).abs().max()))
    return Measured(min(orders), max(left), verdict(by, min(orders)))


def verdict(by: sp.Integrator, order: float) -> str:
    """What the harness says of its law, in a sentence; an order is told as the whole number near
    the observed one."""
    try:
        check_marginals(by)
    except CheckFailed as failure:
        near = round(order)
        if abs(order - near) <= _NEAR and 1 <= near < (by.claims.order or 0.0):
            return f"order {near}, not {by.claims.order:g}"
        stays = re.search(r"Extrapolated error (\S+) at", str(failure))
        if stays is not None and _CORRECTOR in str(failure):
            return f"the limit is wrong: {stays[1]} stays, of its corrector"
        # What follows are the setting and the numbers behind it.
        return re.split(r", on |\. | on (?=VP|VE)", str(failure))[0]
    except NotApplicable as reason:
        return f"not judged: {reason}"
    return KEPT


def row(library: str, sampler: str) -> str:
    """One line of the table."""
    by = LIBRARIES[library](sampler)
    seen = measured(by)
    claimed = LIBRARIES[library].recipes[sampler].order
    cells = (f"`{sampler}`", str(claimed), f"{seen.order:.1f}", f"{seen.left:.0e}", seen.verdict)
    return f"| {' | '.join(cells)} |"


def samplers() -> Iterator[tuple[str, str]]:
    """All libraries with their samplers."""
    for library, cls in LIBRARIES.items():
        for sampler in cls.recipes:
            yield library, sampler


def rows(library: str) -> dict[str, str]:
    """The rows of a library as they are on the page, by sampler."""
    found = re.findall(r"^\| `([\w-]+)` .*$", shown().get(library, ""), re.MULTILINE)
    lines = [line for line in shown().get(library, "").splitlines() if line.startswith("| `")]
    return dict(zip(found, lines, strict=True))


def shown() -> dict[str, str]:
    """The generated parts of the page as they are there."""
    return {
        found["name"]: found[0][len(found["head"]) : -len(found["tail"])].strip("\n") + "\n"
        for found in _PART.finditer(PAGE.read_text(encoding="utf-8"))
    }


def write(asked: Sequence[str] = ()) -> None:
    """Measure samplers, all unless some are asked for, and write their rows into the page."""
    for library, sampler in samplers():
        if not asked or f"{library}/{sampler}" in asked:
            line = row(library, sampler)
            print(f"{library}: {line}", flush=True)
            _put(library, {**rows(library), sampler: line})


def _put(library: str, known: dict[str, str]) -> None:
    """Write the rows of a library into the page, in the order of its samplers."""
    head = f"| {' | '.join(_HEAD)} |\n| {' | '.join('---' for _ in _HEAD)} |"
    lines = [known[name] for name in LIBRARIES[library].recipes if name in known]

    def fill(found: re.Match[str]) -> str:
        if found["name"] != library:
            return found[0]
        return f"{found['head']}\n{head}\n" + "\n".join(lines) + f"\n\n{found['tail']}"

    PAGE.write_text(_PART.sub(fill, PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def _judged(error: torch.Tensor) -> torch.Tensor:
    """The errors without those of the variance that is near singular."""
    return torch.cat([half[1:] for half in error.chunk(2)])


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(write(sys.argv[1:]))
