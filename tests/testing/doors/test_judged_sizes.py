"""A verdict on code that is no plugin looks at batches of many sizes."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from testing.doors.loops import SDE, by_the_batch, euler_maruyama, in_float32, one_noise_for_all

from sdeplug.testing import Outcome, Verdict, judge
from sdeplug.testing.doors.by_sizes import same_in_all_sizes
from sdeplug.testing.doors.running import result_of


def when(condition, factor=1.01):
    """More noise in some batches."""

    def function(score, x, steps):
        size = factor if condition(*x.shape) else 1.0
        return euler_maruyama(score, x, steps, lambda x: size * torch.randn_like(x))

    return function


def tail(score, x, steps):
    y = euler_maruyama(score, x, steps)
    y[1024:] *= 1.01
    return y


def squeezed(score, x, steps):
    return euler_maruyama(score, x.squeeze(), steps)


def of_rows(x):
    return torch.randn_like(x) * (1.0 + 0.1 * x.square().mean(1, keepdim=True).sigmoid())


def again_where_large(x):
    z = torch.randn_like(x)
    while bool((z.abs() > 2.0).any()):
        z = torch.where(z.abs() > 2.0, torch.randn_like(x), z)
    return z


def sizes_of(function, dtype=torch.float64, steps=2):
    return result_of("check_sizes", partial(same_in_all_sizes, function, SDE, dtype, steps))


@pytest.mark.parametrize(
    ("function", "where"),
    [
        (when(lambda rows, numbers: rows == 1), "(1, 5)"),
        (when(lambda rows, numbers: rows == 7), "(7, 5)"),
        (when(lambda rows, numbers: rows > 1000), "(1025, 5)"),
        (when(lambda rows, numbers: numbers == 1), "(4000, 1)"),
        (when(lambda rows, numbers: numbers > 1025), "(1, 20000)"),
        (tail, "(2000, 2)"),
        (squeezed, "(1, 5)"),
    ],
)
def test_what_depends_on_the_size_of_a_batch_has_failed(function, where):
    found = sizes_of(function)
    assert found.outcome is Outcome.FAILED
    assert f"shape {where}" in found.reason


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_shorter_dtype_hides_no_other_noise_in_a_batch_of_one(dtype):
    assert sizes_of(euler_maruyama, dtype).outcome is Outcome.PASSED
    assert sizes_of(when(lambda rows, _: rows == 1, 1.5), dtype).outcome is Outcome.FAILED


def test_the_last_place_of_a_short_dtype_is_rounding():
    rounded = when(lambda rows, _: rows > 7, 1.0 + torch.finfo(torch.bfloat16).eps)
    assert sizes_of(rounded, torch.bfloat16).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("function", "outcome", "words"),
    [
        (in_float32, Outcome.PASSED, "4,000 rows, and in rows of 1 to 20,000"),
        (partial(euler_maruyama, draw=of_rows), Outcome.PASSED, "the numbers of a row hang"),
        (by_the_batch, Outcome.NOT_APPLICABLE, "on the others"),
        (partial(euler_maruyama, draw=again_where_large), Outcome.NOT_APPLICABLE, "on the others"),
        (one_noise_for_all, Outcome.NOT_APPLICABLE, "what all of them share"),
        (
            partial(euler_maruyama, draw=lambda x: torch.empty_like(x).exponential_() - 1.0),
            Outcome.NOT_APPLICABLE,
            "what all of them share",
        ),
    ],
)
def test_rows_that_hang_together_are_in_no_other_batch(function, outcome, words):
    found = sizes_of(function)
    assert (found.outcome, words in found.reason) == (outcome, True), found.reason


def test_a_verdict_looks_at_a_batch_of_one():
    report = judge(when(lambda rows, numbers: rows == 1), SDE, steps=2)
    (failure,) = report.failures
    assert (report.verdict, failure.name) == (Verdict.FAILED, "check_sizes")
