"""Operators: adjoints, pseudo-inverses and singular values; measurements, and what they refuse."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from common import normal
from hypothesis import given, settings
from hypothesis import strategies as st

from sdeplug.conditioning import (
    Blur,
    Downsample,
    Grey,
    Mask,
    Matrix,
    Measurement,
    Operator,
    Pair,
    Spectral,
)  # fmt: skip
from sdeplug.errors import ArgumentError, PairingError

KNOWN = torch.arange(24).reshape(2, 3, 4) % 3 > 0
WEDGE = torch.tensor([[0.5, 0.3, 0.0], [0.2, 0.0, -0.1]])
LOW_RANK = normal(3, 2, seed=1) @ normal(2, 24, seed=2)
MATRIX = Matrix(normal(3, 24), (2, 3, 4))
OPERATORS = {
    "mask": (Mask(KNOWN), (2, 3, 4)),
    "grey": (Grey(), (3, 2, 2)),
    "grey-of-two": (Grey((0.3, -0.7)), (2, 5)),
    "downsample": (Downsample(2), (2, 4, 6)),
    "blur": (Blur(WEDGE), (2, 3, 5)),
    "blur-gaussian": (Blur.gaussian(0.4), (1, 5, 5)),
    "matrix": (MATRIX, (2, 3, 4)),
    "matrix-low-rank": (Matrix(LOW_RANK), (24,)),
    "pair": (Pair(MATRIX.forward, MATRIX.adjoint), (2, 3, 4)),
}
WITH_MODES = {name: each for name, each in OPERATORS.items() if isinstance(each[0], Spectral)}


def every(table):
    return pytest.mark.parametrize(("operator", "shape"), table.values(), ids=table)


def written_out(operator: Operator, shape: tuple[int, ...]) -> torch.Tensor:
    """The operator as a matrix, ``(M, N)``."""
    size = math.prod(shape)
    return operator.forward(torch.eye(size, dtype=torch.float64).reshape(size, *shape)).flatten(1).T


@every(OPERATORS)
@given(seed=st.integers(0, 2**31), rows=st.integers(1, 3))
@settings(max_examples=20)
def test_the_adjoint_is_that_of_the_map(operator, shape, seed, rows):
    x = normal(rows, *shape, seed=seed)
    y = normal(*operator.forward(x).shape, seed=seed + 1)
    left = (operator.forward(x) * y).flatten(1).sum(1)
    right = (x * operator.adjoint(y)).flatten(1).sum(1)
    torch.testing.assert_close(left, right)


def test_what_they_measure():
    """By hand, since an adjoint fits any linear map."""
    x = normal(2, 3, 4, 6)
    assert torch.equal(Mask(KNOWN).forward(x[:, :2, :3, :4]), x[:, :2, :3, :4][:, KNOWN])
    torch.testing.assert_close(Grey().forward(x), x.mean(1, keepdim=True))
    torch.testing.assert_close(Downsample(2).forward(x), torch.nn.functional.avg_pool2d(x, 2))
    rolled = sum(
        float(WEDGE[i, j]) * x.roll((i - 1, j - 1), (2, 3)) for i in range(2) for j in range(3)
    )
    torch.testing.assert_close(Blur(WEDGE).forward(x), rolled)
    assert float(Blur.gaussian(1.3).kernel.sum()) == pytest.approx(1.0)


@every(OPERATORS)
def test_the_pseudo_inverse_is_that_of_the_matrix(operator, shape):
    matrix = written_out(operator, shape)
    y = normal(4, *operator.forward(normal(1, *shape)).shape[1:], seed=3)
    wanted = y.flatten(1) @ torch.linalg.pinv(matrix).T
    torch.testing.assert_close(operator.inverse(y).flatten(1), wanted, rtol=1e-5, atol=1e-6)


@every(OPERATORS)
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_linear_systems_are_solved_row_by_row(operator, shape, noise):
    matrix = written_out(operator, shape)
    b = normal(2, *operator.forward(normal(1, *shape)).shape[1:], seed=4)
    x = operator.adjoint(b)
    signal, noises = torch.tensor([0.5, 2.0]).double(), torch.tensor([noise, 3.0 * noise]).double()
    found = operator.solved(x, signal, noises)
    for row in range(2):
        system = signal[row] * matrix.T @ matrix + noises[row] * torch.eye(matrix.shape[1])
        wanted = torch.linalg.pinv(system) @ x[row].flatten()
        torch.testing.assert_close(found[row].flatten(), wanted, rtol=1e-5, atol=1e-6)


@every(WITH_MODES)
def test_functions_of_the_singular_values(operator, shape):
    """cos(s) has a value of its own for each singular value, 0 among them."""
    values, basis = torch.linalg.eigh(written_out(operator, shape).T @ written_out(operator, shape))
    root = values.clamp(min=0.0).sqrt()
    x, rates = normal(2, *shape), torch.tensor([1.0, 2.5], dtype=torch.float64)
    found = operator.on_modes(x, lambda s: torch.cos(rates[:, None] * s))
    for row in range(2):
        wanted = basis @ (torch.cos(rates[row] * root) * (basis.T @ x[row].flatten()))
        torch.testing.assert_close(found[row].flatten(), wanted, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(operator.on_modes(x, torch.ones_like), x)


@every(OPERATORS)
def test_they_compute_in_the_dtype_of_what_they_get(operator, shape):
    x = normal(2, *shape, dtype=torch.float32)
    y = operator.forward(x)
    assert y.dtype == operator.adjoint(y).dtype == operator.inverse(y).dtype == torch.float32


def test_what_is_unknown_does_not_matter():
    holes = torch.where(KNOWN, normal(2, 2, 3, 4), torch.nan)
    measured = Measurement(Mask(KNOWN), Mask(KNOWN).forward(holes))
    assert measured.y.shape == (2, 16)
    assert measured.shape == (2, 3, 4)


def test_physics_of_another_library_are_taken_as_they_are():
    physics = SimpleNamespace(A=MATRIX.forward, A_adjoint=MATRIX.adjoint)
    x = normal(2, 2, 3, 4)
    measured = Measurement(physics, physics.A(x), 0.1)
    torch.testing.assert_close(measured.residual(x), torch.zeros(2, 3).double())
    assert measured.shape == (2, 3, 4)


def test_physics_that_keep_numbers_of_one_dtype_are_asked_in_it():
    class Single(torch.nn.Linear):
        def A(self, x):
            return x @ self.weight.T

        def A_adjoint(self, y):
            return y @ self.weight

    physics = Single(6, 3, bias=False).requires_grad_(False)
    measured = Measurement(physics, physics.A(torch.ones(2, 6)), 0.1)
    residual = measured.residual(torch.ones(2, 6, dtype=torch.float64))
    assert residual.dtype == torch.float64
    assert float(residual.abs().max()) < 1e-6


def test_a_measurement_of_one_row_is_that_of_all_and_others_are_picked():
    x, y = normal(3, 2, 3, 4), normal(3, 3)
    one, each = Measurement(MATRIX, y[:1]), Measurement(MATRIX, y)
    assert torch.equal(one.rows(x), y[:1].expand(3, 3))
    rows = torch.tensor([2, 0])
    assert torch.equal(each.for_rows(rows).rows(x[:2]), y[rows])
    assert one.for_rows(rows) is one


def test_its_log_density_is_that_of_the_noise():
    x, y = normal(3, 2, 3, 4), normal(3, 3)
    law = torch.distributions.Normal(MATRIX.forward(x), 0.4)
    wanted = law.log_prob(y).sum(1)
    torch.testing.assert_close(Measurement(MATRIX, y, 0.4).log_prob(x), wanted)


def test_numbers_of_numpy_are_taken():
    measured = Measurement(Mask(KNOWN.numpy()), np.ones((1, 16)), np.float64(0.5))
    assert measured.rows(normal(5, 2, 3, 4)).shape == (5, 16)
    assert measured.noise_std == 0.5


Y = normal(1, 3)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Mask(torch.ones(2, 2)), r"known = torch.float32: .* Boolean .* mask > 0.5"),
        (lambda: Mask([[True]]), "known = 'list'"),
        (lambda: Mask(torch.zeros(2, dtype=torch.bool)), "True somewhere"),
        (lambda: Mask(KNOWN).forward(normal(2, 3, 4)), r"\(B, 2, 3, 4\)"),
        (lambda: Mask(KNOWN).adjoint(normal(2, 3)), r"y = .*\(B, 16\)"),
        (lambda: Grey((0.0, 0.0)), "weights"),
        (lambda: Grey().forward(normal(2, 1, 4)), r"\(B, 3, ...\), a channel for each"),
        (lambda: Downsample(0), "factor = 0"),
        (lambda: Downsample(2).forward(normal(1, 1, 3, 4)), "multiples of 2"),
        (lambda: Blur(torch.zeros(2, 2)), "not all 0"),
        (lambda: Blur(WEDGE).forward(normal(1, 2, 2)), "at least as large as 2 x 3"),
        (lambda: Blur.gaussian(-1.0), "std = -1.0"),
        (lambda: Matrix(normal(3)), r"of shape \(M, N\)"),
        (lambda: Matrix(normal(3, 24), (5, 5)), "one of 24 numbers"),
        (lambda: Measurement(MATRIX, torch.zeros(1, 3, dtype=torch.int64)), "floating-point"),
        (lambda: Measurement(MATRIX, Y[0]), r"y\[None\]"),
        (lambda: Measurement(MATRIX, Y / 0.0), "finite numbers"),
        (lambda: Measurement(MATRIX, normal(1, 4)), r"y = .*\(B, 3\)"),
        (lambda: Measurement(MATRIX, Y, -0.1), "noise_std = -0.1"),
        (lambda: Measurement(MATRIX, Y, math.nan), "noise_std = nan"),
        (lambda: Measurement(MATRIX, Y).log_prob(normal(1, 2, 3, 4)), "above 0 for log p"),
        (lambda: Measurement(MATRIX, Y).check(normal(2, 24)), r"of shape \(B, 2, 3, 4\)"),
        (lambda: Measurement(MATRIX, normal(3, 3)).check(normal(2, 2, 3, 4)), "y = '3 rows'"),
        (lambda: Measurement(Pair(torch.square, torch.square), Y), "with its adjoint"),
        (lambda: Measurement(Pair(lambda x: x + 1.0, torch.clone), Y), "something of 0"),
        (lambda: Measurement(Pair(lambda x: x[:, :2], torch.clone), Y), "of the shape that"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_one_sentence(make, words):
    with pytest.raises(ArgumentError, match=words):
        make()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Measurement(KNOWN, Y), r"such as Mask\(known\)"),
        (lambda: Pair(MATRIX.forward, None), "A_adjoint = None"),
    ],
)
def test_what_is_no_operator_is_refused(make, words):
    with pytest.raises(PairingError, match=words):
        make()
