"""Options as typed fields of a frozen dataclass: declared once, used everywhere.

One declaration, for example ::

    snr: float = option(0.16, gt=0.0, help="size of a step against the score")

gives validation when the object is built, the representation, the command-line flag and the
plain-data (JSON, TOML) form.  Classes that take part derive from :class:`Configured`.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from functools import cache
from typing import Any, TypeVar

from sdeplug.errors import ArgumentError
from sdeplug.kinds import conforms, members, numbers, others, parse, taken, type_name
from sdeplug.values import is_one_of

C = TypeVar("C")

_OTHERS = 8  # classes in a hint
_DECLARED = ("help", "ge", "gt", "le", "lt")


def option(
    default: Any = MISSING,
    *,
    help: str,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
) -> Any:
    """Declare one option of a frozen dataclass: a field with bounds and a help text.

    Args:
        default: value when none is given; without it the option is required.
        help: one phrase for tables, ``--help`` and error messages.
        ge: the value must be at least this.
        gt: the value must be above this.
        le: the value must be at most this.
        lt: the value must be below this.
    """
    bounds = {"ge": ge, "gt": gt, "le": le, "lt": lt}
    return dataclasses.field(default=default, metadata={"help": help, **bounds})


@dataclass(frozen=True)
class Option:
    """One option, as read back from a class by :func:`options_of`.

    Attributes:
        name: name of the field.
        type: resolved annotation.
        default: default value, or ``dataclasses.MISSING`` if the option is required.
        help: one phrase.
        ge: least allowed value, or None.
        gt: value that must be exceeded, or None.
        le: greatest allowed value, or None.
        lt: value that must not be reached, or None.
    """

    name: str
    type: Any
    default: Any
    help: str = ""
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    @property
    def required(self) -> bool:
        """Whether a value must be given."""
        return self.default is MISSING

    @property
    def type_name(self) -> str:
        """The type, as a person would write it."""
        return type_name(self.type)

    @property
    def allowed(self) -> str:
        """What is allowed, as a noun phrase."""
        limits = (
            ("at least", self.ge), ("above", self.gt), ("at most", self.le), ("below", self.lt),
        )  # fmt: skip
        bounds = [
            "finite" if bound == math.inf else f"{word} {bound:g}"
            for word, bound in limits
            if bound is not None
        ]
        kind = f"of type {self.type_name}"
        if is_one_of(self.type) or typing.get_origin(self.type) is type:
            kind = self.type_name
        return kind + (f", {' and '.join(bounds)}" if bounds else "")

    def checked(self, value: object) -> object:
        """The value as the type has it: numbers of numpy and torch as Python's, lists as tuples.

        Raises:
            ArgumentError: unless it has the type and is within bounds.
        """
        value = taken(value, self.type)
        if not conforms(value, self.type):
            raise ArgumentError(self.name, value, self.allowed, self._hint(value))
        for number in numbers(value):
            if (
                math.isnan(number)
                or (self.ge is not None and number < self.ge)
                or (self.gt is not None and not number > self.gt)
                or (self.le is not None and number > self.le)
                or (self.lt is not None and not number < self.lt)
            ):
                raise ArgumentError(self.name, value, self.allowed, self._hint())
        return value

    def parse(self, text: str) -> Any:
        """Read a value of this option from a piece of text, as given on a command line.

        Raises:
            ArgumentError: if the text cannot be read as the option's type.
        """
        try:
            return parse(text, self.type)
        except ValueError:
            raise ArgumentError(self.name, text, self.allowed, self._hint()) from None

    def _hint(self, value: object = None) -> str:
        """The next thing to try: an object of the class that was given, the default, others."""
        if isinstance(value, type) and any(
            isinstance(each, type) and issubclass(value, each) for each in members(self.type)
        ):
            return f"{value.__name__}() makes one."
        if self.required or self.default is None:
            return ""
        default = getattr(self.default, "__name__", None) or repr(self.default)
        more = ", ".join(each.__name__ for each in others(self.type, self.default)[:_OTHERS])
        return f"The default is {default}{f'; there are {more}, too' if more else ''}."


class Configured:
    """A frozen dataclass whose fields are options: they are checked when it is built."""

    def __post_init__(self) -> None:
        for each in options_of(type(self)):
            given = getattr(self, each.name)
            value = each.checked(given)
            if value is not given:
                object.__setattr__(self, each.name, value)


def options_of(cls: type) -> tuple[Option, ...]:
    """The options of a class, in the order of declaration; () when it is no dataclass."""
    return _options_of(cls)


@cache
def _options_of(cls: Any) -> tuple[Option, ...]:
    if not dataclasses.is_dataclass(cls):
        return ()
    hints = typing.get_type_hints(cls)
    return tuple(
        Option(
            name=field.name,
            type=hints[field.name],
            default=_default_of(field),
            **{key: field.metadata[key] for key in _DECLARED if key in field.metadata},
        )
        for field in dataclasses.fields(cls)
        if field.init
    )


def build(cls: type[C], options: Mapping[str, object], name: str = "") -> C:
    """Build an object from its options, with errors that name what is allowed.

    Args:
        cls: the class.
        options: option name to value.
        name: what to call the class in errors; default is its own name.

    Raises:
        ArgumentError: unknown option, missing option, or a value that is not allowed.
    """
    known = {each.name: each for each in options_of(cls)}
    name = name or cls.__name__
    for key in options:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise ArgumentError(
                f"option of {name}",
                key,
                "one of " + _listing(known.values()) if known else "left out",
                f"{hint}{name} takes no {'other ' if known else ''}options.",
            )
    missing = [each for each in known.values() if each.required and each.name not in options]
    if missing:
        raise ArgumentError(f"options of {name}", dict(options), f"given with {_listing(missing)}")
    return cls(**options)


def parse_options(cls: type, texts: Mapping[str, str]) -> dict[str, Any]:
    """Turn command-line texts into option values; unknown names pass for :func:`build`."""
    known = {each.name: each for each in options_of(cls)}
    return {key: known[key].parse(text) if key in known else text for key, text in texts.items()}


def _default_of(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default


def _listing(options: typing.Iterable[Option]) -> str:
    return ", ".join(f"{each.name} ({each.type_name})" for each in options)
