"""Shapes and coordinates: what treats one of them in a way of its own is seen."""

from __future__ import annotations

import math

import pytest

import sdeplug as sp
from sdeplug.testing import CheckFailed, NotApplicable
from sdeplug.testing.exact.shapes import SHAPES, check_coordinates, check_other_shapes
from sdeplug.testing.mutants import RIGHT, spoil
from sdeplug.testing.mutants.heard import Scaled
from sdeplug.testing.mutants.joined import When
from sdeplug.testing.mutants.right import EulerMaruyama, Langevin, RowLangevin
from sdeplug.testing.mutants.shaped import ChannelsCorrelated, ScoreTransposed, TailSmall
from sdeplug.testing.mutants.when import images, sequences, volumes


def large(step):
    """for images of at least sixteen pixels a side."""
    return step.x.ndim == 4 and step.x.shape[-1] >= 16


def turned(step):
    """for images that are taller than wide."""
    return step.x.ndim == 4 and step.x.shape[-2] > step.x.shape[-1]


def test_the_shapes_hold_as_many_numbers_and_differ():
    assert len(set(SHAPES)) == len(SHAPES)
    assert {len(shape) for shape in SHAPES} == {2, 3, 4}
    assert {math.prod(shape) for shape in SHAPES} == {24}


@pytest.mark.parametrize("solver", [*RIGHT, sp.solver("adaptive/row-adams")], ids=repr)
def test_right_solvers_pass(solver):
    check_other_shapes(solver)


@pytest.mark.parametrize("solver", [EulerMaruyama(), Langevin(), RowLangevin()], ids=repr)
@pytest.mark.parametrize(
    "defect",
    [
        ChannelsCorrelated(0.01),
        ScoreTransposed(),
        *(When(of, Scaled(1.0001)) for of in (images, sequences, volumes, large, turned)),
    ],
)
def test_a_ten_thousandth_in_one_shape_is_seen(solver, defect):
    with pytest.raises(CheckFailed, match="came out otherwise in the shape"):
        check_other_shapes(spoil(solver, defect))


@pytest.mark.parametrize("solver", [EulerMaruyama(), Langevin()], ids=repr)
def test_a_coordinate_of_its_own_is_seen_in_any_shape(solver):
    wrong = spoil(solver, TailSmall())
    check_other_shapes(wrong)  # the same numbers, wherever they are
    with pytest.raises(CheckFailed, match="more than rotate what comes out"):
        check_coordinates(wrong)


def test_rotations_are_for_what_is_affine():
    with pytest.raises(NotApplicable, match="not affine"):
        check_coordinates(RowLangevin())
