"""Divergences: exact, right on the average over all signs, and with what torch cannot map."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from training.quadrature import Scripted

from sdeplug import ArgumentError, SharedNoise
from sdeplug.score import Exact, Hutch, Hutchinson, Jacobian, Normal

MATRIX = torch.tensor([[0.5, -2.0, 1.0], [0.3, 1.5, 0.0], [0.7, 0.2, -0.4]], dtype=torch.float64)


def curved(x):
    return torch.sin(x.flatten(1) @ MATRIX.T).reshape(x.shape)


def diagonal(x):
    return torch.stack(
        [torch.autograd.functional.jacobian(curved, row[None]).reshape(3, 3).trace() for row in x]
    )


def states(*shape):
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x.requires_grad_()


def estimates(trace, x, noise, field=curved, **options):
    directions = trace.directions(x.detach(), noise)
    return trace.of(Jacobian(field(x), x, **options), directions)


@pytest.mark.parametrize("at_once", [None, 1, 2, 3])
def test_the_exact_trace_is_that_of_the_jacobian(at_once):
    x = states(4, 3, 1)
    found = estimates(Exact(), x, SharedNoise(0), at_once=at_once)
    assert found.shape == (1, 4)
    assert torch.allclose(found[0], diagonal(x.detach()), rtol=1e-12)


@pytest.mark.parametrize("trace", [Hutchinson(), Hutch(1)], ids=repr)
def test_the_mean_over_all_signs_is_exact(trace):
    """For Hutch++ over all signs of its probe, whatever the vectors that find its large part."""
    x = states(4, 3)
    signs = [torch.tensor(each).double().expand(4, 3) for each in product((1.0, -1.0), repeat=3)]
    sketch = (torch.tensor([1.0, -1.0, 1.0]).double().expand(4, 3),) * (trace == Hutch(1))
    found = [estimates(trace, x, Scripted(*sketch, each))[0] for each in signs]
    if trace == Hutchinson():
        assert torch.stack(found).std(0).min() > 0.1
        assert torch.equal(estimates(Hutchinson(8), x, Scripted(*signs)), torch.stack(found))
    assert torch.allclose(torch.stack(found).mean(0), diagonal(x.detach()), rtol=1e-12)


def test_normal_numbers_have_the_right_mean_and_a_larger_variance():
    """A linear field: the variance is 2 |S|^2 over normal numbers, without its diagonal over signs,
    S the symmetric part; 20,000 probes say so to four of their standard errors."""
    x = states(1, 3)
    part = 0.5 * (MATRIX + MATRIX.T)
    for law, variance in ((Normal(), part.square().sum()), (Hutchinson().law, None)):
        found = estimates(Hutchinson(20_000, law), x, SharedNoise(0), lambda x: x @ MATRIX.T)[:, 0]
        wanted = 2.0 * (
            variance if variance is not None else part.fill_diagonal_(0.0).square().sum()
        )
        assert abs(found.mean() - MATRIX.trace()) < 4.0 * (wanted / 20_000) ** 0.5
        assert abs(found.var() / wanted - 1.0) < 0.15


def test_hutch_is_exact_where_few_directions_have_all_of_the_divergence():
    left, right = (
        torch.randn(2, 40, generator=torch.Generator().manual_seed(i)).double() for i in (1, 2)
    )
    field = lambda x: x @ right.T @ left  # noqa: E731
    x = states(3, 40)
    trace = (left * right).sum()
    assert torch.allclose(estimates(Hutch(2), x, SharedNoise(0), field), trace, rtol=1e-10)
    assert estimates(Hutch(1), x, SharedNoise(0), field).sub(trace).abs().max() > 1.0


class Plain(torch.autograd.Function):
    """The sine, by a rule that torch cannot map over vectors."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        assert float(grad.sum()) < 1e9  # a number is asked for, as in a look at the data
        return grad * x.cos()


def test_what_torch_cannot_map_is_asked_one_by_one():
    x = states(2, 3)
    jacobian = Jacobian(Plain.apply(x.flatten(1) @ MATRIX.T), x)
    found = Exact().of(jacobian, Exact().directions(x, SharedNoise(0)))
    assert torch.allclose(found[0], diagonal(x.detach()), rtol=1e-12)
    assert not jacobian.mapped
    assert jacobian.count == 3
    mapped = Jacobian(curved(x), x)
    Exact().of(mapped, x.new_empty(0, 2, 3))
    assert mapped.mapped
    assert mapped.count == 3


@pytest.mark.parametrize(("trace", "count"), [(Exact(), 3), (Hutchinson(5), 5), (Hutch(2), 6)])
def test_products_are_counted(trace, count):
    x = states(2, 3)
    jacobian = Jacobian(curved(x), x, at_once=2)
    found = trace.of(jacobian, trace.directions(x.detach(), SharedNoise(0)))
    assert (jacobian.count, found.shape) == (count, (trace.estimates, 2))


@pytest.mark.parametrize("trace", [Exact(), Hutchinson(3), Hutch(1)], ids=repr)
def test_gradients_go_through_where_asked(trace):
    """Of a field a x^3, whose divergence 3 a x^2 has the derivative 6 a x."""
    x = states(2, 3)
    found = estimates(trace, x, SharedNoise(0), lambda x: 0.5 * x**3, graph=True).mean(0)
    (slope,) = torch.autograd.grad(found.sum(), x)
    if trace != Hutch(1):  # its basis is a constant: right on the average
        assert torch.allclose(slope, 3.0 * x, rtol=1e-12)
    assert slope.abs().min() > 0.0
    assert not estimates(trace, x, SharedNoise(0)).requires_grad


@pytest.mark.parametrize(
    "build", [lambda: Hutchinson(0), lambda: Hutch(0), lambda: Hutchinson(law="normal")]
)
def test_options_are_checked(build):
    with pytest.raises(ArgumentError, match=r"(probes|law) = .*must be"):
        build()
