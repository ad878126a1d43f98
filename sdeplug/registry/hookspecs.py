"""What a plugin can offer: functions that return mappings from names to classes.

The smallest plugin is a module with one function ::

    from sdeplug import hookimpl

    @hookimpl
    def sdeplug_solvers():
        return {"my-solver": MySolver}

and an entry point in the group ``sdeplug`` that names the module.  With ``HOOKSPEC_VERSION = 2``
in it, the module says for which version of these hooks it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pluggy

from sdeplug.grid import TimeGrid
from sdeplug.metrics import Metric
from sdeplug.registry.aliases import Alias
from sdeplug.score import ScoreModel
from sdeplug.sde import ForwardSDE
from sdeplug.solvers import Corrector, Integrator
from sdeplug.targets import Target

PROJECT = "sdeplug"

HOOKSPEC_VERSION = 2
"""Version of the hooks: one more whenever a hook is new, or means something else.

A plugin may say for which one it is written, by a whole number of the same name in its module, and
is left out with a clear word where that is a later one than this.  Versions: 1, solvers, SDEs,
targets, metrics; 2, grids, score models, names from elsewhere.
"""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def sdeplug_solvers() -> Mapping[str, type[Integrator] | type[Corrector]]:
    """Solvers: frozen dataclasses that derive from ``Integrator`` or ``Corrector``.

    A name has lower-case letters, digits and hyphens; users write ``plugin/name``.
    """
    return {}


@hookspec
def sdeplug_sdes() -> Mapping[str, type[ForwardSDE]]:
    """Forward SDEs: frozen dataclasses that derive from ``ForwardSDE``."""
    return {}


@hookspec
def sdeplug_targets() -> Mapping[str, Callable[[], Target]]:
    """Targets: functions that build a distribution whose diffused score is exact."""
    return {}


@hookspec
def sdeplug_metrics() -> Mapping[str, type[Metric]]:
    """Metrics for the comparison: frozen dataclasses that derive from ``Metric``."""
    return {}


@hookspec
def sdeplug_grids() -> Mapping[str, type[TimeGrid]]:
    """Time grids: frozen dataclasses that derive from ``TimeGrid``.

    One with an option ``steps``, a whole number, can be used wherever a number of steps is given,
    and :func:`sdeplug.testing.check_grid` tries it.
    """
    return {}


@hookspec
def sdeplug_scores() -> Mapping[str, Callable[..., ScoreModel]]:
    """Score models made of score models, such as guidance, or a method for measurements.

    Classes or functions.  A method for measurements takes (score, measurement), so that
    :func:`sdeplug.testing.check_posterior` takes it as it is.
    """
    return {}


@hookspec
def sdeplug_aliases() -> Mapping[str, Alias]:
    """What other libraries call solvers and grids, of this plugin or of another.

    ``{"euler_a": Alias("song/ancestral", same=True, library="ComfyUI")}``.  Case, spaces and
    hyphens make no difference, and a name that a plugin gives to its own is never taken from it.
    """
    return {}
