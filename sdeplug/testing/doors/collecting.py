"""Checks as pytest items that belong to no file; imported where ``--sdeplug-solver`` is used."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any

import pytest

from sdeplug.errors import SdeplugError
from sdeplug.registry import named
from sdeplug.testing.bench import Solver
from sdeplug.testing.doors.checks import Check
from sdeplug.testing.doors.doors import selected
from sdeplug.testing.doors.running import run_or_skip
from sdeplug.testing.findings import CheckFailed


class Checks:
    """Adds the checks of the named solvers to what pytest collects.

    Args:
        config: the configuration of pytest.
        names: solvers, each as ``NAME[:OPTION=VALUE,...]``.

    Raises:
        pytest.UsageError: for a name or option that is not allowed, or a missing package.
    """

    def __init__(self, config: pytest.Config, names: Sequence[str]) -> None:
        try:
            own = [named("sdes", name) for name in config.getoption("--sdeplug-sde") or ()]
            self.checks = selected(config.getoption("--sdeplug-fast"), own)
            self.solvers = {name: named("solvers", name) for name in names}
        except SdeplugError as error:
            raise pytest.UsageError(f"--sdeplug-solver: {error}") from error
        if config.args_source is not pytest.Config.ArgsSource.ARGS:
            config.args = []  # no path was given: the solvers are all that is asked for

    @pytest.hookimpl(hookwrapper=True)
    def pytest_make_collect_report(self, collector: Any) -> Generator[None, Any, None]:
        """Append one collector for each solver to the children of the session."""
        outcome = yield
        report = outcome.get_result()
        if isinstance(collector, pytest.Session) and report.passed:
            report.result = [*report.result, *self._collectors(collector)]

    def _collectors(self, session: pytest.Session) -> Iterator[pytest.Collector]:
        for name, solver in self.solvers.items():
            collector: SolverChecks = SolverChecks.from_parent(session, name=name, nodeid=name)
            collector.solver, collector.checks = solver, self.checks
            yield collector


class SolverChecks(pytest.Collector):
    """The checks of one solver."""

    solver: Solver
    checks: tuple[Check, ...]

    def collect(self) -> Iterator[pytest.Item]:
        """One item for each check."""
        for check in self.checks:
            item: CheckItem = CheckItem.from_parent(self, name=check.__name__)
            item.solver, item.check = self.solver, check
            yield item


class CheckItem(pytest.Item):
    """One check of one solver."""

    solver: Solver
    check: Check

    def runtest(self) -> None:
        """Run the check."""
        run_or_skip(self.check, self.solver)

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """What the check said; where the solver raised something, the traceback too."""
        if isinstance(excinfo.value, CheckFailed) and excinfo.value.__cause__ is None:
            return f"{self.solver!r}\n{excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Where pytest says that it is: at the name of the solver."""
        return self.path, None, self.nodeid
