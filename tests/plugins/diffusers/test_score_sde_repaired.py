"""The schedulers of Song et al.: what is repaired, VP and sub-VP, and bad input."""

from __future__ import annotations

import pytest
import torch
from plugins.diffusers.schedulers import OURS, generators, pair, seeded

import sdeplug as sp
from sdeplug_diffusers import (
    ScoreSdeSubVpScheduler,
    ScoreSdeVeScheduler,
    ScoreSdeVpScheduler,
)
from sdeplug_diffusers.ladder import Ladder

pytest.importorskip("diffusers")
close = torch.testing.assert_close


@pytest.mark.parametrize("option", ["rows_apart", "repaired"])
def test_rows_apart_do_not_see_each_other(option):
    scheduler = ScoreSdeVeScheduler(**{option: True})
    x, score = pair((3, 5))
    other = torch.cat((score[:1], 5.0 * score[1:]))
    moved = [
        scheduler.step_correct(each, x, generators(True, 3)).prev_sample for each in (score, other)
    ]
    close(moved[0][0], moved[1][0])
    assert not torch.allclose(moved[0][1], moved[1][1])
    alone = scheduler.step_correct(score[:1], x[:1], [seeded(0)]).prev_sample
    close(alone[0], moved[0][0])
    coupled = ScoreSdeVeScheduler()
    rows = [coupled.step_correct(each, x, seeded()).prev_sample[0] for each in (score, other)]
    assert not torch.allclose(*rows)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("cls", OURS)
def test_kept_dtype(cls, dtype):
    x, score = pair((2, 3), dtype=dtype)
    for keep in (False, True):
        scheduler = cls(keep_dtype=keep)
        scheduler.set_timesteps(10)
        if cls is ScoreSdeVeScheduler:
            predicted = scheduler.step_pred(score, 0.5, x).prev_sample
            corrected = scheduler.step_correct(score, x).prev_sample
        else:
            predicted = scheduler.step_pred(score, x, 0.5)[0]
            scheduler.set_timesteps(100)  # a table of its betas is below 1
            corrected = scheduler.step_correct(score, 0.5, x).prev_sample
        expected = dtype if keep else torch.promote_types(dtype, torch.float32)
        assert predicted.dtype == corrected.dtype == expected


def test_rebuilt_sigmas_are_of_one_run():
    scheduler = ScoreSdeVeScheduler(rebuild_sigmas=True)
    scheduler.set_timesteps(10)
    assert len(scheduler.sigmas) == len(scheduler.discrete_sigmas) == 10
    scheduler.set_sigmas(4, sampling_eps=0.1)
    assert len(scheduler.timesteps) == len(scheduler.sigmas) == 4
    assert float(scheduler.timesteps[-1]) == pytest.approx(0.1)


@pytest.mark.parametrize("shape", [(2,), (2, 3), (2, 1, 2, 2, 2)])
def test_any_noise_takes_any_rank_and_float_times(shape):
    scheduler = ScoreSdeVeScheduler(any_noise=True)
    scheduler.set_timesteps(2000)
    x, noise = pair(shape)
    levels = torch.tensor([3, 1999])
    moved = scheduler.add_noise(x, noise, levels)
    sigmas = scheduler.discrete_sigmas[levels].reshape(-1, *(1,) * (len(shape) - 1))
    close(moved, x + sigmas * noise)
    close(scheduler.add_noise(x, noise, (levels.float() + 0.5) / 1999.0), moved)


def test_a_single_step_goes_from_the_largest_level_to_none():
    """With the score of a point mass at 1 it lands there; diffusers' own hardly moves."""
    x = 50.0 * torch.randn(4, 3, generator=seeded())
    means = {}
    for single in (False, True):
        scheduler = ScoreSdeVeScheduler(sigma_max=50.0, single_step=single, rebuild_sigmas=True)
        scheduler.set_timesteps(1)
        score = (1.0 - x) / 50.0**2
        means[single] = scheduler.step_pred(score, scheduler.timesteps[0], x).prev_sample_mean
    close(means[True], torch.ones_like(x))
    close(means[False], x, rtol=1e-3, atol=1e-3)


