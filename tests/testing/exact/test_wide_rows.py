"""Whole runs in steps of each row's own: the variance of very many numbers has no chance in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

import sdeplug as sp
from sdeplug import VESDE, VPSDE, Corrected
from sdeplug.testing import CheckFailed, NotApplicable
from sdeplug.testing.bench import SPECTRUM
from sdeplug.testing.contract.shifts import Shifts
from sdeplug.testing.exact import wide_rows
from sdeplug.testing.exact.wide_rows import LIMIT, check_wide_rows, wide_errors
from sdeplug.testing.mutants import spoil
from sdeplug.testing.mutants.chance import Changed, signs
from sdeplug.testing.mutants.heard import Scaled
from sdeplug.testing.mutants.promises import Promise
from sdeplug.testing.mutants.right import EulerMaruyama, Langevin
from sdeplug.testing.mutants.right_kinds import AdaptiveHeun
from sdeplug.testing.mutants.right_steps import RowHeun
from sdeplug.testing.mutants.seen import ScoreTimes

ADAMS, EULER = sp.solver("adaptive/row-adams"), sp.solver("adaptive/row-improved-euler")


@pytest.mark.parametrize("length", [4, 256])
def test_shifts_are_orthonormal_in_each_group_of_each_row(length):
    noise = Shifts(2, 3, length)
    like = torch.empty(2, 3 * length, dtype=torch.float64)
    z = torch.stack([noise.normal(like).reshape(2, 3, length) for _ in range(length)])
    products = torch.einsum("irgn,jrgn->rgij", z, z) / length
    assert torch.allclose(products, torch.eye(length, dtype=torch.float64).expand(2, 3, -1, -1))
    assert not torch.allclose(z[0, 0], z[0, 1])
    if length > 4:  # they look like normal numbers
        assert float(z.square().square().mean()) == pytest.approx(3.0, rel=0.3)


def test_there_are_as_many_shifts_as_numbers():
    noise, like = Shifts(1, 1, 4), torch.empty(1, 4)
    for _ in range(4):
        assert noise.normal(like).dtype == like.dtype
    with pytest.raises(NotApplicable, match="over 4 times"):
        noise.normal(like)
    with pytest.raises(NotApplicable, match="other numbers than one for each"):
        Shifts(1, 1, 4).normal(like[:, :2])


@dataclass(frozen=True)
class Stepping(RowHeun):
    """Steps of equal length, as a solver of fixed steps has them."""

    def integrate(self, reverse, x, t, s, run):
        for late, early in zip(*(np.linspace(t, s, 65)[k:][:64] for k in (0, 1)), strict=True):
            x = EulerMaruyama().integrate(reverse, x, float(late), float(early), run)
        return x


@pytest.mark.parametrize("sde", [VPSDE(), VESDE()], ids=["VP", "VE"])
def test_variances_are_those_of_independent_noise(sde):
    """Of fixed steps the law is known exactly: from the variances of Euler-Maruyama."""
    rows = wide_errors(sde, Stepping())
    assert float((rows[0] - rows[1]).abs().max()) < 1e-12
    data = torch.tensor(SPECTRUM, dtype=torch.float64)

    def variance(t):
        now = sde.at(t)
        return now.alpha**2 * data + now.sigma**2

    known, times = variance(sde.T), np.linspace(sde.T, sde.eps, 65)
    for t, s in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
        one = torch.ones(1, 1, dtype=torch.float64)
        reverse = sp.ReverseSDE(sde, lambda x, t: 0.0 * x, 1.0)
        drift, g = float(reverse.drift(one, t)), reverse.diffusion(t)
        gain = 1.0 - (t - s) * (drift + g**2 / variance(t))
        known = gain**2 * known + (t - s) * g**2
    assert torch.allclose((known / variance(sde.eps)).sqrt() - 1.0, rows[0], atol=1e-9)


@pytest.mark.parametrize("solver", [RowHeun(), ADAMS, EULER], ids=["heun", "adams", "euler"])
def test_right_solvers_end_in_p_eps(solver):
    assert "rows of ten thousand numbers are off by" in check_wide_rows(solver).text


@pytest.mark.parametrize("solver", [RowHeun(), ADAMS], ids=["heun", "adams"])
@pytest.mark.parametrize("mistake", [Scaled(1.006), Scaled(0.994), ScoreTimes(0.985)], ids=repr)
def test_six_tenths_of_a_per_cent_are_seen(solver, mistake):
    with pytest.raises(CheckFailed, match=r"with tolerances .*: the standard deviation along"):
        check_wide_rows(spoil(solver, mistake))


@pytest.mark.slow
@pytest.mark.parametrize("factor", [1.007, 0.993])
def test_a_floor_that_follows_the_tolerance_hides_nothing(factor):
    assert EULER.claims.floor > 5.0 * abs(factor - 1.0)
    with pytest.raises(CheckFailed, match="along the axis of variance 0"):
        check_wide_rows(spoil(EULER, Scaled(factor)))


def test_a_floor_that_stays_is_let_pass():
    wrong = spoil(RowHeun(), Scaled(1.02))
    check_wide_rows(spoil(wrong, Promise("floor", 0.03)))
    with pytest.raises(CheckFailed):
        check_wide_rows(spoil(wrong, Promise("floor", 0.01 - LIMIT)))


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        (Langevin(), "it is a corrector"),
        (EulerMaruyama(), "it claims an order"),
        (sp.solver("adaptive/row-dopri5"), "draws no noise"),
        (AdaptiveHeun(), "all rows have steps in common"),
        (spoil(RowHeun(), Promise("randomised", True)), "share what it draws"),
        (sp.solver("adaptive/row-improved-euler", keep_noise=False), "claims no consistency"),
        (spoil(RowHeun(), Changed(signs)), "does more than to add what it draws"),
        (Corrected(RowHeun(), Langevin()), "share what it draws"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_others_are_judged_elsewhere(solver, words):
    with pytest.raises(NotApplicable, match=words):
        check_wide_rows(solver)


def test_what_takes_more_draws_than_there_are_is_left_to_samples(monkeypatch):
    monkeypatch.setattr(wide_rows, "_LENGTHS", (32, 64))
    with pytest.raises(NotApplicable, match="more than 63 draws from T to eps"):
        check_wide_rows(RowHeun())


def test_a_tolerance_that_it_cannot_keep_is_no_failure():
    """At its own tolerance it is."""
    few = sp.solver("adaptive/row-adams", max_steps=70)
    assert check_wide_rows(few)
    with pytest.raises(NotApplicable, match="with tighter tolerances it stops"):
        check_wide_rows(spoil(few, Scaled(1.02)))
    with pytest.raises(sp.errors.StepError):
        check_wide_rows(sp.solver("adaptive/row-adams", max_steps=10))
