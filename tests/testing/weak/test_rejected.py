"""After a step that is rejected the noise is a part of the same: what is not, is seen at once."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from sdeplug import VPSDE, Claims, Corrected
from sdeplug.testing import CheckFailed, NotApplicable
from sdeplug.testing.exact import places
from sdeplug.testing.mutants import spoil
from sdeplug.testing.mutants.promises import Promise
from sdeplug.testing.mutants.right import EulerMaruyama, Langevin
from sdeplug.testing.mutants.right_kinds import AdaptiveHeun
from sdeplug.testing.mutants.right_steps import RowHeun
from sdeplug.testing.mutants.tolerances import NoiseDrawnAnew, NoiseLost, NoiseRescaled
from sdeplug.testing.weak import check_rejected_steps
from sdeplug.testing.weak.balanced import MOST, Many
from sdeplug.testing.weak.spans import at_once, columns
from sdeplug_adaptive import RowAdams, RowImprovedEuler
from sdeplug_torchsde import AdaptiveHeun as BatchHeun
from sdeplug_torchsde import AdaptiveSRK


def test_signs_of_many_draws_are_balanced_in_any_three_columns():
    noise = Many(1, 9, [()])
    z = noise.normal(torch.zeros(noise.repeats, 9, dtype=torch.float64))
    for count in (1, 2, 3):
        for chosen in itertools.combinations(z.unbind(1), count):
            assert float(torch.stack(chosen).prod(0).sum()) == 0.0


def test_the_first_numbers_have_the_sizes_that_are_given_with_all_signs():
    noise = Many(2, 8, [(0.5, 0.5), (0.5, 1.5), (1.5, 0.5), (1.5, 1.5)])
    z = noise.normal(torch.zeros(2 * noise.repeats, 8, dtype=torch.float64))
    assert torch.equal(z[: noise.repeats], z[noise.repeats :])
    assert len({tuple(row) for row in z[:, :3].tolist()}) == 4 * 8
    assert torch.equal(z[:, 2:].abs(), torch.ones_like(z[:, 2:]))
    variances = torch.diag(torch.tensor([1.25] * 2 + [1.0] * 6, dtype=torch.float64))
    assert torch.allclose(z.T @ z / len(z), variances, atol=1e-12)


def test_more_draws_than_there_are_columns_are_told():
    with pytest.raises(NotApplicable, match="more than was counted"):
        Many(4, 2, [()]).normal(torch.zeros(16, 3))


@pytest.mark.parametrize(
    "solver",
    [
        RowHeun(),
        RowHeun(1e-5),
        RowAdams(),
        RowImprovedEuler(),
        BatchHeun(),
        BatchHeun(1e-6, 1e-6),
        AdaptiveSRK(),
    ],
    ids=repr,
)
def test_right_solvers_stay_however_tight_their_tolerance(solver):
    assert check_rejected_steps(solver).text.endswith(("e-05 a nat", "e-06 a nat", "e-07 a nat"))


@pytest.mark.parametrize("solver", [RowHeun(1e-5), BatchHeun(1e-6, 1e-6)], ids=repr)
def test_few_numbers_are_drawn_over_a_short_span(solver):
    (place,) = places(VPSDE(), 1.0, 0.0)
    end = place.ends[0]
    assert columns(solver, place, end, None) > MOST
    assert columns(at_once(solver, place, end), place, end, None) <= 4


@dataclass(frozen=True)
class Published(RowImprovedEuler):
    """The published rule, as if it were consistent."""

    keep_noise: bool = False
    claims = Claims(affine=False)


class InBatches(RowHeun):
    """One step for all rows: none goes on alone."""

    claims = replace(RowHeun.claims, couples_batch=True)

    def _tried(self, reverse, x, end, walk):
        new, error = super()._tried(reverse, x, end, walk)
        return new, np.full_like(error, np.sqrt((error**2).mean()))


@dataclass(frozen=True)
class RightInBatches(InBatches):
    """With the noise that it has seen."""


@dataclass(frozen=True)
class AnewInBatches(InBatches, NoiseDrawnAnew):
    """A few rows have too little noise by it; in many, what is rejected says little of any."""


def test_noise_that_is_not_kept_is_seen_where_rows_share_their_steps():
    assert "50% of all rows" in check_rejected_steps(RightInBatches()).text
    with pytest.raises(CheckFailed, match=r"of mode \d is off by -"):
        check_rejected_steps(AnewInBatches())


@pytest.mark.parametrize(
    "solver", [NoiseDrawnAnew(), NoiseRescaled(), NoiseLost(), Published()], ids=repr
)
def test_noise_that_is_not_kept_is_seen(solver):
    with pytest.raises(CheckFailed, match=r"go another way, and their law .* of mode \d is off"):
        check_rejected_steps(solver)


@dataclass(frozen=True)
class Deaf(RowHeun):
    """Its first step is always taken: nothing is ever rejected."""

    def _tried(self, reverse, x, end, walk):
        new, error = super()._tried(reverse, x, end, walk)
        return new, 0.0 * error


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        (Langevin(), "a corrector"),
        (EulerMaruyama(), "no tolerance"),
        (spoil(RowHeun(), Promise("floor", 0.01)), "a bias that stays"),
        (AdaptiveHeun(), "no noise"),
        (Corrected(RowHeun(), Langevin()), "a bias that stays"),
        (Deaf(), "rejects no step"),
    ],
    ids=["corrector", "fixed", "floor", "flow", "corrected", "deaf"],
)
def test_others_are_not_asked(solver, words):
    with pytest.raises(NotApplicable, match=words):
        check_rejected_steps(solver)
