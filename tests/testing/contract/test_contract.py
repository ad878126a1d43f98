"""Tier 0 of the harness: each check fails the solver that is wrong, and passes those that are
right."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from testing.contract.mistakes import (
    BY_NAME,
    AsksAhead,
    ByIdentity,
    CheckedLate,
    CountsSequences,
    DownOnly,
    EqualToAll,
    Mutable,
    Nameless,
    RemembersOnItself,
    Right,
    Stages,
    Unchecked,
    Wanders,
    Warming,
    WithFunction,
    wrong,
)

from sdeplug import Claims
from sdeplug.testing import CheckFailed, NotApplicable
from sdeplug.testing.contract import halves, sizes

BUFFER: dict[tuple[int, ...], torch.Tensor] = {}


def _into_buffer(right, reverse, x, t, s, run):
    out = right(x)
    kept = BUFFER.setdefault((*x.shape, out.element_size()), torch.empty_like(out))
    return kept.copy_(out)


def _raw_score(right, reverse, x, t, s, run):
    reverse.score_model(x, torch.tensor(t))
    return right(x)


def _in_place(right, reverse, x, t, s, run):
    x *= 1.0
    return right(x.add_(0.5).clone())


def _globally(right, reverse, x, t, s, run):
    return right(x) + 0.0 * torch.randn(())


def _numpy(right, reverse, x, t, s, run):
    return right(x) + 0.0 * np.random.rand()


def _python(right, reverse, x, t, s, run):
    return right(x) + 0.0 * random.random()


def _entropy(right, reverse, x, t, s, run):
    return right(x) + 1e-3 * np.random.default_rng().normal()


def _always_noisy(right, reverse, x, t, s, run):
    return right(x) + 0.1 * run.noise.normal(x)


def _no_grad(right, reverse, x, t, s, run):
    with torch.no_grad():
        return right(x)


def _partly_detached(right, reverse, x, t, s, run):
    return right(x) + 0.1 * x.detach().square()


def _mean_noise(right, reverse, x, t, s, run):
    g = torch.as_tensor(reverse.diffusion(t, x)).mean()
    return x - (t - s) * reverse.drift(x, t) + math.sqrt(t - s) * g * run.noise.normal(x)


def _needs_alpha(right, reverse, x, t, s, run):
    return right(x) * (reverse.linear.at(s).alpha / reverse.linear.at(s).alpha)


def _twice(right, reverse, x, t, s, run):
    reverse.score(x, t)
    return right(x)


def _late_score(right, reverse, x, t, s, run):
    reverse.score(x, max(s - 1e-6, 0.0))
    return right(x)


def _by_place(right, reverse, x, t, s, run):
    places = torch.arange(len(x), dtype=x.dtype).reshape(-1, *(1,) * (x.ndim - 1))
    return right(x) + 1e-3 * places


def _unbounded(right, reverse, x, t, s, run):
    return right(x) * math.sqrt(abs(t - s) / (s - reverse.forward.eps) if s else 1.0)


def _raw_log(right, reverse, x, t, s, run):
    return right(x) + 1e-9 * torch.tensor(s - reverse.forward.eps, dtype=x.dtype).log()


def _longer(right, reverse, x, t, s, run):
    return right(x, t, s - 1e-3 if s > 1e-3 else s)


def _in_half(right, reverse, x, t, s, run):
    return right(x.half().to(x.dtype) if x.dtype == torch.float32 else x)


def _differences(right, reverse, x, t, s, run):
    """A step of higher order, by the slope of the score in time."""
    early, slope = t - 1e-3 * (t - s), reverse.score(x, t)
    slope = (slope - reverse.score(x, early)) / (t - early) if t > s else slope
    return right(x) - (t - s) ** 2 * reverse.diffusion(t) ** 2 * slope


EVALUATIONS_2 = {"claims": Claims(order=1, evaluations=2)}
WRONG = [
    ("check_value", Mutable(), "frozen=True"),
    ("check_value", ByIdentity(), "differs from it"),
    ("check_value", EqualToAll(), "equals everything"),
    ("check_value", WithFunction(lambda t: t), "pickled"),
    ("check_representation", Nameless(), "size="),
    ("check_options", Unchecked(), "accepted"),
    ("check_options", CheckedLate(), "not an ArgumentError"),
    ("check_other_options", Stages(), "make claims a property"),
    ("check_claims", wrong(_needs_alpha), "needs=LinearSDE"),
    ("check_claims", wrong(_mean_noise), "neighbours with other noise"),
    ("check_claims", wrong(lambda right, r, x, *_: right(x), claims={"order": 1}), "Claims"),
    ("check_shapes_and_dtypes", wrong(lambda f, r, x, *_: f(x).flatten(1)), "x became shape"),
    ("check_shapes_and_dtypes", wrong(lambda f, r, x, *_: f(x).double()), "float64"),
    ("check_shapes_and_dtypes", wrong(lambda f, r, x, *_: f(x) * math.nan), "not finite"),
    ("check_shapes_and_dtypes", wrong(lambda f, r, x, *_: f(x).tolist()), "became list"),
    ("check_memory", wrong(_in_place), "was written to"),
    ("check_memory", wrong(_into_buffer), "output of the first"),
    ("check_memory", wrong(lambda f, r, x, *_: x[:]), "view of x"),
    ("check_memory", wrong(lambda f, r, x, *_: f(x) + 0.1 * (not x.is_contiguous())), "lie apart"),
    ("check_score_times", wrong(_late_score), "outside"),
    ("check_score_times", Wanders(), "outside"),
    ("check_score_inputs", wrong(_raw_score), "reverse.score"),
    ("check_score_inputs", wrong(lambda f, r, x, t, *_: f(x) + r.score(x / 0.0, t)), "finite"),
    ("check_evaluations", wrong(_twice), "made 2"),
    ("check_evaluations", wrong(lambda f, r, x, *_: f(x), **EVALUATIONS_2), "made 1"),
    ("check_affine", wrong(lambda f, r, x, *_: f(x).clamp(-1.0, 1.0)), "affine=False"),
    ("check_randomness", wrong(_globally), "global generator"),
    ("check_randomness", wrong(_numpy), "global generator"),
    ("check_randomness", wrong(_python), "global generator"),
    ("check_randomness", wrong(_entropy), "another result"),
    ("check_stochastic_claim", wrong(lambda f, r, x, t, s, run: x), "stochastic=True"),
    (
        "check_stochastic_claim",
        wrong(lambda f, r, x, *_: f(x), claims=Claims(stochastic=False)),
        "drew noise 1",
    ),
    ("check_stochasticity", wrong(_always_noisy), "stochasticity 0"),
    ("check_batch_independence", wrong(lambda f, r, x, *_: f(x) - x.mean()), "neighbours"),
    ("check_permutation", wrong(_by_place), "order changed"),
    ("check_near_eps", wrong(_unbounded), "ZeroDivisionError"),
    ("check_near_eps", wrong(_raw_log), "not finite"),
    ("check_short_span", wrong(_longer), "x moved"),
    ("check_first_step", Warming(), "differ by"),
    ("check_split", CountsSequences(), "closure"),
    ("check_interleaved", RemembersOnItself(), "not onto the solver"),
    ("check_directions", DownOnly(), "up in time"),
    ("check_directions", AsksAhead(), "asked for at"),
    ("check_precision", wrong(_in_half), "float32"),
    ("check_half_precision", wrong(_differences), "differences of scores"),
    ("check_gradient", wrong(_no_grad), "no gradient"),
    ("check_gradient", wrong(lambda f, r, x, *_: f(x) + 0.1 * x.requires_grad), "with gradients"),
    ("check_gradient", wrong(lambda f, r, x, *_: f(x) * (1 + torch.is_grad_enabled())), "graph"),
    ("check_gradient", wrong(_partly_detached), "detached"),
]


@pytest.mark.parametrize(
    ("check", "solver", "says"),
    WRONG,
    ids=[f"{check}-{type(solver).__name__}-{n}" for n, (check, solver, _) in enumerate(WRONG)],
)
def test_a_wrong_solver_fails_the_check_that_is_made_for_it(check, solver, says):
    with pytest.raises(CheckFailed, match=says):
        BY_NAME[check](solver)


def _single(right, reverse, x, t, s, run):
    return right(x.float().double())  # differences of this are those of its rounding


def _lost(right, reverse, x, t, s, run):
    return right(x) * float("nan")


def test_gradients_can_be_claimed_away():
    blunt = wrong(_no_grad, claims=replace(Right.claims, differentiable=False))
    with pytest.raises(NotApplicable, match="no gradients"):
        BY_NAME["check_gradient"](blunt)


@pytest.mark.parametrize("body", [_single, _lost])
def test_the_gradient_is_not_blamed_for_what_is_wrong_with_the_value(body):
    BY_NAME["check_gradient"](wrong(body))
    named = "check_precision" if body is _lost else "check_affine"
    with pytest.raises(CheckFailed):
        BY_NAME[named](wrong(body))


def test_every_check_has_a_solver_that_fails_it():
    elsewhere = {"check_spec", "check_device"}  # below; and where there is an accelerator
    elsewhere |= {each.__name__ for each in (*halves.CHECKS, *sizes.CHECKS)}  # files of their own
    assert {check for check, *_ in WRONG} | elsewhere == set(BY_NAME)
