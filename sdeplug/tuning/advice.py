"""What to do about what was found: each piece of advice has a rule, stated here, and nothing else.

A rule looks at the levels, and at the two laws.  What is told apart from chance is three standard
errors from it; how large it must be is a constant with a reason.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sdeplug.compare import Estimate
from sdeplug.sde import LinearSDE, TabulatedSDE
from sdeplug.tuning.laws import Laws
from sdeplug.tuning.levels import Level, time_at

_CERTAIN = 3.0  # standard errors
_BLIND = 0.02  # change of what is said, over all times: an exact score changes by one at some
_WORSE = 0.1  # error past a Gaussian's
_MOSTLY = 2 / 3  # of the levels
_LABEL = 0.0015  # of the loss, mended: a parabola finds less in an exact score
_ALIKE = 2.0  # the longest of the steps to a better label, over the shortest
_SCALE = 0.001  # of the loss, mended: an error of 3 %
_SURE = 0.03  # standard error of a scale: of a level where much of the noise is not seen it is more
_MOVED = 0.1  # of the spread of the data, that an error moves them by
_BIAS = 0.02  # root mean square of an error that all rows have
_HIDDEN = 3.0  # noise over data where the best answer is linear in the state
_SIZE = 0.1  # of the response
_AWAY = 1e3  # distance, in standard deviations of the data
_LAST, _TIMES = 0.1, 3.0  # error at the last level, and how many times the median


@dataclass(frozen=True)
class Advice:
    """What to do, and why.

    Attributes:
        rule: name of the rule: misread, labels-unheard, not-these-data, labels-off, scale,
            high-noise, bias, size, last-level, noise-mends, flow-serves, flow-ran-away, nothing.
        text: what was seen and what to do, for people.
    """

    rule: str
    text: str


@dataclass(frozen=True)
class Case:
    """What the rules look at.

    Attributes:
        levels: from much noise to little.
        laws: of the flow and the reverse SDE, the last at the end.
        sde: the forward SDE.
        data_std: standard deviation of a coordinate of the data.
        misread: what is told of a network that is read wrongly; "" where it is not.
    """

    levels: Sequence[Level]
    laws: Sequence[Laws]
    sde: LinearSDE
    data_std: float
    misread: str = ""


def advice(case: Case) -> tuple[Advice, ...]:
    """What the rules say; where one thing is wrong everywhere, nothing of single levels."""
    cause = next((told for rule in _CAUSES if (told := rule(case)) is not None), None)
    found = [cause, *(rule(case) for rule in _PARTS if cause is None), _two_laws(case)]
    seen = tuple(each for each in found if each is not None)
    if any(each.rule != "flow-serves" for each in seen):
        return seen
    return (Advice("nothing", "Nothing wrong was found in the network."), *seen)


def _misread(case: Case) -> Advice | None:
    return Advice("misread", case.misread) if case.misread else None


def _unheard(case: Case) -> Advice | None:
    heard = max(each.change for each in case.levels) >= _BLIND
    if heard or not any(_above(each.excess) for each in case.levels):
        return None
    return Advice(
        "labels-unheard",
        "It says the same whatever time it is told, and is worse than a Gaussian: it is not told "
        "what it was trained with. A network of levels 0 to 999 has labels=TimeLabel(999), or "
        "LevelLabel() with its table; others have SigmaLabel() or LogSigmaLabel(0.25).",
    )


def _not_these(case: Case) -> Advice | None:
    worse = [each for each in case.levels if _above(each.excess, _WORSE**2)]
    if len(worse) < _MOSTLY * len(case.levels):
        return None
    return Advice(
        "not-these-data",
        f"It is worse than a Gaussian with the moments of the data {_where(worse)}: it does not "
        "belong to these data. Look at their range, at what it predicts (predicts=FromNoise or "
        "another), at its labels and at the forward SDE.",
    )


def _labels(case: Case) -> Advice | None:
    heard = [each for each in case.levels if each.label_gain > _LABEL]
    off = [e for e in heard if _apart(e.shift, 0.0) and e.label_gain > 0.5 * e.slope_gain]
    steps = [time_at(case.sde, each.log_snr + each.shift.mean) - each.t for each in off]
    if len(off) < 2 or not _alike(steps):
        return None
    step = statistics.median(steps)
    levels = ""
    if isinstance(case.sde, TabulatedSDE):
        levels = f", {abs(step) * case.sde.levels:.2g} levels"
    later = "later" if step > 0.0 else "earlier"
    return Advice(
        "labels-off",
        f"Told a time that is {abs(step):.2g} {later}{levels}, it is better {_where(off)}: its "
        "labels are off. Count levels from 0, and give the table that it was trained on.",
    )


def _scale(case: Case) -> Advice | None:
    sure = [each for each in case.levels if (each.slope.error or 0.0) < _SURE]
    off = [each for each in sure if each.slope_gain > _SCALE and _apart(each.slope, 1.0)]
    if len(off) < max(_MOSTLY * len(sure), 2):
        return None
    slope = statistics.median(each.slope.mean for each in off)
    size = "large" if slope < 1.0 else "small"
    return Advice(
        "scale",
        f"The noise that it predicts is too {size} {_where(off)}: times {slope:.2f} it is right. "
        "What it predicts may be another thing (predicts=), or the forward SDE another.",
    )


def _high_noise(case: Case) -> Advice | None:
    off = _wrong_high(case)
    if not off:
        return None
    above = min(_ratio(each) for each in off)
    moved = max(_moved(each) for each in off)
    return Advice(
        "high-noise",
        f"It is wrong at high noise, {_where(off)}: the data that it sees there are off by up to "
        f"{moved / case.data_std:.2g} times their spread, and a Gaussian is nearer. "
        f"AnalyticFirst(score, sde, mean, std, above={above:.2g}) does not ask it there, which "
        "saves evaluations, too.",
    )


def _bias(case: Case) -> Advice | None:
    known = {each.t for each in _wrong_high(case)}
    off = [e for e in case.levels if _above(e.bias, _BIAS**2) and e.t not in known][:-1]
    if not off:
        return None
    size = math.sqrt(max(each.bias.mean for each in off))
    return Advice(
        "bias",
        f"It makes the same error in all rows, {_where(off)}, of {size:.2g} in the predicted "
        "noise: the data that it was trained on have another mean, or it was trained too little.",
    )


def _size(case: Case) -> Advice | None:
    hidden = [e for e in case.levels if _ratio(e) > _HIDDEN * case.data_std]
    off = [each for each in hidden if abs(each.response - each.expected) > _SIZE]
    if not off:
        return None
    worst = max(off, key=lambda each: abs(each.response - each.expected))
    return Advice(
        "size",
        f"What it says does not follow the size of the state {_where(off)}: by "
        f"{worst.response:.2f} where {worst.expected:.2f} is right. A layer normalises its input, "
        "and under the flow a state that is too large stays so: use stochasticity 1.",
    )


def _last(case: Case) -> Advice | None:
    *rest, last = case.levels
    usual = statistics.median(each.error.mean for each in rest)
    if not _above(last.error, max(_LAST, _TIMES * usual)):
        return None
    good = [each for each in rest if each.error.mean <= max(_LAST, _TIMES * usual)]
    stop = f" eps={good[-1].t:.2g} of the forward SDE is safe." if good else ""
    return Advice(
        "last-level",
        f"At the last level, t = {last.t:.2g}, its error is {last.error.mean:.2g}, and elsewhere "
        f"about {usual:.2g}: that level was not trained, or has another label. Stop before it."
        f"{stop}",
    )


def _two_laws(case: Case) -> Advice | None:
    last = case.laws[-1]
    if not last.flow.mean < _AWAY:
        return Advice(
            "flow-ran-away",
            "The flow ran away, far from all data: use stochasticity 1, and look at the network at "
            "high noise.",
        )
    errors = math.hypot(last.flow.error or 0.0, last.chance.error or 0.0)
    seen = last.flow.mean > last.chance.mean + 2.0 * errors
    if seen and _apart(last.gain, 0.0, 2.0):
        nearer = last.gain.mean > 0.0
        return Advice(
            "noise-mends" if nearer else "flow-serves",
            f"Samples of the flow are {last.flow} from the data, those of the reverse SDE "
            f"{last.noisy}: "
            + (
                "noise mends a part of the errors. Use stochasticity 1 from some 16 evaluations on."
                if nearer
                else "noise mends nothing. Use stochasticity 0."
            ),
        )
    if seen:
        return None
    return Advice(
        "flow-serves",
        "Samples of the flow cannot be told from the data: stochasticity 0 serves at any budget.",
    )


_Rule = Callable[[Case], Advice | None]
_CAUSES: tuple[_Rule, ...] = (_misread, _unheard, _not_these, _labels, _scale)
_PARTS: tuple[_Rule, ...] = (_high_noise, _bias, _size, _last)


def _alike(steps: Sequence[float]) -> bool:
    """Whether steps in time have one sign, and are about as long."""
    sizes = sorted(map(abs, steps))
    one_way = max(steps) < 0.0 or min(steps) > 0.0
    return one_way and sizes[-1] < _ALIKE * sizes[0]


def _wrong_high(case: Case) -> list[Level]:
    """Levels where a Gaussian is better, and the difference moves the data."""
    return [
        each
        for each in case.levels
        if _ratio(each) > case.data_std
        and _above(each.excess)
        and _moved(each) > _MOVED * case.data_std
    ]


def _moved(level: Level) -> float:
    """How far an error of the noise moves the data."""
    return math.sqrt(max(level.excess.mean, 0.0)) * _ratio(level)


def _ratio(level: Level) -> float:
    """sigma / alpha."""
    return math.exp(-0.5 * level.log_snr)


def _above(value: Estimate, least: float = 0.0) -> bool:
    """Whether a number is certainly above another."""
    return value.mean > least and _apart(value, least)


def _apart(value: Estimate, other: float, errors: float = _CERTAIN) -> bool:
    return abs(value.mean - other) > errors * (value.error or 0.0)


def _where(levels: Sequence[Level]) -> str:
    times = [each.t for each in levels]
    if len(times) == 1:
        return f"at t = {times[0]:.2g}"
    return f"between t = {min(times):.2g} and {max(times):.2g}"
