"""Tables for the terminal: solvers, plugins, versions, devices, reports."""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING

import torch
from rich.table import Table

from sdeplug.options import Option, options_of
from sdeplug.registry import installed_version, registry
from sdeplug.solvers import Claims, Corrector, FlowIntegrator

if TYPE_CHECKING:
    from sdeplug.testing import Report

_PACKAGES = (
    "sdeplug", "torch", "numpy", "torchsde", "torchdiffeq", "pluggy", "click", "rich",
    "matplotlib", "scikit-learn",
)  # fmt: skip
_STYLES = {"FAILED": "bold red", "not applicable": "dim", "passed": ""}


def solver_rows() -> list[tuple[str, ...]]:
    """One row for each solver: name, kind, order, evaluations, options, plugin, distribution."""
    return [
        (
            name,
            _kind(entry.obj),
            *_claims(entry.obj),
            ", ".join(map(_option, options_of(entry.obj))) or "-",
            entry.plugin,
            f"{entry.distribution} {entry.version}",
        )
        for name, entry in sorted(registry().solvers().items())
    ]


def solvers_table() -> Table:
    """All solvers that plugins offer."""
    table = _table(
        "Solvers", "name", "kind", "order", "evaluations", "options", "plugin", "distribution"
    )
    for row in solver_rows():
        table.add_row(*row)
    return table


def failures_table() -> Table | None:
    """What does not work and why; None if everything does."""
    registry().solvers()
    failures = registry().failures
    if not failures:
        return None
    table = _table("Failures", "name", "distribution", "reason")
    for failure in failures:
        table.add_row(failure.name, failure.provenance, failure.reason)
    return table


def plugins_table() -> Table:
    """All plugins that were found."""
    table = _table("Plugins", "name", "distribution", "version")
    for name, origin in sorted(registry().plugins().items()):
        table.add_row(name, origin.distribution, origin.version)
    return table


def versions_table() -> Table:
    """Python and the packages that matter."""
    table = _table("Versions", "package", "version")
    table.add_row("python", f"{platform.python_version()} ({sys.executable})")
    table.add_row("platform", platform.platform())
    for package in _PACKAGES:
        table.add_row(package, installed_version(package) or "not installed")
    return table


def devices_table() -> Table:
    """The devices that torch sees."""
    table = _table("Devices", "name", "what")
    table.add_row("cpu", f"{torch.get_num_threads()} threads")
    for index in range(torch.cuda.device_count()):
        table.add_row(f"cuda:{index}", torch.cuda.get_device_name(index))
    if torch.backends.mps.is_available():
        table.add_row("mps", "no float64")
    return table


def report_table(report: Report) -> Table:
    """What each check said of a solver."""
    table = _table(f"{report.solver}: {report.verdict}", "check", "outcome", "seconds")
    table.add_column("what was seen", overflow="fold", ratio=1)
    for result in report.results:
        style = _STYLES[result.outcome.value]
        table.add_row(
            result.name, result.outcome.value, f"{result.seconds:.1f}", result.reason, style=style
        )
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _kind(cls: type) -> str:
    if issubclass(cls, Corrector):
        return "corrector"
    return "flow integrator" if issubclass(cls, FlowIntegrator) else "integrator"


def _claims(cls: type) -> tuple[str, str]:
    """Order and evaluations with the default options; unknown where an option is required."""
    if any(option.required for option in options_of(cls)):
        return "?", "?"
    claims: Claims = cls().claims
    order = "-" if claims.order is None else f"{claims.order:g}"
    return order, "varies" if claims.evaluations is None else str(claims.evaluations)


def _option(option: Option) -> str:
    value = "..." if option.required else str(option.default)
    return f"{option.name}={value}"
