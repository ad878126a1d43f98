"""The pytest plugin: ``pytest --sdeplug-solver song/ancestral`` checks a solver, without a file.

pytest imports this module at the start of every run in the environment.  It therefore lives
beside the package and not in it: nothing of sdeplug, and no torch, is imported until the option
is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("sdeplug", "conformance of diffusion samplers")
    group.addoption(
        "--sdeplug-solver",
        action="append",
        metavar="NAME[:OPTION=VALUE,...]",
        help="run the checks of sdeplug.testing on this solver, each as a test; may be repeated; "
        "tests of files run too where a path is given",
    )
    group.addoption(
        "--sdeplug-sde",
        action="append",
        metavar="NAME[:OPTION=VALUE,...]",
        help="check the solvers on this forward SDE too; may be repeated",
    )
    group.addoption(
        "--sdeplug-fast",
        action="store_true",
        help="only the checks that are free of noise",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register what collects the checks, if a solver is named."""
    names = config.getoption("--sdeplug-solver")
    if not names:
        return
    # sdeplug.testing is the one package that a solver's tests need; it is imported here, late.
    from sdeplug.testing.doors.collecting import Checks

    config.pluginmanager.register(Checks(config, names), "sdeplug-checks")
