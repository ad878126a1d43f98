"""Examples by choice: of calls, of options, of whatever a check tries many of.

A *maker* makes an example by choosing from sequences, the simplest first, again and again.  Who
chooses is another matter: :func:`examples` goes evenly over all that there is to choose from, and
:mod:`sdeplug.testing.strategies` lets hypothesis choose, which is slow to begin and good at finding
the simplest example that fails.  Nothing is left to chance here, so that a check that passes once
passes again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import count as counting
from random import Random
from typing import Protocol, TypeVar

T = TypeVar("T")
C = TypeVar("C")


class Choose(Protocol):
    """Chooses one of a sequence, whose simplest member comes first."""

    def __call__(self, options: Sequence[T], /) -> T:
        """One of the options."""
        ...


Maker = Callable[[Choose], C]
"""Makes an example by choosing; it raises :class:`Rejected` for choices that do not go together."""


class Rejected(Exception):
    """Choices that do not go together: there is no such example."""


def examples(maker: Maker[C], count: int) -> Iterator[C]:
    """The simplest example, and others that go evenly over all that there is to choose from.

    Each choice takes every n-th part of its sequence once in n examples, in an order of its own
    (a Latin hypercube).

    Args:
        maker: what makes an example of choices.
        count: how many examples, less those that are rejected.
    """
    yield from _made(maker, lambda place: 0.0)
    for number in range(count - 1):
        yield from _made(maker, partial(_part, number, count - 1))


def _made(maker: Maker[C], part: Callable[[int], float]) -> Iterator[C]:
    """The example, if there is one, of choices at a part, in [0, 1), of each sequence."""
    places = counting()

    def choose(options: Sequence[T], /) -> T:
        return options[min(int(part(next(places)) * len(options)), len(options) - 1)]

    try:
        example = maker(choose)
    except Rejected:
        return
    yield example


def _part(number: int, count: int, place: int) -> float:
    return _parts(place, count)[number]


@lru_cache(maxsize=1024)
def _parts(place: int, count: int) -> tuple[float, ...]:
    """A number in each n-th part of [0, 1), in an order that is another at every place."""
    random = Random(f"{place} of {count}")
    return tuple((part + random.random()) / count for part in random.sample(range(count), count))
