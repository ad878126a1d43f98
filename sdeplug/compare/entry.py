"""The door: :func:`compare`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sdeplug.compare.arguments import budgets, repetitions
from sdeplug.compare.comparison import Comparison
from sdeplug.compare.conditions import Conditions
from sdeplug.compare.contenders import Contender, Entrant
from sdeplug.compare.fit import warn_unless_fitting
from sdeplug.compare.flow import Flow
from sdeplug.compare.grids import candidates, settled
from sdeplug.compare.notes import conventions, missed
from sdeplug.compare.plan import Plan
from sdeplug.compare.problem import OnData, Problem
from sdeplug.compare.setting import Metrics, Setting, metrics_of
from sdeplug.compare.versions import versions
from sdeplug.compare.work import Work, run_all
from sdeplug.errors import ArgumentError, argument_type
from sdeplug.metrics import is_image
from sdeplug.noise import SharedNoise
from sdeplug.pipeline import Pipeline
from sdeplug.reverse import ReverseSDE
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Integrator
from sdeplug.targets import Target

_POINTS, _IMAGES = 20_000, 2_000  # samples in a run
_SEEN = 500  # rows of data from which it is told whether the network knows them
_ON_DATA = Conditions(score_errors=(0.0,), flow=Flow())

Solver = Integrator | Callable[[int], Integrator] | Pipeline | Contender


def compare(
    solvers: Mapping[str, Solver],
    target: Target | OnData,
    sde: LinearSDE | None = None,
    *,
    nfe: int | Sequence[int] = (10, 20, 50, 100),
    seeds: int | Sequence[int] = 3,
    samples: int | None = None,
    metrics: Metrics = None,
    conditions: Conditions | None = None,
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
        target: the data law, whose score is exact; or :class:`OnData`, a network and data: then
            runs end at 0 with the final denoising, which is counted.
        sde: the forward SDE; left out with a network, which has its own.
        nfe: budgets of score evaluations, rising; or one.
        seeds: how many repetitions, or the seed of each; all solvers get the same randomness.
        samples: how many in a run; None: 20,000, or 2,000 images.
        metrics: names, metrics, or metrics by name, or one; the first ranks.  None: those that suit
            the target.
        conditions: the grid, the sizes of the error of the score, the stochasticity, the
            converged flow.  None: ``Conditions()``; with a network ``Conditions(score_errors=0.0,
            flow=Flow())``: it has an error of its own.
        work: an executor, a folder to resume from, who is told of progress.

    Raises:
        SdeplugError: for anything that does not fit, before anything is run.
    """
    problem = Problem.of(target, sde)
    if samples is None:
        samples = _IMAGES if is_image(problem.target) else _POINTS
    if conditions is None:
        conditions = _ON_DATA if problem.network else Conditions()
    suited = metrics_of(metrics, problem.target)
    setting = Setting(problem, budgets(nfe), repetitions(seeds), suited, samples, conditions)
    if not isinstance(solvers, Mapping) or not solvers:
        raise ArgumentError("solvers", solvers, "a mapping of at least one label to a solver")
    if not isinstance(work, Work):
        argument_type("work", work, "a Work", "Work(executor=pool) is one.")
    if problem.network:
        reverse = ReverseSDE(setting.sde, problem.score)
        warn_unless_fitting(reverse, setting.target.sample(_SEEN, noise=SharedNoise(0)).float())
    found, notes = _entered(solvers, setting)
    chosen = settled(found, setting, work)
    plan = Plan(setting, chosen.entrants)
    outcomes = run_all(plan.jobs, work)
    rows = plan.rows(outcomes)
    return Comparison(
        rows=rows,
        settings=setting.to_spec(),
        versions=versions(),
        command=_command(solvers, target, setting),
        notes=(*conventions(setting), *notes, *chosen.notes, *plan.notes(rows)),
        picture=plan.floor_picture(outcomes),
    )


def _entered(solvers: Mapping[str, Solver], setting: Setting) -> tuple[list[Entrant], list[str]]:
    """All who may run, and notes of those that have no row at some budget."""
    found, notes = [], []
    for label, each in solvers.items():
        contender = each if isinstance(each, Contender) else Contender(each)
        own = candidates(label, contender, setting)
        without = [b for b in setting.nfe if not any(e.budget in (b, None) for e in own)]
        if without:
            notes.append(missed(label, without))
        found += own
    if not found:
        raise ArgumentError("nfe", setting.nfe, "enough for one step of one solver")
    return found, notes


def _command(solvers: Mapping[str, Solver], target: Target | OnData, setting: Setting) -> str:
    """What repeats the comparison, as far as representations can say it."""
    entries = "".join(f"        {label!r}: {each!r},\n" for label, each in solvers.items())
    metrics = ", ".join(f"{name!r}: {each!r}" for name, each in setting.metrics)
    return (
        f"compare(\n    {{\n{entries}    }},\n    {target!r},\n    {setting.sde!r},\n"
        f"    nfe={setting.nfe!r},\n    seeds={setting.seeds!r},\n"
        f"    samples={setting.samples!r},\n    metrics={{{metrics}}},\n"
        f"    conditions={setting.conditions!r},\n)"
    )
