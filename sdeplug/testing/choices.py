"""Examples by choice: of calls, of options, of whatever a check tries many of.

A *maker* makes an example by choosing from sequences, the simplest first, again and again.  Who
chooses is another matter: :func:`examples` goes evenly over everything that there is to choose
from, :func:`simplest` looks for the simplest example that fails, and the public
:mod:`sdeplug.testing.strategies` let hypothesis choose.  Nothing is left to chance here, so that
a check that passes once passes again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from random import Random
from typing import Protocol, TypeVar

T = TypeVar("T")
C = TypeVar("C")

_TRIES = 100  # runs of a test that the search for the simplest example may take


class Choose(Protocol):
    """Chooses one of a sequence, whose simplest member comes first."""

    def __call__(self, options: Sequence[T], /) -> T:
        """One of the options."""
        ...


Maker = Callable[[Choose], C]
"""Makes an example by choosing; it raises :class:`Rejected` for choices that do not go together."""

Path = tuple[int, ...]
"""The numbers of what was chosen, one after the other: who has it can make the example again."""

_Rule = Callable[[int, int], int]  # from the place of a choice and the number of options to one


class Rejected(Exception):
    """Choices that do not go together: there is no such example."""


def examples(maker: Maker[C], count: int) -> Iterator[tuple[C, Path]]:
    """The simplest example, and others that go evenly over all that there is to choose from.

    Each choice takes every n-th part of its sequence once in n examples, in an order of its own
    (a Latin hypercube).

    Args:
        maker: what makes an example of choices.
        count: how many examples, less those that are rejected.

    Yields:
        Examples, each with its path.
    """
    yield from _made(maker, _along(()))
    for number in range(count - 1):
        yield from _made(maker, _spread(number, count - 1))


def simplest(maker: Maker[C], path: Path, fails: Callable[[C], bool]) -> C:
    """The simplest example that fails, as far as a few tries find it.

    Choice by choice a simpler one is taken, and kept if the example still fails.

    Args:
        maker: what makes an example of choices.
        path: that of an example that fails.
        fails: whether an example does.
    """
    ((found, best),) = _made(maker, _along(path))
    tries = 0
    while tries < _TRIES:
        for shorter in _simpler(best):
            tries += 1
            failing = [each for each in _made(maker, _along(shorter)) if fails(each[0])]
            if failing:
                ((found, best),) = failing
                break
        else:
            break
    return found


def _simpler(path: Path) -> Iterator[Path]:
    """Paths with one choice that is simpler, the boldest first; one after it may be left out."""
    for bold in (lambda number: 0, lambda number: number // 2, lambda number: number - 1):
        for place, number in enumerate(path):
            if 0 <= bold(number) < number:
                yield (*path[:place], bold(number), *path[place + 1 :])
    for place, number in enumerate(path):
        for gone in range(place + 1, len(path)) if number else ():
            yield (*path[:place], number - 1, *path[place + 1 : gone], *path[gone + 1 :])


def _made(maker: Maker[C], rule: _Rule) -> Iterator[tuple[C, Path]]:
    """The example that a rule of choice leads to, if there is one."""
    taken: list[int] = []

    def choose(options: Sequence[T], /) -> T:
        taken.append(rule(len(taken), len(options)))
        return options[taken[-1]]

    try:
        example = maker(choose)
    except Rejected:
        return
    yield example, tuple(taken)


def _along(path: Path) -> _Rule:
    """A path, and the simplest choices after its end."""
    return lambda place, size: min(path[place], size - 1) if place < len(path) else 0


def _spread(number: int, count: int) -> _Rule:
    """One of so many examples that cover all choices evenly."""
    return lambda place, size: min(int(_parts(place, count)[number] * size), size - 1)


@lru_cache(maxsize=1024)
def _parts(place: int, count: int) -> tuple[float, ...]:
    """A number in each n-th part of [0, 1), in an order that is another at every place."""
    random = Random(f"{place} of {count}")
    return tuple((part + random.random()) / count for part in random.sample(range(count), count))
