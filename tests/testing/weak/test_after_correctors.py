"""After a corrector: who goes on with what is no longer true is seen, who begins anew is not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

import sdeplug as sp
from sdeplug import Corrected, Integrator, LogSNR, OnGrid, option
from sdeplug.registry import registry
from sdeplug.testing import CheckFailed, NotApplicable
from sdeplug.testing.law.sampling import sampling_cells
from sdeplug.testing.mutants import spoil
from sdeplug.testing.mutants.chance import Changed, signs
from sdeplug.testing.mutants.flows import GoesOn
from sdeplug.testing.mutants.heard import Scaled
from sdeplug.testing.mutants.promises import Promise
from sdeplug.testing.mutants.right import AdamsBashforth, EulerMaruyama, Langevin, RowLangevin
from sdeplug.testing.mutants.right_kinds import AdaptiveHeun, Underdamped
from sdeplug.testing.mutants.right_metropolis import AdjustedLangevin, RandomWalk
from sdeplug.testing.mutants.right_random import RandomisedMidpoint
from sdeplug.testing.mutants.right_steps import OwnGrid, RowHeun
from sdeplug.testing.weak.after_correctors import check_steps_after_correctors

PLAIN = EulerMaruyama()
OURS = sorted(name for name in registry().solvers() if not name.startswith("foreign/"))
SAME = "a step after a corrector is the same as one without a past"


@dataclass(frozen=True)
class Growing(EulerMaruyama):
    """Steps after the first are off, by a part of their length in units of T, to a power."""

    part: float = option(1.0, help="of the state")
    power: int = option(2, help="of the length")

    def begin(self, reverse, run):
        later = []

        def advance(x, t, s):
            y = self.integrate(reverse, x, t, s, run)
            off = self.part * (t - s) ** self.power if later else 0.0
            later.append(t)
            return y * (1.0 + off)

        return advance


@pytest.mark.parametrize(
    "steps",
    [
        Corrected(PLAIN, Langevin()),
        Corrected(PLAIN, Langevin(), sweeps=3, before=True),
        Corrected(PLAIN, RowLangevin()),
        Corrected(AdamsBashforth(), RowLangevin()),
        Corrected(PLAIN, AdjustedLangevin()),
        Corrected(PLAIN, Underdamped()),
        Corrected(PLAIN, sp.solver("song/langevin", batch_mean=True)),
        Corrected(RandomisedMidpoint(), RandomWalk()),
        Corrected(RowHeun(), Langevin()),
        Corrected(AdaptiveHeun(), Langevin()),
        Corrected(OwnGrid(), Langevin()),
        Corrected(Corrected(PLAIN, Langevin()), RandomWalk()),
        OnGrid(Corrected(PLAIN, Langevin()), LogSNR(4)),
        OwnGrid(Corrected(PLAIN, Langevin())),
    ],
    ids=repr,
)
def test_what_begins_anew_is_the_same(steps):
    assert check_steps_after_correctors(steps).text == SAME


@pytest.mark.parametrize("name", OURS)
def test_all_that_come_with_sdeplug_keep_p_t_after_a_corrector(name):
    predictor = sp.solver(name)
    if isinstance(predictor, Integrator):
        check_steps_after_correctors(Corrected(predictor, Langevin()))


@pytest.mark.parametrize("solver", [AdamsBashforth(), sp.solver("exponential/adams")], ids=repr)
def test_what_remembers_is_asked_with_a_corrector_of_the_bench(solver):
    assert check_steps_after_correctors(solver).text == SAME


@pytest.mark.parametrize("solver", [GoesOn(), spoil(GoesOn(), Scaled(1.0)), Growing(0.05, 1)])
def test_and_seen_to_go_on(solver):
    with pytest.raises(CheckFailed, match="after a corrector a step leaves p_t"):
        check_steps_after_correctors(solver)


@pytest.mark.parametrize("corrector", [Langevin(), RowLangevin(), AdjustedLangevin()], ids=repr)
def test_velocities_of_before_are_seen(corrector):
    steps = Corrected(GoesOn(), corrector)
    for wrong in (steps, replace(steps, before=True), OnGrid(steps, LogSNR(5)), OwnGrid(steps)):
        with pytest.raises(
            CheckFailed, match=r"after .* a step leaves .* mode \d.*use it only if x"
        ):
            check_steps_after_correctors(wrong)


@pytest.mark.parametrize("corrector", [Langevin(), RowLangevin()], ids=repr)
def test_what_a_past_changes_is_measured_in_the_limit(corrector):
    """Off by the square of the step is nothing in the limit; by the step, it is what it is."""
    text = check_steps_after_correctors(Corrected(Growing(100.0), corrector)).text
    assert "beside one without a past" in text
    check_steps_after_correctors(Corrected(Growing(0.001, 1), corrector))
    with pytest.raises(CheckFailed, match="of mode"):
        check_steps_after_correctors(Corrected(Growing(0.05, 1), corrector))


@dataclass(frozen=True)
class Breaking(Growing):
    """Steps after the first are no numbers, on one forward SDE."""

    def begin(self, reverse, run):
        advance = super().begin(reverse, run)
        times = float("nan") if isinstance(reverse.forward, sp.VESDE) else 1.0
        return lambda x, t, s: advance(x, t, s) * times


def test_what_is_no_number_in_one_place_is_not_hidden_by_others():
    with pytest.raises(CheckFailed, match="not finite"):
        check_steps_after_correctors(Breaking())


def test_it_is_about_the_past_alone():
    """What a predictor leaves by itself, another check sees."""
    wrong = spoil(PLAIN, Scaled(1.05))
    assert check_steps_after_correctors(Corrected(wrong, Langevin())).text == SAME


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        (PLAIN, "remembers no earlier step"),
        (Langevin(), "it is a corrector"),
        (sp.Denoise(), "it is a corrector, or runs to 0 only"),
        (Corrected(PLAIN, Langevin(), sweeps=0), "remembers no earlier step"),
        (Corrected(spoil(Growing(), Changed(signs)), Langevin()), "does more than to add"),
        (Corrected(GoesOn(), sp.solver("song/langevin", batch_mean=True)), "hang together"),
        (spoil(GoesOn(), Promise("floor", 0.05)), "a bias that does not vanish"),
    ],
    ids=["plain", "corrector", "denoise", "no sweeps", "signs", "batch", "floor"],
)
def test_others_are_judged_elsewhere(solver, words):
    with pytest.raises(NotApplicable, match=words):
        check_steps_after_correctors(solver)


def test_what_is_known_part_by_part_is_sampled_on_some_targets():
    known = len({cell.specimen for cell in sampling_cells(PLAIN)})
    for steps in (Corrected(PLAIN, Langevin()), Corrected(PLAIN, RowLangevin())):
        assert len({cell.specimen for cell in sampling_cells(steps)}) == known == 2


@pytest.mark.parametrize(
    "steps",
    [
        Corrected(GoesOn(), Langevin()),
        Corrected(PLAIN, spoil(Langevin(), Scaled(1.1))),
        Corrected(spoil(PLAIN, Scaled(1.1)), Langevin()),
    ],
    ids=["past", "corrector", "predictor"],
)
def test_what_is_not_is_sampled_on_all_of_them(steps):
    assert len({cell.specimen for cell in sampling_cells(steps)}) >= 5
