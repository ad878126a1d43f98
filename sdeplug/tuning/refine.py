"""A rule fitted to what a run of many steps makes of the same noises.

Gauss-Newton steps with damping (Levenberg-Marquardt), by finite differences: the parameters are
few, so that their derivatives cost some runs of few steps, and no gradient goes through the
network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from math import exp

import torch
from torch import Tensor

from sdeplug.reverse import ReverseSDE
from sdeplug.score import AnalyticFirst
from sdeplug.tuning.rounds import Round, Rounds
from sdeplug.tuning.rule import Numbers, Rule
from sdeplug.tuning.walk import Asked, Held, ratio_at, times_at, walk

_FARTHEST = 0.4  # that a place may move in one round, in log sigma / alpha
_CLOSEST = 0.05  # that two places may come, likewise
_FIRST, _LEAST, _MOST = 1e-3, 1e-7, 1e4  # damping
_PATIENCE = 3  # rounds without a gain on other pairs
_GAIN = 0.003  # the least that counts as one
_NOWHERE = Rounds()


@dataclass(frozen=True, eq=False)
class Pairs:
    """States to start from, and where the flow carries them.

    Attributes:
        reverse: the reverse SDE for these rows.
        first: what is asked at the first place; None: the score model.
        span: time of the states and time of the ends.
        y: x / alpha at the start, shape ``(B, *D)``.
        end: x where the flow ends, of the same shape.
    """

    reverse: ReverseSDE
    first: AnalyticFirst | None
    span: tuple[float, float]
    y: Tensor
    end: Tensor

    @torch.no_grad()
    def run(self, rule: Rule, held: Held | None = None, place: int = 0) -> list[Held]:
        """What is known at a place and at all that follow, from what is known there."""
        times = times_at(self.reverse.linear, rule.ratios, *self.span)
        held = held or Held(self.y)
        return [held, *walk(Asked(self.reverse, times, self.first), rule.weights, held, place)]

    def missed(self, run: list[Held]) -> Tensor:
        """How far the end of a run is from that of the flow: flat, float64."""
        alpha = self.reverse.linear.at(self.span[1]).alpha
        return (self.end - alpha * run[-1].y).flatten().double()

    def error(self, rule: Rule) -> float:
        """Root of the mean square, over rows and coordinates, of what a rule misses."""
        return _size(self.missed(self.run(rule)))


def refined(rule: Rule, pairs: Pairs, damping: float = _FIRST) -> Iterator[Round]:
    """Better and better rules for some pairs; it ends by itself.

    Args:
        rule: the one to begin with.
        pairs: what is to be met.
        damping: of the first round.
    """
    run = pairs.run(rule)
    error = _size(pairs.missed(run))
    while damping < _MOST:
        slopes = _slopes(rule, pairs, run)
        normal = slopes @ slopes.T
        towards = slopes @ pairs.missed(run)
        while damping < _MOST:
            damped = normal + torch.diag(damping * normal.diagonal() + _tiny(normal))
            step = torch.linalg.solve(damped, towards)
            tried = _moved(rule, step.tolist(), pairs)
            following = pairs.run(tried)
            found = _size(pairs.missed(following))
            if found < error:
                break
            damping *= 6.0
        else:
            return
        gained, damping = 1.0 - found / error, max(damping / 8.0, _LEAST)
        rule, run, error = tried, following, found
        last = gained < 1e-4 or error < 1e-9
        yield Round(rule, damping, last)
        if last:
            return


def best_refined(
    rule: Rule, fit: Pairs, held_out: Pairs, rounds: int, kept: Rounds = _NOWHERE
) -> Rule:
    """The rule of a fit that is best on other pairs; the one to begin with, if that is.

    Args:
        rule: the one to begin with.
        fit: what is to be met.
        held_out: other pairs.
        rounds: how many at most.
        kept: where they are kept; those that are there are not run again.
    """
    best, least, waited = rule, held_out.error(rule), 0
    for tried, error in islice(_rounds(rule, fit, held_out, kept), rounds):
        waited = 0 if error < (1.0 - _GAIN) * least else waited + 1
        if error < least:
            best, least = tried.rule, error
        if waited == _PATIENCE:
            break
    return best


def _rounds(rule: Rule, fit: Pairs, held_out: Pairs, kept: Rounds) -> Iterator[tuple[Round, float]]:
    """Rounds with their errors on other pairs: those that are kept, and then new ones."""
    here = Round(rule, _FIRST, last=False)
    for here, error in kept.known():
        yield here, error
    if here.last:
        return
    for tried in refined(here.rule, fit, here.damping):
        error = held_out.error(tried.rule)
        kept.add(tried, error)
        yield tried, error


def _slopes(rule: Rule, pairs: Pairs, run: list[Held]) -> Tensor:
    """Derivative of the ends by each parameter, float64, shape ``(parameters, ends)``.

    A parameter changes nothing before the first step that it takes part in.
    """
    parameters, missed = rule.parameters, pairs.missed(run)
    small = torch.finfo(pairs.y.dtype).eps ** 0.4
    slopes = missed.new_empty(len(parameters), len(missed))
    for number, place in enumerate(rule.touched):
        moved = list(parameters)
        moved[number] += small
        other = pairs.run(rule.with_parameters(tuple(moved)), run[place], place)
        slopes[number] = (missed - pairs.missed(other)) / small
    return slopes


def _moved(rule: Rule, step: list[float], pairs: Pairs) -> Rule:
    """The rule after a step, its places in order and where the network knows them."""
    inner = len(rule.ratios) - 2
    parameters = rule.parameters
    moved = rule.with_parameters(
        tuple(
            old + (max(-_FARTHEST, min(_FARTHEST, by)) if number < inner else by)
            for number, (old, by) in enumerate(zip(parameters, step, strict=True))
        )
    )
    sde = pairs.reverse.linear
    return Rule(_ordered(moved.ratios, ratio_at(sde, sde.eps)), moved.corrections)


def _ordered(ratios: Numbers, least: float) -> Numbers:
    """Falling ratios, the ends as they are, and the inner ones not below the least."""
    last, ordered = ratios[-1], [ratios[0]]
    for place, ratio in enumerate(ratios[1:-1], start=1):
        left = len(ratios) - 1 - place  # places that are still to come, the end included
        floor = last * exp(left * _CLOSEST) if last else least * exp((left - 1) * _CLOSEST)
        ordered.append(max(floor, min(ratio, ordered[-1] * exp(-_CLOSEST))))
    return (*ordered, last)


def _size(missed: Tensor) -> float:
    return float(missed.square().mean().sqrt())


def _tiny(normal: Tensor) -> Tensor:
    return 1e-12 * normal.diagonal().max()
