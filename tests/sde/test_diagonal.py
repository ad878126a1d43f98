"""Diagonal noise in the core: g of an SDE, and what a reverse SDE makes of it."""

from __future__ import annotations

import pytest
import torch
from common import Cubic, GaussianScore, normal

from sdeplug import VPSDE, ArgumentError, PairingError, ReverseSDE
from sdeplug.sde import expand
from sdeplug.testing.bench import DiagonalVP

SDE = DiagonalVP()
MEAN = torch.tensor([-1.0, 0.0, 0.5], dtype=torch.float64)
VARIANCE = torch.tensor([0.04, 0.25, 4.0], dtype=torch.float64)
SCORE = SDE.score(MEAN, VARIANCE)
X = normal(4, 3)


def diffusing(function):
    """A forward SDE with the given g."""
    return type("Given", (Cubic,), {"diffusion": lambda self, t: function(t)})()


@pytest.mark.parametrize("level", [0.0, 0.7, lambda t: 2.0 * t])
def test_each_coordinate_is_the_plain_sde_that_it_is_alone(level):
    together = ReverseSDE(SDE, SCORE, level)
    for j in range(3):
        pick = slice(j, j + 1)
        score = DiagonalVP(SDE.rates[pick]).score(MEAN[pick], VARIANCE[pick])
        alone = ReverseSDE(SDE.alone(j), score, level)
        for name in ("drift", "flow"):
            moved, single = getattr(together, name)(X, 0.3), getattr(alone, name)(X[:, pick], 0.3)
            torch.testing.assert_close(moved[:, pick], single, rtol=1e-10, atol=1e-10)
        g = together.diffusion(0.3, X)
        assert float(g[j]) == pytest.approx(alone.diffusion(0.3), rel=1e-12)


@pytest.mark.parametrize("level", [0.7, lambda t: 2.0 * t])
@pytest.mark.parametrize("shape", [(4, 3), (4, 2, 3)])
def test_rows_with_times_of_their_own_are_as_alone(level, shape):
    x, times = normal(*shape), (0.2, 0.3, 0.5, 0.9)
    reverse = ReverseSDE(SDE, lambda x, t: -x * (1.0 + expand(t, x)), level)
    t = torch.tensor(times, dtype=torch.float64)
    rows = [(x[i : i + 1], time) for i, time in enumerate(times)]
    for function in (reverse.drift, reverse.flow):
        alone = torch.cat([function(*row) for row in rows])
        torch.testing.assert_close(function(x, t), alone, rtol=1e-10, atol=1e-10)
    alone = torch.stack([reverse.diffusion(time, x) * row[0] for row, time in rows])
    torch.testing.assert_close(reverse.diffusion(t, x) * x, alone, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_multiplies_a_state_is_like_it(dtype):
    x, t = X.to(dtype), torch.full((4,), 0.5)
    diagonal, plain = ReverseSDE(SDE, SCORE), ReverseSDE(VPSDE(), GaussianScore(VPSDE()))
    assert (diagonal.diffusion(0.5, x) * x).dtype == dtype
    assert diagonal.diffusion(t, x).shape == (4, 3)
    assert diagonal.diffusion(t, x).dtype == dtype
    assert plain.diffusion(0.5, x) == plain.diffusion(0.5)
    assert plain.diffusion(t, x).shape == (4, 1)
    assert plain.diffusion(t, x).dtype == dtype


def test_who_asks_for_one_number_is_told_what_to_ask():
    reverse = ReverseSDE(SDE, SCORE)
    for t in (0.5, torch.full((4,), 0.5)):
        with pytest.raises(PairingError, match=r"DiagonalVP.*diffusion\(t, x\).*euler-maruyama"):
            reverse.diffusion(t)


def test_the_one_number_of_a_constant_is_a_number():
    assert diffusing(lambda t: torch.full_like(t, 2.0)).diffusion_at(0.5) == 2.0
    assert SDE.diffusion_at(0.5).shape == (3,)
    reverse = ReverseSDE(diffusing(lambda t: torch.tensor(2.0)), lambda x, t: -x)
    assert reverse.diffusion(0.5) == 2.0
    assert reverse.drift(X, torch.full((4,), 0.5)).shape == X.shape


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_diffusion_has_one_answer_for_each_time(size):
    """Rates alone, without the axis of times, would be taken for numbers of the rows."""
    with pytest.raises(ArgumentError, match=rf"diffusion = .*\({size},\).*\* rates"):
        ReverseSDE(diffusing(lambda t: torch.ones(size)), lambda x, t: -x)
    ReverseSDE(diffusing(lambda t: torch.ones_like(t)[..., None] * torch.ones(size)), X.new_tensor)


def test_a_diffusion_that_is_no_tensor_is_told():
    with pytest.raises(ArgumentError, match=r"diffusion = 1.0: must be a tensor.*not float"):
        ReverseSDE(diffusing(lambda t: 1.0), lambda x, t: -x)


def test_a_diffusion_for_samples_of_another_shape_is_told():
    reverse = ReverseSDE(SDE, lambda x, t: -x)
    for shape in ((4, 2), (4, 1), (4,)):
        for t in (0.5, torch.full((4,), 0.5)):
            with pytest.raises(ArgumentError, match=r"diffusion = .*broadcasts against x"):
                reverse.diffusion(t, normal(*shape))
