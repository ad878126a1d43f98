"""The door: :func:`compare`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sdeplug.compare.comparison import Comparison
from sdeplug.compare.conditions import Conditions
from sdeplug.compare.contenders import Contender
from sdeplug.compare.plan import Plan
from sdeplug.compare.setting import Metrics, Setting, checked_target, metrics_of
from sdeplug.compare.versions import versions
from sdeplug.compare.work import Work, run_all
from sdeplug.errors import ArgumentError, argument_type
from sdeplug.metrics import is_image
from sdeplug.pipeline import Pipeline
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Integrator
from sdeplug.targets import Target

_POINTS, _IMAGES = 20_000, 2_000  # samples in a run

Solver = Integrator | Callable[[int], Integrator] | Pipeline | Contender


def compare(
    solvers: Mapping[str, Solver],
    target: Target,
    sde: LinearSDE,
    *,
    nfe: Sequence[int] = (10, 20, 50, 100),
    seeds: int | Sequence[int] = 3,
    samples: int | None = None,
    metrics: Metrics = None,
    conditions: Conditions = Conditions(),
    work: Work = Work(),
) -> Comparison:
    """Run solvers at equal budgets of score evaluations, and measure their samples.

    An integrator with fixed steps gets a grid with as many steps as the budget pays for.  One
    that sets its own steps gets the tightest tolerance that keeps the budget, found by pilot
    runs.  A function gets the budget and gives an integrator.  Pipelines, and integrators that
    are on a grid already, run as they are, once.

    All start from the same exact draws of p_T and end at eps, where the exact law is known; so
    what is measured is the error of the solver, and of the score where that has one.

    Args:
        solvers: label to integrator, function of a budget, pipeline, or :class:`Contender`.
        target: the data law, whose score is exact.
        sde: the forward SDE.
        nfe: budgets of score evaluations, rising.
        seeds: how many repetitions, or the seed of each; all solvers get the same randomness.
        samples: how many in a run; None: 20,000, or 2,000 images.
        metrics: names, metrics, or metrics by name; the first one ranks.  None: those that suit
            the target.
        conditions: the grid, the sizes of the error of the score, the stochasticity.
        work: an executor, a folder to resume from, who is told of progress.

    Raises:
        SdeplugError: for anything that does not fit, before anything is run.
    """
    checked_target(target)
    if samples is None:
        samples = _IMAGES if is_image(target) else _POINTS
    suited = metrics_of(metrics, target)
    setting = Setting(target, sde, tuple(nfe), _seeds(seeds), suited, samples, conditions)
    if not isinstance(solvers, Mapping) or not solvers:
        raise ArgumentError("solvers", solvers, "a mapping of at least one label to a solver")
    if not isinstance(work, Work):
        argument_type("work", work, "a Work", "Work(executor=pool) is one.")
    contenders = {
        label: each if isinstance(each, Contender) else Contender(each)
        for label, each in solvers.items()
    }
    plan = Plan(setting, contenders)
    outcomes = run_all(plan.jobs, work)
    rows = plan.rows(outcomes)
    return Comparison(
        rows=rows,
        settings=setting.to_spec(),
        versions=versions(),
        command=_command(solvers, setting),
        notes=plan.notes(rows),
        picture=plan.floor_picture(outcomes),
    )


def _seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        return tuple(range(seeds))
    if not isinstance(seeds, Sequence):
        raise ArgumentError("seeds", seeds, "a number of seeds, or a list of them")
    return tuple(seeds)


def _command(solvers: Mapping[str, Solver], setting: Setting) -> str:
    """What repeats the comparison, as far as representations can say it."""
    entries = "".join(f"        {label!r}: {each!r},\n" for label, each in solvers.items())
    metrics = ", ".join(f"{name!r}: {each!r}" for name, each in setting.metrics)
    return (
        f"compare(\n    {{\n{entries}    }},\n    {setting.target!r},\n    {setting.sde!r},\n"
        f"    nfe={setting.nfe!r},\n    seeds={setting.seeds!r},\n"
        f"    samples={setting.samples!r},\n    metrics={{{metrics}}},\n"
        f"    conditions={setting.conditions!r},\n)"
    )
