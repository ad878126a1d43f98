"""Combinators: what they claim, need and refuse."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import pytest
from common import Cubic

from sdeplug import (
    At,
    Claims,
    Corrected,
    Corrector,
    Denoise,
    Integrator,
    Karras,
    OnGrid,
    PairingError,
    Uniform,
    solver,
)
from sdeplug.errors import ArgumentError
from sdeplug.sde import VESDE, VPSDE

EM = solver("song/euler-maruyama")
ANNEALED = solver("song/annealed-langevin")
NOTHING = Claims()


@dataclass(frozen=True)
class Claiming(Integrator):
    claims: Claims = NOTHING

    def integrate(self, reverse, x, t, s, run):
        return x


@dataclass(frozen=True)
class ClaimingCorrector(Corrector):
    claims: Claims = NOTHING

    def correct(self, reverse, x, t, run):
        return x


def test_a_grid_multiplies_the_evaluations():
    step = Claims(order=2, strong_order=1.5, stochastic=False, affine=False, evaluations=3)
    assert OnGrid(Claiming(step), Uniform(7)).claims == Claims(
        order=2, strong_order=1.5, stochastic=False, affine=False, evaluations=21
    )
    assert OnGrid(Claiming(step), At((0.5,))).claims.evaluations is None
    assert OnGrid(Claiming(Claims(order=1)), Uniform(7)).claims == Claims(order=1)


def test_a_predictor_corrector_claims_what_both_keep():
    predictor = Claims(order=2, strong_order=1, stochastic=False, evaluations=3, floor=0.1)
    corrector = Claims(affine=False, couples_batch=True, evaluations=2, floor=0.2, needs=VPSDE)
    both = Corrected(Claiming(predictor), ClaimingCorrector(corrector), sweeps=4).claims
    assert both == Claims(
        order=2, stochastic=True, affine=False, couples_batch=True, evaluations=11, floor=0.2,
        needs=VPSDE, randomised=True,
    )  # fmt: skip
    plain = Corrected(
        Claiming(Claims(stochastic=False)), ClaimingCorrector(Claims(stochastic=False))
    )
    assert plain.claims == Claims(stochastic=False)
    for claims in ((Claims(evaluations=1), Claims()), (Claims(), Claims(evaluations=1))):
        both = Corrected(Claiming(claims[0]), ClaimingCorrector(claims[1])).claims
        assert both.evaluations is None
    assert Corrected(Claiming(Claims(floor=0.3)), ClaimingCorrector()).claims.floor == 0.3


def test_needs_are_narrowed_or_refused_at_once():
    def pair(first, second):
        return Corrected(Claiming(Claims(needs=first)), ClaimingCorrector(Claims(needs=second)))

    assert pair(VPSDE, VPSDE).claims.needs is VPSDE
    assert pair(Cubic, Cubic.__base__).claims.needs is Cubic
    assert pair(Cubic.__base__, VESDE).claims.needs is VESDE
    with pytest.raises(PairingError, match=r"needs a VPSDE and .* a VESDE: no forward SDE is both"):
        pair(VPSDE, VESDE)


@pytest.mark.parametrize(
    "make",
    [
        lambda: OnGrid(ANNEALED, Uniform(3)),
        lambda: OnGrid(EM, 3),
        lambda: OnGrid(EM, Uniform(3), noiseless_last=1),
        lambda: OnGrid(Integrator, Uniform(3)),
        lambda: Corrected(ANNEALED, EM),
        lambda: Corrected(EM, EM),
        lambda: Corrected(EM, ANNEALED, sweeps=-1),
        lambda: Corrected(EM, ANNEALED, sweeps=1.0),
    ],
)
def test_parts_in_the_wrong_places_are_refused_at_once(make):
    with pytest.raises(ArgumentError):
        make()


@pytest.mark.parametrize(
    "value", [OnGrid(Corrected(EM, ANNEALED, 2), Karras(3), True), Denoise()], ids=repr
)
def test_combinators_are_values(value):
    copy = pickle.loads(pickle.dumps(value))
    assert copy == value
    assert hash(copy) == hash(value)
