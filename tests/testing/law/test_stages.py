"""Law by sampling: cells, stages and false alarms."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from testing.law.unsteady import Unsteady

from sdeplug import (
    VESDE,
    VPSDE,
    Corrected,
    LogSNR,
    OnGrid,
    Run,
    SharedNoise,
)
from sdeplug.testing import (
    Cell,
    CellVerdict,
    NotApplicable,
    energy_distance,
    equivalence_bound,
    sampling_cells,
    sliced_w2,
    specimens,
)
from sdeplug.testing.law.cells import wide
from sdeplug.testing.mutants import spoil
from sdeplug.testing.mutants.heard import Scaled
from sdeplug.testing.mutants.right import RowLangevin
from sdeplug.testing.mutants.right_kinds import AdaptiveHeun
from sdeplug.testing.mutants.right_steps import RowHeun
from sdeplug.testing.mutants.seen import ScoreTimes
from sdeplug.testing.mutants.tolerances import NoiseDrawnAnew
from sdeplug_adaptive import RowAdams, RowDopri5
from sdeplug_ode import RK4, Heun
from sdeplug_song import (
    Ancestral,
    EulerMaruyama,
    Langevin,
)

SDE = VPSDE()


def exact_cell(number=0, rows=500, tau=0.0):
    specimen = replace(specimens()[number], rows=rows)
    return Cell(specimen, SDE, lambda x, run: x, SDE.eps, SDE.eps, tau, "exact")


def test_a_cell_is_repeatable_and_another_seed_is_another_experiment():
    cell = exact_cell()
    assert torch.equal(cell.samples(5), cell.samples(5))
    assert cell.pvalues(5) == cell.pvalues(5)
    assert cell.pvalues(5) != cell.pvalues(6)
    assert len(cell.samples(5, 70)) == 70


def test_many_seeds_are_asked_in_one_and_stay_apart():
    cell, seeds = exact_cell(), (4, 2, 9)
    verdicts = cell.first_stages(seeds)
    assert len({each.pvalue for each in verdicts}) == 3
    assert verdicts == cell.first_stages(seeds)
    assert all(each.passed for each in verdicts)
    assert cell.first_stages((4,)) == [CellVerdict.of(cell.pvalues(12))]

    def spoilt(x, run):
        """All rows of the second experiment, and one of the third."""
        x = x.clone()
        x[500:1000] *= 1.03
        x[1200] = math.nan
        return x

    wrong = replace(cell, carry=spoilt).first_stages(seeds)
    assert [each.passed for each in wrong] == [True, False, False]
    assert (cell.after(wrong[1], 2).stages, cell.after(wrong[1], 2).passed) == (2, True)
    assert cell.after(wrong[2], 9) is wrong[2]  # no doubt about it


def test_a_cell_that_is_put_elsewhere_takes_its_finer_ones_along():
    cell = replace(exact_cell(), finer=replace(exact_cell(), finer=exact_cell()))
    moved = cell.on("meta")
    assert [moved.at_stage(number).device for number in (1, 3, 4)] == 3 * ["meta"]
    assert moved.on("cpu") == cell


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
    rows.clear()
    unsure = replace(hopeless, finer=replace(hopeless, finer=cell)).verdict(0)
    assert (unsure.stages, unsure.passed) == (4, False)
    assert rows == [500, 500, 500, 2000]  # the last grid is asked twice, as the first would be
    finest = exact_cell()
    chain = replace(hopeless, finer=replace(hopeless, finer=finest))
    assert chain.verdict(0).stages == 4
    assert chain.verdict(0).passed
    assert [chain.at_stage(number) for number in (1, 2)] == [chain, chain]
    assert [chain.at_stage(number) for number in (3, 4)] == [chain.finer, finest]
    assert exact_cell().verdict(0).stages == 1


def test_tolerances_are_made_tighter_three_times_where_samples_are_off():
    cell = next(iter(sampling_cells(spoil(AdaptiveHeun(tolerance=0.064), ScoreTimes(1.1)))))
    labels = [cell.at_stage(number).label.split("tolerance=")[-1] for number in (3, 4, 5, 6)]
    assert [each[:5] for each in labels] == ["0.016", "0.004", "0.001", "0.001"]
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


def test_what_exact_checks_have_judged_is_sampled_on_some_targets():
    known = [each for each in specimens() if each.rows_if_known]
    assert len(known) >= 2
    cells = list(sampling_cells(EulerMaruyama()))
    assert [(cell.specimen.name, cell.specimen.rows) for cell in cells] == [
        (each.name, each.rows_if_known) for each in known
    ]
    assert all(cell.finer is not None and cell.tau <= 0.15 for cell in cells)


def test_cells_cover_targets_and_sdes_where_only_samples_tell():
    wrong = Corrected(EulerMaruyama(), spoil(Langevin(), Scaled(1.1)))
    cells = list(sampling_cells(OnGrid(wrong, LogSNR(300))))
    assert {cell.specimen for cell in cells} == {*specimens()}
    assert {type(cell.sde) for cell in cells} == {VPSDE, VESDE}
    assert any("stochasticity 0" in cell.label for cell in cells)
    assert all(cell.finer is None for cell in cells)


def test_what_leaves_the_flow_is_sampled_there_and_nothing_else():
    with pytest.raises(NotApplicable, match="check_flow"):
        list(sampling_cells(Heun()))
    wrong = spoil(RowDopri5(), ScoreTimes(1.05))
    assert {cell.specimen for cell in sampling_cells(wrong)} == {*specimens()}


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
    return [cell for cell in sampling_cells(solver) if cell.specimen.name == wide().name]


def test_noise_of_its_own_in_steps_of_each_row_has_a_cell_of_very_many_numbers():
    (cell,) = spread_of(NoiseDrawnAnew(0.2))
    assert cell.tau < 0.004
    assert "tolerance=0.05" in cell.finer.label
    assert cell.finer.tau == cell.tau
    assert cell.specimen.rows * cell.specimen.target.means.numel() == 491_520
    for other in (EulerMaruyama(), Unsteady(), RowHeun()):
        assert not spread_of(other)


def test_correctors_that_leave_mixtures_as_they_are_are_sampled_less():
    few, many = (list(sampling_cells(each)) for each in (RowLangevin(), Unsteady(0.9)))
    assert [cell.specimen for cell in few] == list(specimens()[:2])
    assert len(many) > 10
    assert max(cell.specimen.rows for cell in many) == 65_536


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.parametrize(
    "solver", [spoil(RowAdams(), Scaled(0.99)), spoil(RowHeun(), Scaled(1.01))], ids=repr
)
def test_one_per_cent_of_its_noise_is_seen(solver):
    (cell,) = spread_of(solver)
    assert not CellVerdict.of(cell.pvalues(0)).passed
