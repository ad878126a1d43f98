"""Tier 0, the contract: a solver is a value, and its options are checked when it is built."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Any

from sdeplug.errors import ArgumentError, PluginError, SdeplugError
from sdeplug.kinds import members
from sdeplug.options import Option, options_of
from sdeplug.registry import from_spec, to_spec
from sdeplug.score import Counted
from sdeplug.solvers import Corrector, Integrator
from sdeplug.testing.bench import Solver
from sdeplug.testing.choices import Choose
from sdeplug.testing.contract.calls import calls, explore
from sdeplug.testing.findings import CheckFailed, Finding, NotApplicable, demand
from sdeplug.testing.makers import configured


def check_value(solver: Solver) -> Finding:
    """It is a value: a frozen dataclass that can be hashed, compared, copied and pickled."""
    demand(is_dataclass(solver), "it is not a dataclass: write @dataclass(frozen=True) above it")
    for each in fields(solver):  # type: ignore[arg-type]
        try:
            setattr(solver, each.name, getattr(solver, each.name))
        except AttributeError:
            continue
        demand(False, f"its field {each.name} can be changed: write @dataclass(frozen=True)")
    for what, copy in (("copy", _replaced(solver)), ("pickled copy", _pickled(solver))):
        demand(copy == solver, f"its {what} {copy!r} differs from it: leave eq=False out")
        demand(hash(copy) == hash(solver), f"its {what} has another hash: leave eq, hash as made")
    demand(solver != object(), "it equals everything: leave __eq__ as the dataclass makes it")
    return Finding(f"{len(fields(solver))} options")  # type: ignore[arg-type]


def check_representation(solver: Solver) -> Finding:
    """Its representation names the class and every option, and is the same for a copy."""
    text = repr(solver)
    named = [type(solver).__name__, *(f"{each.name}=" for each in options_of(type(solver)))]
    missing = [name for name in named if name not in text]
    demand(not missing, f"repr is {text}, without {missing}: leave __repr__ as the dataclass makes")
    again = repr(_pickled(solver))
    demand(again == text, f"repr is {text}, and {again} for a pickled copy")
    return Finding(text)


def check_options(solver: Solver) -> Finding:
    """A value of the wrong type, or outside the bounds of its option, is refused at once."""
    if not (is_dataclass(solver) and options_of(type(solver))):
        raise NotApplicable("it has no options")
    tried = 0
    for option in options_of(type(solver)):
        for value in _not_allowed(option):
            tried += 1
            _demand_refused(solver, option, value)
    return Finding(f"{tried} values refused")


def check_other_options(solver: Solver) -> Finding:
    """With other allowed options it keeps shape and dtype, and costs what it then claims."""
    cls = type(solver)
    if not (is_dataclass(solver) and options_of(cls)):
        raise NotApplicable("it has no options")
    own = [each.name for each in options_of(cls) if each.required]
    others = configured(cls, {name: partial(_own, getattr(solver, name)) for name in own})
    kept = calls(solver)

    def made(choose: Choose) -> _Pair:
        return _Pair((others(choose), kept(choose)))

    def test(case: Any) -> None:
        other, call = case
        counted = Counted(call.score)
        x = call.state()
        try:
            claimed = other.claims.evaluations
            out = call.apply(other, x, score=counted)
        except SdeplugError:  # options that do not go with the call, and say so
            return
        demand(
            out.shape == x.shape and out.dtype == x.dtype,
            f"x became {tuple(out.shape)}, {out.dtype}",
        )
        demand(
            claimed in (None, counted.nfe),
            f"it claims {claimed} evaluations and made {counted.nfe}: make claims a property "
            "that follows the option",
        )

    return explore(made, test)


def check_spec(solver: Solver) -> Finding:
    """It becomes plain data, through JSON, and comes back the same."""
    try:
        spec = to_spec(solver)
    except PluginError as error:
        raise NotApplicable("no plugin offers it by name: no hook returns it") from error
    except ArgumentError as error:
        raise NotApplicable(f"an option has no plain form: {error}") from error
    family = Corrector if isinstance(solver, Corrector) else Integrator
    again: object = from_spec(json.loads(json.dumps(spec)), family)
    demand(again == solver, f"it became {spec}, and came back as {again!r}")
    return Finding(str(spec["name"]))


def _own(value: object, choose: Choose) -> object:
    """The value that the solver has, where there is no default."""
    return value


class _Pair(tuple[Any, Any]):
    """A solver and a call, readable in a message."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"{self[0]!r}, {self[1]}"


def _pickled(solver: Solver) -> object:
    try:
        return pickle.loads(pickle.dumps(solver))
    except Exception as error:
        raise CheckFailed(
            f"it cannot be pickled: {error}. Its options must be values that can: a function of "
            "a module instead of a lambda, for example"
        ) from error


def _replaced(solver: Solver) -> object:
    try:
        return replace(solver)  # type: ignore[type-var]
    except Exception as error:
        raise CheckFailed(f"it cannot be built again from its own options: {error}") from error


def _demand_refused(solver: Solver, option: Option, value: object) -> None:
    changed = f"{option.name} = {value!r}, which must be {option.allowed},"
    advice = "call super().__post_init__() in __post_init__"
    try:
        replace(solver, **{option.name: value})  # type: ignore[type-var]
    except ArgumentError:
        return
    except Exception as error:
        raise CheckFailed(
            f"{changed} raises {type(error).__name__}, not an ArgumentError: {advice} before the "
            "options are used"
        ) from error
    raise CheckFailed(f"{changed} is accepted: {advice}")


def _not_allowed(option: Option) -> Iterator[object]:
    """Values that the declaration of an option rules out."""
    types = members(option.type)
    if Any not in types and object not in types:
        yield object()
    if not {int, float} & set(types):
        return
    whole = float not in types
    if not whole:
        yield math.nan
    if option.ge is not None:
        yield from _past(option.ge, -1, whole)
    if option.gt is not None:
        yield int(option.gt) if whole else option.gt
        yield from _past(option.gt, -1, whole)
    if option.le is not None:
        yield from _past(option.le, 1, whole)


def _past(bound: float, direction: int, whole: bool) -> Iterator[float]:
    """Just past a bound, and well past it."""
    if whole:
        yield math.floor(bound) + direction if direction > 0 else math.ceil(bound) + direction
    else:
        yield math.nextafter(bound, direction * math.inf)
        yield bound + direction


CHECKS = (check_value, check_representation, check_options, check_other_options, check_spec)
"""The checks of this module."""
