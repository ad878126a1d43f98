"""Rows of few numbers in steps of their own: with paths that are known a few hundred tell."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

import sdeplug as sp
from sdeplug import VPSDE, Integrator, option
from sdeplug.noise import BrownianWalk
from sdeplug.testing import CheckFailed, NotApplicable
from sdeplug.testing.exact import short_rows
from sdeplug.testing.exact.paths import Known, Walked
from sdeplug.testing.exact.short_rows import check_short_rows
from sdeplug.testing.exact.wide_rows import check_wide_rows
from sdeplug.testing.law.sampling import sampling_cells
from sdeplug.testing.mutants import spoil
from sdeplug.testing.mutants.heard import Scaled
from sdeplug.testing.mutants.promises import Promise
from sdeplug.testing.mutants.right import EulerMaruyama, Langevin
from sdeplug.testing.mutants.right_kinds import AdaptiveHeun
from sdeplug.testing.mutants.right_steps import RowHeun
from sdeplug.testing.mutants.seen import ScoreTimes
from sdeplug.testing.mutants.tolerances import NoiseDrawnAnew

ADAMS, EULER = sp.solver("adaptive/row-adams"), sp.solver("adaptive/row-improved-euler")
SDE = VPSDE()


@dataclass(frozen=True)
class Ending(Integrator):
    """A right solver whose end is moved."""

    by: Integrator = option(RowHeun(), help="the right one")
    width: float = option(1.0, help="times as wide")
    shift: float = option(0.0, help="standard deviations aside")
    tolerance: float = option(0.05, help="of the right one")

    claims = RowHeun.claims

    def integrate(self, reverse, x, t, s, run):
        y = RowHeun(self.tolerance).integrate(reverse, x, t, s, run)
        data = torch.tensor(short_rows._DATA, dtype=torch.float64)
        now = SDE.at(s)
        mean = now.alpha * torch.linspace(-1.0, 1.0, len(data), dtype=torch.float64)
        std = (now.alpha**2 * data + now.sigma**2).sqrt()
        return mean + self.width * (y - mean) + self.shift * std


def test_a_walk_that_is_watched_is_the_same_and_keeps_its_times():
    like = torch.empty(2, 3, dtype=torch.float64)
    noise = Walked()
    walk, plain = noise.walk(like, 1.0), BrownianWalk(like, 1.0, Walked().normal)
    for to, taken in (([0.5, 0.6], [True, False]), ([0.2, 0.7], [True, True])):
        ahead, other = (each.ahead(np.array(to)) for each in (walk, plain))
        assert torch.equal(ahead, other)
        walk.settle(np.array(taken))
        plain.settle(np.array(taken))
    assert noise.between(64).tolist() == [0.7, 0.5, 0.2]
    assert noise.between(2).tolist() == [0.7, 0.2]
    noise.walk(like, 2.0).ahead(np.array([0.1, 0.1]))
    assert noise.between(64).tolist() == [0.7, 0.5, 0.2]  # of the first alone


def test_a_path_is_known_before_it_is_walked():
    like, times = torch.empty(500, 2, dtype=torch.float64), np.array([0.7, 0.4, 0.1])
    noise = Known(0, times)
    walk = noise.walk(like, 1.0)
    spans = torch.tensor([0.3, 0.3, 0.3], dtype=torch.float64).sqrt()
    gone = torch.zeros_like(like)
    for to, number in ((0.55, None), (0.4, 2), (0.2, None), (0.1, 3)):
        gone = gone + walk.ahead(np.full(500, to))
        if number is not None:
            whole = (spans[:number, None, None] * noise.steps[:number]).sum(0)
            assert torch.allclose(gone, whole)
        walk.settle(np.ones(500, dtype=bool))
    assert noise.steps.shape == (3, 500, 2)
    assert float(noise.steps.square().mean()) == pytest.approx(1.0, abs=0.1)
    first = noise.steps
    noise.walk(like, 1.0)
    assert noise.steps is first


def test_variance_and_mean_are_those_of_all_rows_there_could_be():
    """Of numbers whose law is known: many times, and they scatter as is said."""
    off = []
    for seed in range(60):
        noise = torch.Generator().manual_seed(seed)
        of = torch.randn(9, 200, 16, generator=noise, dtype=torch.float64)
        rare = 1.0 + torch.randn(200, 1, generator=noise, dtype=torch.float64)  # for whole rows
        left = 0.3 * rare * torch.randn(200, 16, generator=noise, dtype=torch.float64)
        (std, its), (mean, give) = short_rows._error(0.02 + 0.1 * of.sum(0) + left, of)
        right = math.sqrt(9 * 0.01 + 0.09 * 2.0)
        off.append([(std + 1.0 - right) / its, (mean - 0.02) / give])
    found = torch.tensor(off)
    assert torch.allclose(found.mean(0), torch.zeros(2), atol=4.0 / math.sqrt(60))
    assert ((found.square().mean(0) > 0.5) & (found.square().mean(0) < 1.8)).all()


@pytest.mark.parametrize(
    "solver",
    [RowHeun(), RowHeun(0.4), ADAMS, pytest.param(EULER, marks=pytest.mark.slow)],
    ids=["heun", "loose", "adams", "euler"],
)
def test_right_solvers_end_in_p_eps(solver):
    assert "rows of forty numbers are off by" in check_short_rows(solver).text


@pytest.mark.parametrize("solver", [RowHeun(), ADAMS], ids=["heun", "adams"])
def test_a_path_leaves_a_tenth_of_chance(solver):
    """Of what a standard deviation of so many independent numbers has."""
    made = short_rows._made(SDE, solver, short_rows._times(SDE, solver), 0)
    _, scatter = short_rows._errors([made])
    stds = scatter[: len(scatter) // 2]
    alone = 1.0 / math.sqrt(2.0 * made.y.numel() / len(stds))
    assert float(stds.square().mean().sqrt()) < 0.1 * alone


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [Ending(width=1.01), Ending(width=0.99), Ending(shift=0.01)])
def test_one_per_cent_is_seen(wrong):
    with pytest.raises(CheckFailed, match="along the axis"):
        check_short_rows(wrong)


@pytest.mark.parametrize("wrong", [Ending(width=1.1), Ending(shift=-0.1)])
def test_much_is_seen_at_once(wrong):
    with pytest.raises(CheckFailed, match="along the axis"):
        check_short_rows(wrong)


@dataclass(frozen=True)
class Nothing(RowHeun):
    """What it returns is no number."""

    def integrate(self, reverse, x, t, s, run):
        return math.nan * super().integrate(reverse, x, t, s, run)


def test_what_is_no_number_is_seen():
    for check in (check_short_rows, check_wide_rows):
        with pytest.raises(CheckFailed, match="is nan"):
            check(Nothing(0.4))


@pytest.mark.slow
@pytest.mark.parametrize("solver", [RowHeun(), ADAMS], ids=["heun", "adams"])
def test_a_score_that_is_too_large_is_seen(solver):
    with pytest.raises(CheckFailed, match=r"is (1\.9|2|2\.0)\d* % too small"):
        check_short_rows(spoil(solver, ScoreTimes(1.02)))


def test_a_floor_that_stays_is_let_pass():
    check_short_rows(spoil(Ending(width=1.02), Promise("floor", 0.03)))


def test_what_is_known_in_short_rows_is_not_sampled_in_them():
    assert len(list(sampling_cells(RowHeun()))) == 2
    assert len(list(sampling_cells(NoiseDrawnAnew()))) == 3


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        (Langevin(), "it is a corrector"),
        (EulerMaruyama(), "it claims an order"),
        (sp.solver("adaptive/row-dopri5"), "draws no noise"),
        (AdaptiveHeun(), "draws no noise"),
        (NoiseDrawnAnew(), "its noise is not that of run.noise.walk"),
        (spoil(RowHeun(), Scaled(1.0)), "its noise is not that of run.noise.walk"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_others_are_judged_elsewhere(solver, words):
    with pytest.raises(NotApplicable, match=words):
        check_short_rows(solver)


@pytest.mark.parametrize(("times", "rows"), [(2, 256), (16, 2048)])
def test_what_chance_hides_is_not_said_to_be_right(times, rows, monkeypatch):
    """With a path that is known at few times; at once, where more rows do not help."""
    monkeypatch.setattr(short_rows, "_TIMES", times)
    with pytest.raises(NotApplicable, match=f"chance hides what {rows} rows are off by"):
        check_short_rows(RowHeun(0.4))


def test_steps_with_paths_of_their_own_are_left_to_samples_at_once():
    with pytest.raises(NotApplicable, match="chance hides what 256 rows are off by"):
        check_short_rows(sp.OnGrid(RowHeun(), sp.LogSNR(4)))
