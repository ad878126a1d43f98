"""The door: :func:`tune`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from sdeplug.compare.fit import warn_unless_fitting
from sdeplug.errors import ArgumentError, RunError, argument_type
from sdeplug.noise import SharedNoise, checked_seed
from sdeplug.pipeline import Pipeline
from sdeplug.reverse import ReverseSDE
from sdeplug.score import Counted
from sdeplug.tuning.candidates import Candidates, default_candidates, starters
from sdeplug.tuning.held import Data, Held, first_look, in_two
from sdeplug.tuning.jackknife import difference, estimate
from sdeplug.tuning.kept import Kept
from sdeplug.tuning.race import Course, Race, Runner, survivors
from sdeplug.tuning.search import Point, searched
from sdeplug.tuning.starting import checked_linear
from sdeplug.tuning.trials import Proof, Trial
from sdeplug.tuning.tuned import Tuning
from sdeplug.tuning.yardstick import Distance, Features, Yardstick, yardstick
from sdeplug.values import plain

OnRun = Callable[[int, str], None]
"""Called with the number of a round, from 1, and the label of what runs in it."""


def tune(
    reverse: ReverseSDE,
    data: Data,
    nfe: int,
    *,
    candidates: Candidates | None = None,
    features: Features | None = None,
    distance: Distance | None = None,
    race: Race = Race(),  # noqa: B008  a frozen value
    seed: int = 0,
    on_run: OnRun | None = None,
    resume: Path | str | None = None,
) -> Tuning:
    """The solver, grid and stochasticity that are best on your network, by held-out data.

    Candidates draw a few samples each; the best draw more.  Half of the data choose.  The chosen
    one is measured again with the other half and other noise, beside ``auto``: what was best by
    luck is seen there.

    Args:
        reverse: the reverse SDE with the network; its stochasticity is that of candidates which
            have none of their own.
        data: rows that the network was not trained on, shape ``(n, *D)``, in the units that it
            was; or a target.
        nfe: score evaluations of a sample, the final denoising among them.
        candidates: samplers by label; None: multistep methods on four grids, and ``auto``.
        features: samples of shape ``(n, *D)`` to features ``(n, F)``, such as those of a
            classifier.  None: principal components of images, and points themselves.
        distance: features of samples and of data to a number, smaller for better ones.  None:
            Fréchet distance of images and of features, energy distance of points.
        race: how many samples, in how many rounds.
        seed: of all randomness.
        on_run: called with the number of a round and the label of what runs in it; a search is
            one round more.
        resume: folder where features of finished samples are kept, and found by the next call.

    Raises:
        SdeplugError: for data that are none or do not fit the network, a budget that is not
            enough, and features or distances that are none, before anything is run.
    """
    given, budget = checked_linear(reverse), plain(nfe)
    if isinstance(budget, bool) or not isinstance(budget, int) or budget < 2:
        raise ArgumentError("nfe", nfe, "a whole number of at least 2: a step, and a denoising")
    if not isinstance(race, Race):
        argument_type("race", race, "a Race", "Race(samples=512) is one.")
    if on_run is not None and not callable(on_run):
        argument_type("on_run", on_run, "a function of a number and a label")
    began, held = time.perf_counter(), in_two(data, checked_seed("seed", seed))
    first_look(given, held)
    warn_unless_fitting(given, held.known)
    counted = Counted(given.score_model)
    watched = replace(given, score_model=counted)
    runners = [Runner(each) for each in starters(candidates, watched, budget)]
    courses = _courses(held, yardstick(features, distance, held.known), race, seed)
    kept = Kept.of(resume, given, held.known, courses[0].yardstick)
    courses = (replace(courses[0], kept=kept), replace(courses[1], kept=kept))
    with torch.no_grad():
        ranked = _raced(runners, courses[0], on_run or _silent)
        ranked = _with_search(ranked, watched, courses[0], budget, on_run or _silent)
        proof = _proof(ranked[0], watched, courses, budget)
    return Tuning(
        trials=_trials(ranked),
        proof=proof,
        pipeline=_with(ranked[0], given),
        metric=courses[0].yardstick.name,
        nfe=budget,
        rows=counted.rows,
        seconds=time.perf_counter() - began,
    )


def _courses(held: Held, stick: Yardstick, race: Race, seed: int) -> tuple[Course, Course]:
    """What chooses, and what proves; each has its own data and its own noise."""
    courses = []
    for word, rows in (("choice", held.known), ("proof", held.other)):
        own = SharedNoise(seed).stream(word).seed
        courses.append(Course(stick, rows, stick.of(rows), own, race))
    stick.check(courses[1].features, courses[0].features)
    return courses[0], courses[1]


def _raced(runners: list[Runner], course: Course, report: OnRun) -> list[Runner]:
    """All runners, the best first: those of a later round before those that dropped out."""
    shape, out, running = tuple(course.data.shape[1:]), list[Runner](), list(runners)
    for number in range(course.race.rounds):
        for each in running:
            report(number + 1, each.starter.label)
            each.advance(course.race.rows(number), shape, course)
        running.sort(key=lambda each: each.distances[0])
        kept = survivors(running) if number + 1 < course.race.rounds else running
        out = [each for each in running if each not in kept] + out
        running = kept
    if running[0].failure:
        raise RunError(
            f"every candidate failed, {running[0].starter.label} too: {running[0].failure}. "
            "diagnose(reverse, data) says more of the network.",
            t=0.0, row=0,
        )  # fmt: skip
    return running + out


def _with_search(
    ranked: list[Runner], reverse: ReverseSDE, course: Course, nfe: int, report: OnRun
) -> list[Runner]:
    """The runners, and before them the best of a search, where that is better than all."""
    race, runners = course.race, dict[Point, Runner]()
    if not race.search:
        return ranked

    def distance(point: Point) -> float:
        report(race.rounds + 1, point.label)
        (starter,) = starters({point.label: point.contender}, reverse, nfe)
        runners[point] = runner = Runner(starter)
        for number in range(race.rounds):
            runner.advance(race.rows(number), tuple(course.data.shape[1:]), course)
        return runner.distances[0]

    level = ranked[0].starter.pipeline.reverse.level(reverse.forward.T)
    size = float(course.data.double().flatten(1).var(0).mean().sqrt())
    best = searched(distance, level, size, race.search)
    if best is None or not runners[best].distances[0] < ranked[0].distances[0]:
        return ranked
    return [runners[best], *ranked]


def _proof(best: Runner, reverse: ReverseSDE, courses: tuple[Course, Course], nfe: int) -> Proof:
    """The chosen one and ``auto`` on other data, with the same noise; and data beside them."""
    choice, proof = courses
    shape, rows = tuple(proof.data.shape[1:]), proof.race.samples
    own = {"auto": default_candidates()["auto"]}
    (default,) = starters(own, reverse, nfe)
    both = [Runner(best.starter), Runner(default)]
    for each in both:
        each.advance(rows, shape, proof)
    chosen, usual = (each.distances for each in both)
    floor = proof.yardstick.distances(choice.features[:rows], proof.features)
    return Proof(estimate(chosen), estimate(usual), difference(usual, chosen), estimate(floor))


def _trials(ranked: list[Runner]) -> tuple[Trial, ...]:
    def trial(each: Runner) -> Trial:
        behind = difference(each.distances, ranked[0].at(each.rows))
        starter, failure = each.starter, each.failure
        return Trial(starter.label, starter.nfe, each.rows, each.distance, behind, failure)

    return tuple(map(trial, ranked))


def _with(best: Runner, reverse: ReverseSDE) -> Pipeline:
    pipeline = best.starter.pipeline
    own = replace(pipeline.reverse, score_model=reverse.score_model)
    return replace(pipeline, reverse=own)


def _silent(number: int, label: str) -> None:
    pass
