"""Building by name: solvers, forward SDEs, metrics, grids and targets, ours or a plugin's."""

from __future__ import annotations

from typing import Any, cast

from sdeplug.errors import PluginError
from sdeplug.grid import TimeGrid
from sdeplug.metrics import Metric
from sdeplug.options import build
from sdeplug.registry.catalogue import registry
from sdeplug.registry.discovery import versions
from sdeplug.sde import ForwardSDE
from sdeplug.targets import Target


def solver(name: str, /, **options: object) -> Any:
    """Build a solver by name.

    Args:
        name: full name such as "song/langevin", short name if only one plugin offers it, or a
            name that another library has for it, such as "euler_a".
        options: its options; those left out have their defaults.

    Returns:
        An :class:`Integrator` or a :class:`Corrector`; which one, only the name says.

    Raises:
        UnknownNameError: if no plugin offers the name, or more than one does.
        PluginError: if the plugin that should offer it does not work or was left out.
        ArgumentError: if an option is unknown, missing, or has a value that is not allowed.
    """
    entry, meant = registry().meant("solvers", name)
    return build(entry.obj, {**meant, **options}, entry.name)


def sde(name: str, /, **options: object) -> ForwardSDE:
    """Build a forward SDE by name, "vp" or another; raises as :func:`solver`."""
    entry = registry().find("sdes", name)
    return cast(ForwardSDE, build(entry.obj, options, entry.name))


def metric(name: str, /, **options: object) -> Metric:
    """Build a metric by name; raises as :func:`solver`."""
    entry = registry().find("metrics", name)
    return cast(Metric, build(entry.obj, options, entry.name))


def grid(name: str, /, **options: object) -> TimeGrid:
    """Build a time grid by name, "karras" or another; raises as :func:`solver`."""
    entry, meant = registry().meant("grids", name)
    return cast(TimeGrid, build(entry.obj, {**meant, **options}, entry.name))


def target(name: str, /) -> Target:
    """Build a target by name.

    Raises:
        PluginError: as for :func:`solver`, and if what is offered builds no target.
    """
    entry = registry().find("targets", name)
    built = entry.obj()
    if not isinstance(built, Target):
        raise PluginError(
            f"{entry.name} of {entry.provenance} built {built!r}: must be a Target. {versions()}"
        )
    return built
