"""Every exception and warning that sdeplug raises of its own accord.

All exceptions derive from :class:`SdeplugError`, and each also derives from the built-in
exception that a caller would expect, so that ``except ValueError`` keeps working.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from torch import Tensor


_WALL = 500  # characters of a value, beyond which nobody reads a message


class SdeplugError(Exception):
    """Base class of all exceptions of sdeplug."""


class ArgumentError(SdeplugError, ValueError):
    """An argument has a value that is not allowed.

    Args:
        argument: name of the argument, as the caller wrote it.
        value: the value that was given.
        allowed: what would have been allowed, as a noun phrase ("a number above 0").
        hint: the next thing to try, a whole sentence; may be empty.
    """

    def __init__(self, argument: str, value: object, allowed: str, hint: str = "") -> None:
        self.argument, self.value, self.allowed, self.hint = argument, value, allowed, hint
        shown = repr(value) if isinstance(value, str) else brief(value, _WALL)
        text = f"{argument} = {shown}: must be {allowed}."
        super().__init__(f"{text} {hint}".rstrip())

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.argument, self.value, self.allowed, self.hint)


class UnwrittenError(SdeplugError, OSError):
    """A file could not be written; what should be in it is not lost.

    Args:
        where: the place, as the caller wrote it.
        reason: what the system says.
        kept: where the content is, a clause.
    """

    def __init__(self, where: str, reason: str, kept: str) -> None:
        self.where, self.reason, self.kept = where, reason, kept
        super().__init__(f"{where} could not be written ({reason}): {kept}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.where, self.reason, self.kept)


class PairingError(SdeplugError, TypeError):
    """Two parts were put together that do not belong together."""


class ScoreModelError(SdeplugError, TypeError):
    """A score model returned something that is not a score: wrong type, shape, dtype, device."""


class SolverError(SdeplugError, TypeError):
    """A solver returned something that is not a state: wrong type, shape, dtype or device."""


class RunError(SdeplugError, ArithmeticError):
    """A run could not go on; what was computed so far is attached.

    Attributes:
        message: what happened, for people.
        t: the time at which it was seen.
        row: the first row of the batch that is to blame.
        last: the last state that was seen to be finite, shape ``(B, *D)``; None when there
            was none, as when the starting state itself is not finite.
        last_t: the time of ``last``.
        times: the time of each row of ``last``, float64, shape ``(B,)``, where a solver gives
            each row steps of its own; None where all are at ``last_t``.
        step: the length of the step that failed, where the solver chooses it; otherwise None.
        solver: the representation of the solver at work.
        leg: the number of the leg at work, from 0.
    """

    def __init__(
        self,
        message: str,
        *,
        t: float,
        row: int,
        last: Tensor | None = None,
        last_t: float | None = None,
        times: Tensor | None = None,
        step: float | None = None,
        solver: str = "",
        leg: int = 0,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.t, self.row, self.last, self.last_t = t, row, last, last_t
        self.times, self.step = times, step
        self.solver, self.leg = solver, leg

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_run_error, (type(self), self.message, dict(self.__dict__))


class NonFiniteError(RunError):
    """A state became infinite or not-a-number."""


class StepError(RunError):
    """An adaptive solver found no step that it could take: too short, or one too many."""


class TrainingError(SdeplugError, ArithmeticError):
    """A training could not go on: a loss or a gradient is not a number.

    Attributes:
        message: what happened, for people.
        step: the step at which it was seen, from 0.
        trained: what was trained until then; None where it was not kept.
    """

    def __init__(self, message: str, *, step: int, trained: object = None) -> None:
        super().__init__(message)
        self.message, self.step, self.trained = message, step, trained

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_run_error, (type(self), self.message, dict(self.__dict__))


def _rebuild_run_error(cls: type[Exception], message: str, state: dict[str, object]) -> object:
    error: BaseException = cls.__new__(cls, message)
    vars(error).update(state)
    return error


class PluginError(SdeplugError, RuntimeError):
    """A plugin could not be used; the message carries the real cause and the versions."""


class MissingExtraError(SdeplugError, ImportError):
    """A package of an optional extra is needed and not installed.

    Args:
        what: what needs it.
        package: the package.
        extra: the extra that brings it; "" where none does, because what the package asks for
            goes with nothing else: it is then installed alone.
    """

    def __init__(self, what: str, package: str, extra: str) -> None:
        self.what, self.package, self.extra = what, package, extra
        words = f'"sdeplug[{extra}]"' if extra else f"--no-deps {package}"
        super().__init__(f"{what} needs {package}, which is not installed: pip install {words}.")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.what, self.package, self.extra)


class UnknownNameError(PluginError, LookupError):
    """No plugin offers this name, or more than one does."""


class PluginWarning(UserWarning):
    """A plugin was left out; everything else works."""


def warn(text: str) -> None:
    """Warn in the name of the line that called, which is outside of sdeplug and of torch.

    Args:
        text: what is told.
    """
    frame, level = sys._getframe(), 1
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(("sdeplug", "torch")):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, stacklevel=level)


def argument_type(argument: str, value: object, wanted: str, hint: str = "") -> NoReturn:
    """Raise :class:`ArgumentError` for a value of the wrong type.

    Args:
        argument: name of the argument.
        value: the value that was given.
        wanted: the wanted type as a noun phrase.
        hint: the next thing to try.

    Raises:
        ArgumentError: always.
    """
    raise ArgumentError(argument, value, f"{wanted}, not {type(value).__name__}", hint)


def brief_fields(value: Any) -> str:
    """The representation of a dataclass, with the class of a network in the place of its layers.

    A class that holds whatever people give says ``__repr__ = brief_fields``.
    """
    shown = (each for each in fields(value) if each.repr)
    inside = (f"{each.name}={brief(getattr(value, each.name), 1000)}" for each in shown)
    return f"{type(value).__name__}({', '.join(inside)})"


def brief(value: object, most: int = 100) -> str:
    """A value on a line: its representation, or the name of its class where that is a wall.

    Args:
        value: anything, such as a network, whose representation may fill pages.
        most: characters.
    """
    text = repr(value)
    return text if len(text) <= most and "\n" not in text else f"{type(value).__name__}(...)"