def test_a_zero_score_leaves_the_sample():
    x = torch.ones(2, 3)
    assert torch.equal(ScoreSdeVeScheduler().step_correct(torch.zeros(2, 3), x).prev_sample, x)


# VP and sub-VP beyond diffusers.


@pytest.mark.parametrize(
    ("cls", "sde"), [(ScoreSdeVpScheduler, sp.VPSDE), (ScoreSdeSubVpScheduler, sp.SubVPSDE)]
)
def test_steps_are_those_of_the_solvers(cls, sde):
    scheduler, forward = cls(beta_max=10.0), sde(beta_max=10.0)
    scheduler.set_timesteps(100)
    x, output = pair((4, 3), dtype=torch.float64)
    noise = torch.randn(4, 3, dtype=torch.float64, generator=seeded(5))

    class Fixed(sp.Silence):
        def normal(self, like):
            return noise

    reverse = sp.ReverseSDE(forward, sp.FromNoise(lambda x, t: output, forward))
    by = sp.solver("song/euler-maruyama", reference_steps=100)
    t = float(scheduler.timesteps[30])
    expected = by.integrate(reverse, x, t, t - 0.01, sp.Run(Fixed()))
    close(scheduler.step_pred(output, x, t, noise=noise)[0], expected)
    corrector = sp.solver("song/langevin", batch_mean=True, reference_steps=100)
    drawn = torch.randn(4, 3, generator=seeded(), dtype=torch.float64)
    noise = drawn
    expected = corrector.correct(reverse, x, t, sp.Run(Fixed()))
    close(scheduler.step_correct(output, t, x, seeded()).prev_sample, expected)


@pytest.mark.parametrize(
    ("cls", "sde"), [(ScoreSdeVpScheduler, sp.VPSDE), (ScoreSdeSubVpScheduler, sp.SubVPSDE)]
)
def test_data_with_noise_have_the_marginal(cls, sde):
    x, noise = pair((2, 3), dtype=torch.float64)
    t = torch.tensor([0.2, 0.9], dtype=torch.float64)
    expected = sde().alpha(t)[:, None] * x + sde().sigma(t)[:, None] * noise
    close(cls().add_noise(x, noise, t), expected)


def test_a_ladder_is_a_sound_sde():
    levels = torch.tensor([0.1, 0.5, 2.0])
    ladder = Ladder(levels)
    ladder.validate()
    close(ladder.sigma(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)), levels.double())
    assert ladder.transition(1.0, 2.0) == (1.0, pytest.approx(0.24))
    assert ladder.transition(0.0, 1.0) == (1.0, pytest.approx(0.01))
    assert ladder.transition(1.0, 3.0) == (1.0, pytest.approx(3.99))


# Bad input.


def test_bad_input():
    x, score = pair((2, 3))
    scheduler = ScoreSdeVeScheduler()
    with pytest.raises(sp.ArgumentError, match="one for each of the 2 rows"):
        scheduler.step_pred(score, 0.5, x, [seeded()] * 3)
    vp = ScoreSdeVpScheduler()
    vp.set_timesteps(100)
    with pytest.raises(sp.ArgumentError, match="one time for the batch"):
        vp.step_correct(score, torch.tensor([0.1, 0.2]), x)
    with pytest.raises(sp.ArgumentError, match="sigma_min"):
        ScoreSdeVeScheduler(sigma_min=-1.0)
    for t in (-0.5, 1.5):
        with pytest.raises(sp.ArgumentError, match="timestep"):
            scheduler.step_pred(score, t, x)
    for t in (torch.full((3,), 0.5), torch.zeros(0)):
        with pytest.raises(sp.ArgumentError, match="one for each of 2 rows"):
            scheduler.step_pred(score, t, x)
    for t in (0.0, 1.5):
        with pytest.raises(sp.ArgumentError, match=r"in \(0, 1\]"):
            vp.step_pred(score, x, t)
    scheduler.discrete_sigmas = torch.tensor([1.0, 0.5])
    with pytest.raises(sp.ArgumentError, match="rising"):
        scheduler.step_pred(score, 0.0, x)
