"""Times: distribution functions, weights that make up for them, batches that cover all of them."""

from __future__ import annotations

import math

import pytest
import torch
from training.quadrature import Scripted

from sdeplug import VPSDE, ArgumentError, FromNoise, LogSNR, SharedNoise, Uniform
from sdeplug.training import (
    DenoisingLoss,
    GridTimes,
    ImportanceTimes,
    Likelihood,
    LogNormalTimes,
    UniformTimes,
)

MIDDLES = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
ALL = (UniformTimes(), ImportanceTimes(), LogNormalTimes(), GridTimes(Uniform(10)))


@pytest.mark.parametrize("start", [None, 0.3])
def test_uniform_times_are_a_line(any_sde, start):
    t, weight = UniformTimes(start=start).at(any_sde, torch.tensor([0.0, 0.5, 1.0]).double())
    first = any_sde.eps if start is None else start
    assert torch.allclose(t, torch.tensor([first, 0.5 * (first + any_sde.T), any_sde.T]).double())
    assert torch.equal(weight, torch.ones(3).double())


def test_importance_times_are_uniform_in_log_snr_and_weighted_for_it(any_sde):
    start = 0.01 * any_sde.T
    t, weight = ImportanceTimes(start=start).at(any_sde, MIDDLES)
    log_snr = any_sde.log_snr(t)
    assert torch.allclose(log_snr.diff(), log_snr.diff().mean().expand(len(t) - 1), rtol=1e-5)
    for function in (torch.ones_like, torch.cos, any_sde.diffusion):
        uniform = function(start + MIDDLES * (any_sde.T - start)).mean()
        assert torch.allclose((weight * function(t)).mean(), uniform, rtol=2e-4)


def test_importance_times_take_the_spread_out_of_the_likelihood_weighting():
    """Where the error of the noise is the same at each level, every row has the same loss."""
    drawn = {each: each.at(VPSDE(), MIDDLES) for each in (UniformTimes(), ImportanceTimes())}
    rows = [
        DenoisingLoss(VPSDE(), FromNoise, Likelihood(), times).weight(each)
        for times, each in drawn.items()
    ]
    assert torch.allclose(rows[0].mean(), rows[1].mean(), rtol=1e-3)
    assert rows[0].std() > 1.5 * rows[0].mean()
    assert rows[1].std() < 1e-6 * rows[1].mean()


def test_log_normal_times_have_the_quantiles_of_the_paper(any_sde):
    t, weight = LogNormalTimes(mean=-1.0, std=0.5).at(
        any_sde, torch.tensor([0.5, 0.8413447460685429]).double()
    )
    assert torch.allclose(-0.5 * any_sde.log_snr(t), torch.tensor([-1.0, -0.5]).double(), atol=1e-9)
    assert torch.equal(weight, torch.ones(2).double())
    ends = LogNormalTimes(mean=0.0, std=1e3).at(any_sde, torch.tensor([0.01, 0.99]).double()).t
    assert ends.tolist() == [any_sde.eps, any_sde.T]


def test_grid_times_are_those_from_which_steps_start():
    sde = VPSDE()
    t, weight = GridTimes(Uniform(4)).at(sde, torch.tensor([0.0, 0.24, 0.26, 0.6, 0.99]).double())
    assert t.tolist() == [0.25, 0.25, 0.5, 0.75, 1.0]
    assert torch.equal(weight, torch.ones(5).double())
    ends = GridTimes(Uniform(4), last=True, start=0.2).at(sde, torch.tensor([0.0, 0.999]).double())
    assert ends.t.tolist() == [0.2, 1.0]
    snr = GridTimes(LogSNR(3), start=0.1).at(sde, torch.tensor([0.1, 0.5, 0.9]).double()).t
    assert torch.allclose(sde.log_snr(snr).diff().diff(), torch.zeros(1).double(), atol=1e-9)
    with pytest.raises(ArgumentError, match="span"):
        GridTimes(Uniform(4), start=2.0).at(sde, MIDDLES)


@pytest.mark.parametrize("times", ALL, ids=lambda times: type(times).__name__)
def test_a_batch_covers_all_times_evenly(times):
    """One number moves all of them: u, u + 1/B, ... , which wrap around at 1."""
    sde, rows = VPSDE(), 5
    first = torch.tensor([0.7, -3.0, 9.0, 0.1, 0.2], dtype=torch.float64)
    found = times.draw(sde, rows, Scripted(first)).t
    u = (torch.special.ndtr(first[0]) + torch.arange(rows).double() / rows) % 1.0
    assert torch.equal(found, times.at(sde, u).t)


@pytest.mark.parametrize("times", ALL, ids=lambda times: type(times).__name__)
def test_or_each_row_has_a_number_of_its_own(times):
    alone = type(times)(
        *(() if not isinstance(times, GridTimes) else (times.grid,)), low_discrepancy=False
    )
    numbers = torch.tensor([0.7, -3.0, 9.0], dtype=torch.float64)
    found = alone.draw(VPSDE(), 3, Scripted(numbers)).t
    assert torch.equal(found, alone.at(VPSDE(), torch.special.ndtr(numbers)).t)


def test_an_even_batch_varies_less():
    """By how much is known: the mean of B stratified uniform numbers has 1 / B of the spread
    that independent ones have, for a function as straight as t."""
    spread = {}
    for even in (True, False):
        noise = SharedNoise(0)
        means = [
            UniformTimes(low_discrepancy=even).draw(VPSDE(), 64, noise).t.mean() for _ in range(400)
        ]
        spread[even] = float(torch.stack(means).std())
    assert math.isclose(spread[False] / spread[True], 64**0.5, rel_tol=0.25)


@pytest.mark.parametrize("options", [{"std": 0.0}, {"start": -1.0}, {"low_discrepancy": 1}])
def test_options_are_checked(options):
    with pytest.raises(ArgumentError):
        LogNormalTimes(**options)
