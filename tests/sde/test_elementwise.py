"""Functions of time with numbers: a time that is one, and a value that is one for all times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from common import SDES, Cubic

from sdeplug import ArgumentError, LinearSDE, ReverseSDE

FUNCTIONS = ("log_alpha", "sigma", "alpha", "drift_rate", "diffusion", "log_snr")


class Own(LinearSDE):
    """As a newcomer writes it: no dataclass, and a number for all times."""

    def __init__(self, slope=2.0, weights=None):
        self.slope, self.weights = slope, weights

    def log_alpha(self, t):
        return 0.0

    def sigma(self, t):
        return self.slope * t


class Returning(Own):
    def sigma(self, t):
        return self.weights


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("sde", SDES, ids=lambda sde: type(sde).__name__)
def test_a_function_of_time_takes_a_number(sde, name):
    function, t = getattr(sde, name), 0.5 * sde.T
    wanted = function(torch.tensor([t], dtype=torch.float64))[0]
    for time in (t, np.float64(t), torch.tensor(t, dtype=torch.float64)):
        value = function(time)
        assert (value.dtype, value.shape) == (torch.float64, ())
        assert float(value) == pytest.approx(float(wanted), rel=1e-14)
    assert torch.equal(function(1), function(1.0))
    assert torch.equal(function(np.float32(0.5)), function(0.5))
    assert torch.equal(function(torch.tensor([1])), function(torch.tensor([1.0]).double()))


@pytest.mark.parametrize("time", ["0.5", [0.5], None, True])
def test_what_is_no_time_is_refused_in_one_sentence(time):
    with pytest.raises(ArgumentError, match="must be a time or a tensor of times, not"):
        SDES[0].sigma(time)


def test_alpha_is_that_of_the_marginal():
    for sde in SDES:
        assert float(sde.alpha(0.3)) == sde.at(0.3).alpha


def test_a_schedule_may_return_a_number_for_all_times():
    sde = Own()
    now = sde.at(0.5)
    assert (now.alpha, now.sigma, now.drift_rate) == (1.0, 1.0, 0.0)
    assert now.diffusion == pytest.approx(2.0)
    t = torch.rand(2, 3)
    assert torch.equal(sde.log_alpha(t), torch.zeros(2, 3))
    ReverseSDE(sde, lambda x, t: -x)


def test_a_schedule_keeps_the_dtype_of_the_times():
    t = torch.rand(4, dtype=torch.float64)
    assert Returning(weights=torch.ones(())).sigma(t).dtype == torch.float64


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (torch.ones(7), r"Returning.sigma\(t\) = 'of shape \(7,\)'.*shape of t, \(3,\)"),
        (None, r"Returning.sigma\(t\) = None: must be a number, or a tensor"),
    ],
)
def test_another_value_of_a_schedule_is_refused_by_name(value, says):
    with pytest.raises(ArgumentError, match=says):
        Returning(weights=value).sigma(torch.rand(3))


def test_a_schedule_of_a_schedule_is_the_same():
    class Faster(Own):
        def sigma(self, t):
            return 3.0 * super().sigma(t)

    assert float(Faster().sigma(0.5)) == 3.0


def test_an_sde_of_ones_own_prints_what_it_is():
    assert repr(Own()) == "Own(slope=2.0, weights=None, T=1.0, eps=0.001)"
    assert repr(Own(weights=torch.ones(3, 4))).count("<tensor of shape (3, 4)>") == 1
    assert repr(Own(weights=list(range(100)))).count("<list>") == 1
    assert "0x" not in repr(Cubic())
    assert repr(Dated()) == "Dated(start=1.0)"


@dataclass(frozen=True)
class Dated(Own):
    start: float = 1.0
