"""What a mutant is, and what an equivalent variant is."""

from __future__ import annotations

from dataclasses import dataclass

from sdeplug.solvers import Corrector, Integrator


@dataclass(frozen=True)
class Mutant:
    """A right solver with one mistake.

    Attributes:
        name: a few words joined by dashes, unique.
        of: what the right solver is.
        what: the mistake, in words.
        solver: the wrong solver; as a value, and in all else, it is in order.
        seen_by: the checks that are meant to see the mistake: at least one of them does.
    """

    name: str
    of: str
    what: str
    solver: Integrator | Corrector
    seen_by: tuple[str, ...]


@dataclass(frozen=True)
class Equivalent:
    """A variant that looks like a mistake and keeps every promise of the right solver.

    Attributes:
        name: a few words joined by dashes, unique.
        of: what the right solver is.
        what: what is done otherwise.
        why: why the promises still hold.
        solver: the variant.
        right: what it is a variant of.
    """

    name: str
    of: str
    what: str
    why: str
    solver: Integrator | Corrector
    right: Integrator | Corrector


def origin(value: object) -> str:
    """Name of the right solver that the class of a wrong one was made from."""
    return next(cls.__name__ for cls in type(value).__mro__ if ".right" in cls.__module__)


def sentence(value: object) -> str:
    """The first line of the description of a class, as a phrase."""
    first = (type(value).__doc__ or "").strip().splitlines()[0].rstrip(".")
    return first if first[1:2].isupper() else first[0].lower() + first[1:]
