"""Tables for the terminal: plugins, versions, devices, reports."""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING

import torch
from rich.style import StyleType
from rich.table import Table
from rich.text import Text

from sdeplug.registry import installed_version, registry

if TYPE_CHECKING:
    from sdeplug.testing import Report

_PACKAGES = (
    "sdeplug", "torch", "numpy", "torchsde", "torchdiffeq", "pluggy", "click", "rich",
    "matplotlib", "scikit-learn",
)  # fmt: skip
_STYLES = {
    "FAILED": "bold red", "UNPROVEN": "bold yellow", "not applicable": "dim", "passed": "",
    "expected failure": "",
}  # fmt: skip


class Plain(Table):
    """A table whose cells are text as it is: "sdeplug[plots]" keeps its brackets."""

    def add_row(  # type: ignore[override]
        self, *cells: str, style: StyleType | None = None
    ) -> None:
        """Add a row; a style is one for all of it."""
        super().add_row(*map(Text, cells), style=style)


def failures_table() -> Table | None:
    """What does not work and why; None if everything does."""
    registry().solvers()
    failures = registry().failures
    if not failures:
        return None
    shown = table("Failures", "name", "distribution", "reason")
    for failure in failures:
        shown.add_row(failure.name, failure.provenance, failure.reason)
    return shown


def plugins_table() -> Table:
    """All plugins that were found."""
    shown = table("Plugins", "name", "distribution", "version")
    for name, origin in sorted(registry().plugins().items()):
        shown.add_row(name, origin.distribution, origin.version)
    return shown


def versions_table() -> Table:
    """Python and the packages that matter."""
    shown = table("Versions", "package", "version")
    shown.add_row("python", f"{platform.python_version()} ({sys.executable})")
    shown.add_row("platform", platform.platform())
    for package in _PACKAGES:
        shown.add_row(package, installed_version(package) or "not installed")
    return shown


def devices_table() -> Table:
    """The devices that torch sees."""
    shown = table("Devices", "name", "what")
    shown.add_row("cpu", f"{torch.get_num_threads()} threads")
    for index in range(torch.cuda.device_count()):
        shown.add_row(f"cuda:{index}", torch.cuda.get_device_name(index))
    if torch.backends.mps.is_available():
        shown.add_row("mps", "no float64")
    return shown


def report_table(report: Report) -> Table:
    """What each check said of a solver."""
    shown = table(f"{report.solver}: {report.words}", "check", "outcome", "seconds")
    shown.add_column("what was seen", overflow="fold", ratio=1)
    for result in report.results:
        style = _STYLES[result.outcome.value]
        shown.add_row(
            result.name, result.outcome.value, f"{result.seconds:.1f}", result.reason, style=style
        )
    return shown


def table(title: str, *columns: str) -> Plain:
    """An empty table with a title."""
    shown = Plain(title=Text(title), title_justify="left", title_style="bold")
    for column in columns:
        shown.add_column(column, overflow="fold")
    return shown
