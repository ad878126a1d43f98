"""Many sweeps on mixtures: right correctors leave them, and one per cent beyond a floor is seen."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
import torch

from sdeplug import VPSDE, Claims, Corrector, ReverseSDE, Run, SharedNoise
from sdeplug.targets import eight_gaussians
from sdeplug.testing import CheckFailed, NotApplicable
from sdeplug.testing.mutants import spoil
from sdeplug.testing.mutants.heard import Scaled
from sdeplug.testing.mutants.moves import AlwaysAccepted, ScoreOfTheStart, TriesAgain
from sdeplug.testing.mutants.right import EulerMaruyama, Langevin, RowLangevin
from sdeplug.testing.mutants.right_kinds import Underdamped
from sdeplug.testing.mutants.right_metropolis import AdjustedLangevin, Hamiltonian, RandomWalk
from sdeplug.testing.mutants.seen import ScoreTimes
from sdeplug.testing.mutants.unsaid import Curved
from sdeplug.testing.weak import sweeps
from sdeplug.testing.weak.modes import of_modes, three_modes
from sdeplug.testing.weak.ring import of_ring, told_of_ring
from sdeplug.testing.weak.scattered import Scattered, scattered
from sdeplug.testing.weak.sweeps import check_mixture_invariance
from sdeplug.testing.weak.whole import of_whole, told_of_whole
from sdeplug_song import Langevin as SongLangevin

SDE = VPSDE()
RING = eight_gaussians()


@dataclass(frozen=True)
class AtRest(Corrector):
    """Nothing is done."""

    claims = Claims(stochastic=False, evaluations=0)

    def correct(self, reverse, x, t, run):
        """x."""
        return x


@dataclass(frozen=True)
class ForSome(Langevin):
    """Noise for the first half of the rows."""

    def _moved(self, reverse, x, t, length, noise):
        half = len(x) // 2
        return torch.cat((super()._moved(reverse, x[:half], t, length, noise), x[half:]))


@dataclass(frozen=True)
class Exploding(Langevin):
    """What comes out is no number."""

    def _moved(self, reverse, x, t, length, noise):
        return math.inf * super()._moved(reverse, x, t, length, noise)


@dataclass(frozen=True)
class Power(RandomWalk):
    """It accepts with a power of the right probability."""

    power: float = 1.03

    def _kept(self, here, there, log_odds, noise):
        return super()._kept(here, there, self.power * log_odds, noise)


@dataclass(frozen=True)
class LoudWith(AdjustedLangevin):
    """Noise 2 % too large, where there is much or little of it beside the data."""

    much: bool = True

    def _proposed(self, reverse, here, t, noise):
        wrong = (reverse.linear.at(t).log_snr < -1.0) if self.much else (
            reverse.linear.at(t).log_snr > 4.0
        )  # fmt: skip
        return super()._proposed(reverse, here, t, Scaled(1.02).heard(noise) if wrong else noise)


@dataclass(frozen=True)
class OfTheBatch(SongLangevin):
    """One step for the whole batch, with a floor."""

    floor: float = 0.05

    @property
    def claims(self):
        """With the floor."""
        return replace(super().claims, floor=self.floor)


@pytest.mark.parametrize("t", [0.1, 0.4])
def test_rows_are_a_fair_picture_of_p_t(t):
    x, noise = scattered(three_modes(), t, SDE, 4, 0)
    mean, covariance = three_modes().moments(t, SDE)
    assert torch.allclose(x.mean(0), mean, atol=3e-4)
    assert torch.allclose(x.T.cov(correction=0), covariance, atol=2e-3)
    assert float(of_modes(x, t, SDE).mean(0).abs().max()) < 1e-3
    z = torch.cat((noise.normal(x), noise.normal(x)), 1)
    drawn = torch.cat((x, z), 1).T.corrcoef()
    assert torch.allclose(drawn[2:], torch.eye(6, dtype=torch.float64)[2:], atol=2e-3)


def test_rows_do_not_depend_on_the_defaults_of_torch():
    wanted, _ = scattered(RING, 0.1, SDE, 2, 0)
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float16)
        torch.set_default_device("meta")
        x, _ = scattered(RING, 0.1, SDE, 2, 0)
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(before)
    assert torch.equal(x, wanted)


def test_where_many_numbers_are_drawn_there_are_fewer_rows():
    counts = [len(scattered(RING, 0.1, SDE, columns, 0)[0]) for columns in (2, 40, 5000)]
    assert counts == [65_536, 16_384, 1024]
    with pytest.raises(NotApplicable, match="21198 are the most"):
        scattered(RING, 0.1, SDE, 30_000, 0)


def test_other_draws_than_were_made_are_told():
    noise = Scattered(torch.zeros(4, 2, dtype=torch.float64))
    with pytest.raises(NotApplicable, match="for some rows alone"):
        noise.normal(torch.zeros(3, 2))
    noise.normal(torch.zeros(4, 2))
    with pytest.raises(NotApplicable, match="for some rows alone"):
        noise.normal(torch.zeros(4, 1))


def test_an_error_of_one_per_cent_of_the_ring_is_one_of_its_kind():
    x, _ = scattered(RING, 0.1, SDE, 0, 0)
    radius = x.norm(dim=1, keepdim=True)
    mean, spread = radius.mean(), radius.std()
    assert float(of_ring(x, 0.1, SDE).mean(0).abs().max()) < 5e-4
    wider = x / radius * (mean + 1.01 * (radius - mean))
    farther = x / radius * (radius + 0.01 * spread)
    assert of_ring(wider, 0.1, SDE).mean(0)[:2].tolist() == pytest.approx([0.0, 0.01], abs=5e-4)
    assert of_ring(farther, 0.1, SDE).mean(0)[:2].tolist() == pytest.approx([0.01, 0.0], abs=5e-4)
    assert told_of_ring(1, -0.016) == "the spread of the radius is off by -1.6 %"


def test_an_error_of_one_per_cent_of_the_whole_is_one_of_its_kind():
    x, _ = scattered(three_modes(), 0.5, SDE, 0, 0)
    mean, covariance = three_modes().moments(0.5, SDE)
    spread = covariance.diagonal().sqrt()
    y = mean + torch.tensor((1.01, 1.0)) * (x - mean) + torch.tensor((0.0, 0.01)) * spread
    assert float(of_whole(x, 0.5, SDE).mean(0).abs().max()) < 2e-4
    told = of_whole(y, 0.5, SDE).mean(0)[:4].tolist()
    assert told == pytest.approx([0.0, 0.01, 0.01, 0.0], abs=3e-4)
    assert told_of_whole(2, 0.01).endswith("deviation of the first coordinate is off by +1 %")


@pytest.mark.slow
@pytest.mark.parametrize("corrector", [spoil(AdjustedLangevin(), Curved(0.2)), ScoreOfTheStart()])
def test_what_one_sweep_tells_of_many_is_what_many_do(corrector):
    """Radius and spread on the ring after forty sweeps of rows with noise of their own: 64 standard
    errors of 65,536 rows are below 0.3."""
    ground = next(iter(sweeps._grounds(corrector)))
    told = torch.stack([sweeps._errors(corrector, ground, 3, seed)[6:8] for seed in range(3)])
    x, _ = scattered(ground.target, ground.t, SDE, 0, 9)
    reverse, run = ReverseSDE(SDE, ground.target.score(SDE)), Run(SharedNoise(0))
    for _ in range(40):
        x = corrector.correct(reverse, x, ground.t, run)
    truth = of_ring(x, ground.t, SDE).mean(0)[:2]
    assert float(truth.abs().max()) > 0.05
    # Standard errors: 1 / 256 of the mean, 0.7 / 256 of the spread, and 2e-3; 5 sigma.
    assert torch.allclose(told.mean(0), truth, atol=5.0 * 4.4e-3)


@pytest.mark.parametrize(
    "corrector",
    [
        Langevin(),
        RowLangevin(),
        AdjustedLangevin(),
        Hamiltonian(),
        Underdamped(),
        AtRest(),
        OfTheBatch(batch_mean=True),
        Langevin(0.01),
        Langevin(0.9),
        SongLangevin(steps=3),
        pytest.param(RandomWalk(), marks=pytest.mark.slow),
    ],
    ids=repr,
)
def test_right_correctors_leave_mixtures_as_they_are(corrector):
    assert "at 5 places" in check_mixture_invariance(corrector).text


@pytest.mark.parametrize(
    ("corrector", "words"),
    [
        (spoil(Langevin(), Scaled(1.01)), "spread of the radius is off by .2"),
        (spoil(RowLangevin(), Scaled(1.02)), "spread of the radius is off by .3"),
        (spoil(Hamiltonian(), Scaled(1.01)), "spread of the radius"),
        (spoil(Hamiltonian(), ScoreTimes(0.98)), "spread of the radius"),
        (spoil(AdjustedLangevin(), Curved(0.05)), "the radius is off by .1"),
        (spoil(RowLangevin(), Curved(0.1)), "the radius is off by"),
        (spoil(Underdamped(), Scaled(1.02)), "of a ring"),
        (TriesAgain(size=1.0), "the radius is off by -5"),
        (AlwaysAccepted(), "spread of the radius is off by .4"),
        (replace(OfTheBatch(batch_mean=True), floor=0.02), "over the floor 0.02"),
        (LoudWith(much=True), "standard deviation of the .* coordinate|correlation"),
        (LoudWith(much=False), "of a ring .*VESDE"),
        (Exploding(), "not finite"),
        pytest.param(spoil(AdjustedLangevin(), Scaled(1.01)), "the radius", marks=pytest.mark.slow),
        pytest.param(Power(), "of the radius is off by -1", marks=pytest.mark.slow),
    ],
    ids=repr,
)
def test_one_per_cent_beyond_the_floor_is_seen(corrector, words):
    with pytest.raises(CheckFailed, match=words):
        check_mixture_invariance(corrector)


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        (EulerMaruyama(), "it is an integrator"),
        (SongLangevin(batch_mean=True), "claims no consistency"),
        (ForSome(), "for some rows alone"),
    ],
    ids=repr,
)
def test_others_are_judged_elsewhere(solver, words):
    with pytest.raises(NotApplicable, match=words):
        check_mixture_invariance(solver)


def test_what_chance_hides_is_said(monkeypatch):
    monkeypatch.setattr(sweeps, "_LOOKS", ((2, 0.0),))
    with pytest.raises(NotApplicable, match="chance hides what 256 sweeps do"):
        check_mixture_invariance(RandomWalk())


def test_what_is_within_the_floor_and_not_known_well_is_no_failure(monkeypatch):
    monkeypatch.setattr(sweeps, "_LOOKS", ((4, 0.01),))
    monkeypatch.setattr(sweeps, "_KNOWN", 1e-9)
    with pytest.raises(NotApplicable, match="chance hides"):
        check_mixture_invariance(Langevin(0.3))
