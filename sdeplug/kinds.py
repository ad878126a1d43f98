"""The types of options: what is a value of one, how they are called, how values are written."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sdeplug.values import is_one_of, listed, plain


def members(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of a union; the annotation itself when it is none."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def taken(value: object, annotation: Any) -> object:
    """A value with what is plainly meant by it: numbers as Python's, lists and one as tuples."""
    if conforms(value, annotation) and not isinstance(value, (np.generic, tuple)):
        return value
    for member in members(annotation):
        if member in (int, float, bool):
            value = plain(value)
        elif typing.get_origin(member) is tuple:
            value = _as_tuple(value, typing.get_args(member)[0])
        elif is_one_of(member) and isinstance(value, str):
            value = member.named(value) or value
    return value


def _as_tuple(value: object, item: Any) -> object:
    """A list, an array or one item by itself as a tuple of items; anything else as it is."""
    found = listed(value)
    if isinstance(found, (list, tuple)):
        return tuple(taken(each, item) for each in found)
    alone = taken(value, item)
    return (alone,) if conforms(alone, item) else value


def conforms(value: object, annotation: Any) -> bool:
    """Whether a value is of a type; a Boolean is no number."""
    return any(_conforms_one(value, member) for member in members(annotation))


def _conforms_one(value: object, annotation: Any) -> bool:
    if annotation is Any:
        return True
    if annotation is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    origin = typing.get_origin(annotation)
    if origin is tuple:
        item = typing.get_args(annotation)[0]
        return isinstance(value, tuple) and all(conforms(each, item) for each in value)
    if origin is Callable:
        return callable(value)
    if origin is type:
        return isinstance(value, type) and issubclass(value, typing.get_args(annotation)[0])
    return isinstance(value, origin or annotation)


def numbers(value: object) -> Sequence[float]:
    """The numbers in a value, for bounds."""
    if isinstance(value, tuple):
        return [number for each in value for number in numbers(each)]
    return [value] if isinstance(value, (int, float)) else []


def type_name(annotation: Any) -> str:
    """A type, as a person would write it."""
    names = []
    for member in members(annotation):
        if member is type(None):
            names.append("None")
        elif typing.get_origin(member) is Callable:
            names.append("function")
        elif typing.get_origin(member) is tuple:
            names.append(f"tuple of {type_name(typing.get_args(member)[0])}")
        elif typing.get_origin(member) is type:
            names.append(f"a class of {typing.get_args(member)[0].__name__}")
        elif is_one_of(member):
            names.append(f"one of {', '.join(map(str, member))}")
        else:
            names.append(getattr(member, "__name__", str(member)))
    return " or ".join(names)


def parse(text: str, annotation: Any) -> Any:
    """A value of a type from a piece of text.

    Raises:
        ValueError: if it is none.
    """
    alternatives = members(annotation)
    if type(None) in alternatives and text.lower() == "none":
        return None
    for member in alternatives:
        try:
            return _parse_one(text, member)
        except ValueError:
            continue
    raise ValueError(text)


def _parse_one(text: str, annotation: Any) -> Any:
    if annotation is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if annotation in (int, float, str):
        return annotation(text)
    if is_one_of(annotation) and annotation.named(text):
        return annotation.named(text)
    if typing.get_origin(annotation) is tuple:
        item = typing.get_args(annotation)[0]
        return tuple(parse(part.strip(), item) for part in text.split(","))
    raise ValueError(text)


def others(annotation: Any, default: object) -> list[type]:
    """The classes that an option of an abstract class may be of, but for that of the default."""
    waiting = [each for each in members(annotation) if inspect.isabstract(each)]
    found: set[type] = set()
    while waiting:
        below = waiting.pop().__subclasses__()
        waiting += below
        found |= {
            each
            for each in below
            if not (inspect.isabstract(each) or each.__name__.startswith("_"))
        }
    return sorted(found - {type(default)}, key=lambda each: each.__name__)
