"""What samples are off by, in words: the right one of several, with its size."""

from __future__ import annotations

import re

import pytest
import torch
from common import normal

from sdeplug import VPSDE
from sdeplug.targets import Gaussian, GaussianMixture
from sdeplug.testing import Cell, Specimen

SDE = VPSDE()
APART = GaussianMixture((0.3, 0.7), ((-4.0, 0.0), (4.0, 0.0)), std=(0.5, 0.5))


def told(change, target=APART, rows=4000) -> str:
    """What is said of exact draws after a change."""
    specimen = Specimen("two", target, rows, 0.25)
    return Cell(specimen, SDE, lambda x, run: change(x), SDE.eps, SDE.eps, 0.0).farthest(0)


def errors(words: str) -> int:
    return int(re.search(r"\((\d+) standard errors\)", words)[1])


def first(x):
    return x[:, 0] < 0.0


def moved(x, rows, change):
    x = x.clone()
    x[rows] = change(x[rows])
    return x


def swapped(x):
    """A fifth of the rows of the first mode go to the second."""
    rows = first(x) & (torch.arange(len(x)) % 5 == 0)
    return moved(x, rows, lambda y: -y)


def repeated(x):
    return x[: len(x) // 2].repeat(2, 1)


def neighbourly(x):
    """Every other row is its neighbour's, but for a little."""
    x = x.clone()
    x[1::2] = x[::2] + 0.01 * normal(*x[::2].shape)
    return x


def spoilt(x):
    return moved(x, torch.arange(len(x)) < 7, lambda y: y * torch.nan)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (swapped, r"the weight of mode \d is 0\.\d+, not 0\.\d"),
        (lambda x: x + torch.tensor([0.0, 0.1]),
         r"the mean of all modes is off by 0\.2.*coordinate 1"),
        (lambda x: moved(x, first(x), lambda y: y + torch.tensor([0.0, 0.1])),
         r"the mean of mode 0 is off by 0\.2.*coordinate 1"),
        (lambda x: x * torch.tensor([1.0, 1.2]),
         r"of all modes along coordinate 1 is (19|20|21) % too large"),
        (lambda x: moved(x, first(x), lambda y: y * torch.tensor([1.0, 0.7])),
         r"of mode 0 along coordinate 1 is (28|29|30|31) % too small"),
        (repeated, r"rows half the batch apart are correlated by (1|0\.9)"),
        (neighbourly, r"neighbouring rows are correlated by 0\.[45]"),
    ],
)  # fmt: skip
def test_the_difference_that_is_there_is_told(change, words):
    said = told(change)
    assert re.search(words, said), said
    assert errors(said) >= 5


def test_rows_that_are_not_finite_are_counted():
    assert told(spoilt) == "7 of 4000 rows are not finite"


@pytest.mark.parametrize("target", [APART, Gaussian([1.0] * 8, std=1.0)])
def test_of_exact_draws_nothing_is_many_standard_errors_off(target):
    """Some thirty differences of a standard normal law: 5 are exceeded in 2e-5 of all seeds."""
    assert errors(told(lambda x: x, target)) <= 5
