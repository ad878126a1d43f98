"""A seed is one stream: what was drawn before a state is never drawn again after it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from common import GaussianScore

from sdeplug import (
    VPSDE,
    Integrator,
    Leg,
    LogSNR,
    NoiseSource,
    OnGrid,
    PerSampleNoise,
    Pipeline,
    ReverseSDE,
    SharedNoise,
    StepError,
    Truth,
    solver,
)
from sdeplug.compare.cells import Cell
from sdeplug.compare.contenders import Entrant
from sdeplug.targets import eight_gaussians

SDE = VPSDE()
SEEDS = [3, [3, 1, 4, 1]]
SHAPE = (4, 2)


@dataclass(frozen=True)
class Draws(Integrator):
    """Keeps the numbers that it draws, and leaves x as it is."""

    count: int = 3
    kept: list = field(default_factory=list, compare=False)

    def integrate(self, reverse, x, t, s, run):
        self.kept.extend(run.noise.normal(x) for _ in range(self.count))
        return x


def drawn(seed, legs=1, **start) -> list[torch.Tensor]:
    """The numbers of a run, that of the prior among them if it has one."""
    by, events = Draws(), []
    times = (0.4, 0.2, 0.1)[:legs]
    pipeline = Pipeline(ReverseSDE(SDE, GaussianScore(SDE)), [Leg(to, by) for to in times])
    pipeline.sample(SHAPE, seed=seed, observers=events.append, **start)
    prior = [] if start else [events[0].x / SDE.prior_std]
    return prior + by.kept


def all_differ(*parts: list[torch.Tensor]) -> bool:
    """Whether no row of one draw is a row of another draw."""
    draws = [draw for part in parts for draw in part]
    return not any(
        torch.equal(one, other) for i, one in enumerate(draws) for other in draws[:i]
    )  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_from_a_state_draws_nothing_again_that_one_from_the_prior_drew(seed):
    x = torch.ones(SHAPE)
    first, rest = drawn(seed), drawn(seed, x=x, t=0.6)
    assert all_differ(first, rest, drawn(seed, x=x, t=0.5), drawn(seed, x=x))
    again = drawn(seed, x=x, t=0.6)
    assert all(torch.equal(one, other) for one, other in zip(rest, again, strict=True))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_legs_of_a_pipeline_share_no_draws(seed):
    assert len(drawn(seed, legs=3)) == 1 + 3 * 3
    assert all_differ(drawn(seed, legs=3))


@pytest.mark.parametrize(
    "source", [lambda: SharedNoise(3), lambda: PerSampleNoise(0, [3, 1, 4, 1])]
)
def test_perturb_and_a_run_share_no_draws(source):
    clean, t = torch.zeros(SHAPE), torch.tensor(0.6)
    noise = source()
    noisy = [SDE.perturb(clean, t, noise) / SDE.at(0.6).sigma for _ in range(2)]
    seed = 3 if isinstance(noise, SharedNoise) else [3, 1, 4, 1]
    assert all_differ(noisy, drawn(seed), drawn(seed, x=clean, t=0.6))
    assert torch.equal(SDE.perturb(clean, t, source()) / SDE.at(0.6).sigma, noisy[0])


def test_noise_that_is_given_goes_on_where_it_was():
    noise, by = SharedNoise(3), Draws()
    pipeline = Pipeline(ReverseSDE(SDE, GaussianScore(SDE)), Leg(0.4, by))
    x = pipeline.sample(SHAPE, noise=noise).x
    pipeline.sample(x=x, t=0.5, noise=noise)
    assert len(by.kept) == 6
    assert all_differ([x], by.kept)


def test_a_source_without_a_seed_is_its_own_stream():
    class Ones(NoiseSource):
        def normal(self, like):
            return torch.ones_like(like)

    noise = Ones()
    assert noise.stream("anything") is noise
    assert torch.equal(SDE.perturb(torch.zeros(SHAPE), torch.tensor(0.5), noise),
                       torch.full(SHAPE, SDE.at(0.5).sigma))  # fmt: skip


def test_the_streams_of_a_source_are_functions_of_seed_and_purpose():
    for make in (SharedNoise, lambda seed: PerSampleNoise(seed, range(4))):
        one, like = make(7), torch.empty(SHAPE)
        assert one.stream("a") is one.stream("a")
        first = one.stream("a").normal(like)
        assert torch.equal(make(7).stream("a").normal(like), first)
        others = (make(7).stream("b"), make(8).stream("a"), make(7), one.stream("a"))
        assert all_differ([first], [each.normal(like) for each in others])


def test_a_run_goes_on_after_a_step_error_as_its_recipe_says():
    """The whole law: had the noise been that of the first part, it would be wider."""
    score = GaussianScore(SDE)
    reverse = ReverseSDE(SDE, score)
    by = solver("torchsde/adaptive-srk", max_steps=6, rtol=1e-1, atol=1e-1)
    pipeline = Pipeline(reverse, Leg(SDE.eps, by))
    seen = []
    with pytest.raises(StepError) as caught:
        pipeline.sample(SHAPE, observers=lambda event: seen.append(event.x))
    error = caught.value
    assert 0.0 < error.last_t < SDE.T
    draws = Draws()
    Pipeline(reverse, Leg(SDE.eps, draws)).sample(x=error.last, t=error.last_t)
    assert all_differ(draws.kept, drawn(0))
    easier = Pipeline(reverse, Leg(SDE.eps, OnGrid(solver("song/euler-maruyama"), LogSNR(5))))
    assert easier.sample(x=error.last, t=error.last_t).t == SDE.eps


def test_a_second_half_with_the_same_seed_has_the_right_law():
    """Euler-Maruyama for N(0, 1/4): standard deviation 1.06 of the right one if noise repeats."""

    def score(x, t):
        a, s = SDE.log_alpha(t).exp(), SDE.sigma(t)
        return -x / (a * a * 0.25 + s * s)[:, None]

    def by(steps):
        return OnGrid(solver("song/euler-maruyama"), LogSNR(steps))

    reverse, shape = ReverseSDE(SDE, score), (100_000, 1)
    half = Pipeline(reverse, Leg(0.3, by(40))).sample(shape)
    out = Pipeline(reverse, Leg(SDE.eps, by(40))).sample(x=half.x, t=half.t)
    whole = Pipeline(reverse, (Leg(0.3, by(40)), Leg(SDE.eps, by(40)))).sample(shape)
    # Each deviation has a standard error of 0.22 %; both have the same bias of the steps.
    assert float(out.x.std() / whole.x.std()) == pytest.approx(1.0, abs=0.0125)


def test_restart_draws_afresh_each_time_it_goes_back():
    class Listens(SharedNoise):
        def __init__(self, seed):
            super().__init__(seed)
            self.heard = []

        def normal(self, like):
            self.heard.append(super().normal(like))
            return self.heard[-1]

    noise, data = Listens(0), eight_gaussians()
    reverse = ReverseSDE(SDE, data.score(SDE))
    Pipeline(reverse, Leg(SDE.eps, solver("exponential/restart"))).sample(SHAPE, noise=noise)
    assert len(noise.heard) > 2
    assert all_differ(noise.heard)


def test_compare_shares_no_draws_between_the_start_and_the_run():
    starts, by = [], Draws()
    data = eight_gaussians()
    pipeline = Pipeline(ReverseSDE(SDE, data.score(SDE)), Leg(SDE.eps, by))
    for seed in (0, 1):
        cell = Cell(Entrant("draws", None, pipeline), data, 0.0, seed, 64, ())
        cell.run()
        starts.append(Truth(data, SDE, SDE.T, seed).draws(64, "start").float())
    assert len(by.kept) == 2 * by.count
    assert all_differ(by.kept, starts)
