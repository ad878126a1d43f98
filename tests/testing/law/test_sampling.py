"""Law by sampling: right solvers pass, wrong ones fail, seeds do not matter."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
import torch

from sdeplug import (
    VESDE,
    VPSDE,
    Claims,
    Corrected,
    Corrector,
    Denoise,
    LogSNR,
    NoiseSource,
    OnGrid,
    Run,
    SharedNoise,
    Uniform,
)
from sdeplug.testing import (
    Cell,
    CellVerdict,
    CheckFailed,
    NotApplicable,
    energy_distance,
    equivalence_bound,
    sampling_cells,
    sliced_w2,
    specimens,
)
from sdeplug.testing.law import check_law_by_sampling
from sdeplug.testing.law.cells import wide
from sdeplug.testing.mutants import spoil
from sdeplug.testing.mutants.heard import Scaled
from sdeplug.testing.mutants.right_kinds import AdaptiveHeun
from sdeplug.testing.mutants.right_steps import RowHeun
from sdeplug_adaptive import RowAdams
from sdeplug_ode import RK4, Euler, Heun
from sdeplug_song import (
    Ancestral,
    EulerMaruyama,
    Hold,
    Langevin,
)

SDE = VPSDE()


@pytest.mark.slow  # solvers of the song plugin, correctors too, pass it in its own tests
@pytest.mark.parametrize(
    "solver",
    [
        pytest.param(RK4(), marks=pytest.mark.thorough),
        OnGrid(Heun(), LogSNR(40)),
    ],
    ids=repr,
)
def test_right_solvers_pass(solver):
    finding = check_law_by_sampling(solver)
    assert "let pass" in finding.text
    assert "floor" in finding.text


class Again(NoiseSource):
    """The same draw, again and again."""

    def __init__(self, source):
        self.source, self.first = source, None

    def normal(self, like):
        if self.first is None or self.first.shape != like.shape:
            self.first = self.source.normal(like)
        return self.first


class Paired(NoiseSource):
    """Row 2i + 1 gets the noise of row 2i, negated."""

    def __init__(self, source):
        self.source = source

    def normal(self, like):
        z = self.source.normal(like)
        z[1::2] = -z[: len(z) // 2 * 2 : 2]
        return z


@dataclass(frozen=True)
class Heard(Ancestral):
    """Ancestral sampling that does something to its noise."""

    claims = Claims(order=1, evaluations=1)
    through: type = Paired

    def begin(self, reverse, run):
        noisy = replace(run, noise=self.through(run.noise))
        return lambda x, t, s: Ancestral.integrate(self, reverse, x, t, s, noisy)


@dataclass(frozen=True)
class Narrow(Ancestral):
    """Claims to be affine and is, but for what lies far out: one mode is never reached."""

    claims = Claims(order=1, evaluations=1)

    def integrate(self, reverse, x, t, s, run):
        flat = x.flatten(1)
        mirrored = torch.where(flat[:, :1] < -0.85, -flat, flat) if t < 0.1 else flat
        return super().integrate(reverse, mirrored.reshape(x.shape), t, s, run)


@dataclass(frozen=True)
class Loud(EulerMaruyama):
    """A quarter too much noise."""

    claims = Claims(order=1, evaluations=1)

    def integrate(self, reverse, x, t, s, run):
        noise = replace(run, noise=_Louder(run.noise))
        return super().integrate(reverse, x, t, s, noise)


class _Louder(NoiseSource):
    def __init__(self, source):
        self.source = source

    def normal(self, like):
        return 1.25 * self.source.normal(like)


@dataclass(frozen=True)
class Unsteady(Corrector):
    """A Langevin step with a noise that is too small by a factor."""

    claims = Claims(affine=False, floor=0.02)
    factor: float = 1.0

    def correct(self, reverse, x, t, run):
        length = 2.0 * (0.1 * reverse.linear.at(t).sigma) ** 2
        noise = self.factor * math.sqrt(2.0 * length) * run.noise.normal(x)
        return x + length * reverse.score(x, t) + noise


@pytest.mark.slow
@pytest.mark.parametrize(
    "solver",
    [
        pytest.param(Heard(through=Again), marks=pytest.mark.thorough),
        pytest.param(Heard(through=Paired), marks=pytest.mark.thorough),
        pytest.param(Narrow(), marks=pytest.mark.thorough),
        pytest.param(Loud(), marks=pytest.mark.thorough),
        Unsteady(0.9),
    ],
    ids=["same noise", "antithetic", "a mode lost", "loud", "quiet"],
)
def test_wrong_solvers_fail(solver):
    with pytest.raises(CheckFailed, match="statistic"):
        check_law_by_sampling(solver)


@pytest.mark.slow
def test_a_corrector_with_the_right_noise_passes():
    check_law_by_sampling(Unsteady(1.0))


@pytest.mark.parametrize(
    ("solver", "why"),
    [
        (Hold(), "no consistency"),
        (Denoise(), "posterior mean"),
        (EulerMaruyama(reference_steps=100), "not adaptive"),
        (Langevin(snr=1.5), "no consistency"),
        (Langevin(snr=0.5), "above 15%"),
        (OnGrid(Euler(), Uniform(3)), "above 15%"),
    ],
    ids=["hold", "denoise", "reference", "diverging", "large floor", "coarse"],
)
def test_where_it_does_not_apply_it_says_why(solver, why):
    with pytest.raises(NotApplicable, match=why):
        check_law_by_sampling(solver)


def exact_cell(number=0, rows=500, tau=0.0):
    specimen = replace(specimens()[number], rows=rows)
    return Cell(specimen, SDE, lambda x, run: x, SDE.eps, SDE.eps, tau, "exact")


def test_a_cell_is_repeatable_and_another_seed_is_another_experiment():
    cell = exact_cell()
    assert torch.equal(cell.samples(5), cell.samples(5))
    assert cell.pvalues(5) == cell.pvalues(5)
    assert cell.pvalues(5) != cell.pvalues(6)
    assert len(cell.samples(5, 70)) == 70


def test_stages_come_one_after_the_other():
    rows = []

    def carry(factor):
        def broken(x, run):
            rows.append(len(x))
            return factor * x

        return broken

    cell = replace(exact_cell(), carry=carry(1.03))
    assert cell.verdict(0).stages == 2
    assert rows == [500, 2000]
    rows.clear()
    hopeless = replace(cell, carry=carry(2.0))
    assert hopeless.verdict(0).stages == 1
    assert rows == [500]
    rows.clear()
    verdict = replace(cell, finer=exact_cell()).verdict(0)
    assert verdict.stages == 3
    assert verdict.passed
    assert rows == [500, 2000]
    finest = exact_cell()
    chain = replace(hopeless, finer=replace(hopeless, finer=finest))
    assert chain.verdict(0).stages == 4
    assert chain.verdict(0).passed
    assert [chain.at_stage(number) for number in (1, 2)] == [chain, chain]
    assert [chain.at_stage(number) for number in (3, 4)] == [chain.finer, finest]
    assert exact_cell().verdict(0).stages == 1


def test_tolerances_are_made_tighter_three_times_where_samples_are_off():
    cell = next(iter(sampling_cells(AdaptiveHeun(tolerance=0.064))))
    labels = [cell.at_stage(number).label.split("=")[-1] for number in (3, 4, 5, 6)]
    assert labels == ["0.016)", "0.004)", "0.001)", "0.001)"]
    assert all(cell.at_stage(number).tau == cell.tau for number in (3, 4, 5))


def test_a_verdict_is_the_smallest_pvalue_times_their_number():
    verdict = CellVerdict.of({"a": 0.5, "b": 2e-4, "c": 1.0})
    assert verdict == CellVerdict("b", pytest.approx(6e-4))
    assert not verdict.passed
    assert CellVerdict.of({"a": 0.5, "b": 0.9}).pvalue == 1.0


@pytest.mark.parametrize("number", range(len(specimens())), ids=lambda n: specimens()[n].name)
def test_exact_draws_of_every_target_pass(number):
    assert exact_cell(number, 300).verdict(1).passed


def test_bounds():
    ring, points = specimens()[0], specimens()[2]
    by = {n: OnGrid(EulerMaruyama(), LogSNR(n)) for n in (128, 256)}
    coarse, fine = (equivalence_bound(by[n], ring, SDE) for n in (128, 256))
    assert coarse == pytest.approx(2.0 * fine, rel=0.1)
    assert equivalence_bound(by[256], points, SDE) > fine
    assert equivalence_bound(OnGrid(RK4(), LogSNR(64)), ring, SDE) == 0.002
    corrected = OnGrid(Corrected(EulerMaruyama(), Langevin()), LogSNR(256))
    assert equivalence_bound(corrected, ring, SDE) == pytest.approx(fine + Langevin().claims.floor)


def test_cells_cover_targets_sdes_and_the_flow():
    known = [each.name for each in specimens() if each.rows_if_known]
    assert len(known) >= 2
    cells = list(sampling_cells(EulerMaruyama()))
    assert {cell.specimen.name for cell in cells} == {*known}
    unknown = sampling_cells(OnGrid(Corrected(EulerMaruyama(), Langevin()), LogSNR(300)))
    assert {cell.specimen.name for cell in unknown} > {*known}
    assert {type(cell.sde) for cell in cells} == {VPSDE, VESDE}
    assert any("stochasticity 0" in cell.label for cell in cells)
    assert all(cell.finer is not None and cell.tau <= 0.15 for cell in cells)
    assert all(cell.finer is None for cell in sampling_cells(OnGrid(Heun(), LogSNR(40))))


def test_distances_see_a_shift_and_have_a_floor():
    x, y, z = (SharedNoise(k).normal(torch.empty(2000, 2, dtype=torch.float64)) for k in range(3))
    shifted = x + torch.tensor([0.5, 0.0], dtype=torch.float64)
    noise = SharedNoise(4)
    assert sliced_w2(shifted, y, noise) == pytest.approx(0.5 / math.sqrt(2.0), rel=0.2)
    assert sliced_w2(z, y, SharedNoise(4)) < 0.1
    # For normal laws a small shift by d in the plane has energy distance sqrt(pi) / 4 d^2.
    assert energy_distance(shifted, y) == pytest.approx(0.25 * math.sqrt(math.pi) / 4.0, rel=0.3)
    assert abs(energy_distance(z, y)) < 0.01


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("tau", [0.0, 0.03])
def test_false_alarms_over_a_thousand_seeds(tau):
    from scipy import stats

    trials, cell = 1000, exact_cell(0, 200, tau)
    alarms = [CellVerdict.of(cell.pvalues(3 * seed)).pvalue for seed in range(trials)]
    for rate in (0.05, 1e-3):
        rejected = sum(each < rate for each in alarms)
        assert stats.binom.sf(rejected - 1, trials, rate) > 1e-6
    assert all(cell.verdict(seed).passed for seed in range(trials) if alarms[seed] < 1e-3)


@pytest.mark.thorough
@pytest.mark.slow
def test_false_alarms_of_a_solver_that_is_exact_for_a_point():
    from sdeplug import ReverseSDE
    from sdeplug.targets import Empirical
    from sdeplug.testing import Specimen

    point = Empirical(torch.linspace(-1.0, 1.0, 16)[None])
    reverse, by = ReverseSDE(SDE, point.score(SDE)), OnGrid(Ancestral(), LogSNR(6))

    def carry(x, run: Run):
        return by.integrate(reverse, x, SDE.T, SDE.eps, run)

    specimen = Specimen("a point", point, 200, 0.0)
    cell = Cell(specimen, SDE, carry, SDE.T, SDE.eps, 0.0, "ancestral")
    alarms = [CellVerdict.of(cell.pvalues(seed)).pvalue for seed in range(500)]
    assert sum(each < 1e-3 for each in alarms) <= 6  # 1.0e-6 of all sets of seeds have more
    assert all(cell.verdict(seed).passed for seed in range(0, 500, 50))


def spread_of(solver):
    """The cell with very many numbers, where there is one."""
    return [cell for cell in sampling_cells(solver) if cell.specimen is wide()]


def test_noise_in_steps_of_each_row_has_a_cell_of_very_many_numbers():
    (cell,) = spread_of(RowHeun(0.2))
    assert cell.tau < 0.01
    assert "tolerance=0.05" in cell.finer.label
    assert cell.finer.tau == cell.tau
    assert cell.specimen.rows * cell.specimen.target.means.numel() == 655_360
    for other in (AdaptiveHeun(), EulerMaruyama(), Unsteady()):
        assert not spread_of(other)


@pytest.mark.slow
@pytest.mark.thorough
def test_one_per_cent_of_its_noise_is_seen():
    (cell,) = spread_of(spoil(RowAdams(), Scaled(0.99)))
    assert not CellVerdict.of(cell.pvalues(0)).passed
