r"""The divergence of a field, tr(dv/dx): exact, or estimated with random vectors.

.. math:: \mathrm{tr}\,J = E\,[u^T J u] \quad\text{for}\quad E\,[u u^T] = I.

Reference: Hutchinson, Commun. Stat. 19 (1990); Meyer et al. (Hutch++), arXiv 2010.09649.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.noise import NoiseSource
from sdeplug.options import Configured, option
from sdeplug.score.jacobian import Jacobian


class Law(Configured, ABC):
    """A law of random vectors u with E[u u^T] = I."""

    @abstractmethod
    def draw(self, x: Tensor, noise: NoiseSource) -> Tensor:
        """One vector for each row: shape, dtype and device of x."""


@dataclass(frozen=True)
class Rademacher(Law):
    """Random signs: an estimate errs by the entries off the diagonal alone."""

    def draw(self, x: Tensor, noise: NoiseSource) -> Tensor:
        """-1 or 1 in each coordinate."""
        return torch.where(noise.normal(x) < 0.0, -1.0, 1.0).to(x.dtype)


@dataclass(frozen=True)
class Normal(Law):
    """Normal numbers: an estimate errs by the entries on the diagonal too."""

    def draw(self, x: Tensor, noise: NoiseSource) -> Tensor:
        """N(0, I)."""
        return noise.normal(x)


class Trace(Configured, ABC):
    """How the divergence of a field is found.

    Random vectors are drawn by themselves, so that a solver can keep them along a path: with
    fixed ones the estimate is a smooth function of time.
    """

    @property
    @abstractmethod
    def estimates(self) -> int:
        """Independent estimates that it gives; 1 where it is exact."""

    @abstractmethod
    def directions(self, x: Tensor, noise: NoiseSource) -> Tensor:
        """The random vectors for states x of shape ``(B, *D)``: shape ``(P, B, *D)``."""

    @abstractmethod
    def of(self, jacobian: Jacobian, directions: Tensor) -> Tensor:
        """The divergence of each row.

        Args:
            jacobian: that of the field at B states.
            directions: what :meth:`directions` gave for these rows, shape ``(P, B, *D)``.

        Returns:
            Each estimate for each row: shape ``(estimates, B)``.

        Raises:
            PairingError: if the field does not depend on x.
        """


@dataclass(frozen=True)
class Exact(Trace):
    """Coordinate by coordinate: D vector-Jacobian products, many at once."""

    @property
    def estimates(self) -> int:
        """1."""
        return 1

    def directions(self, x: Tensor, noise: NoiseSource) -> Tensor:
        """None at all: shape ``(0, B, *D)``."""
        return x.new_empty(0, *x.shape)

    def of(self, jacobian: Jacobian, directions: Tensor) -> Tensor:
        """The sum of the D derivatives."""
        x = jacobian.x
        size = x[0].numel()
        total = x.new_zeros(1, len(x))
        for numbers in torch.arange(size, device=x.device, dtype=torch.int64).split(
            jacobian.at_once
        ):
            units = x.new_zeros(len(numbers), size).scatter_(1, numbers[:, None], 1.0)
            wide = units.reshape(-1, 1, *x.shape[1:]).expand(-1, *x.shape)
            slopes = jacobian.products(wide).reshape(len(numbers), len(x), size)
            total = total + slopes.gather(2, numbers[:, None, None].expand(-1, len(x), 1)).sum(0).T
        return total


@dataclass(frozen=True)
class Hutchinson(Trace):
    """u^T (dv/dx) u for random vectors u: one vector-Jacobian product for each.

    It has the right mean; several probes say how far it is off.

    Song et al., arXiv 2011.13456, appendix D.2, and arXiv 1905.07088, equation 8.
    """

    probes: int = option(1, help="random vectors of a row", ge=1)
    law: Law = option(Rademacher(), help="their law")

    @property
    def estimates(self) -> int:
        """One for each probe."""
        return self.probes

    def directions(self, x: Tensor, noise: NoiseSource) -> Tensor:
        """The probes."""
        return torch.stack([self.law.draw(x, noise) for _ in range(self.probes)])

    def of(self, jacobian: Jacobian, directions: Tensor) -> Tensor:
        """One estimate for each probe."""
        return _inner(jacobian.products(directions), directions)


@dataclass(frozen=True)
class Hutch(Trace):
    r"""Hutch++: exact on the part of the Jacobian that is largest, probes on the rest.

    .. math:: \mathrm{tr}\,J = \mathrm{tr}\,Q^T J Q + \mathrm{tr}\,(I - Q Q^T) J (I - Q Q^T),

    where Q is a basis of what J^T makes of random vectors, as many as there are probes.  It costs
    three products a probe, and helps where few directions have most of the divergence.  In
    gradients Q is a constant.

    Meyer et al., arXiv 2010.09649, algorithm 1.
    """

    probes: int = option(4, help="random vectors, and directions that are exact", ge=1)
    law: Law = option(Rademacher(), help="their law")

    @property
    def estimates(self) -> int:
        """One for each probe of the rest."""
        return self.probes

    def directions(self, x: Tensor, noise: NoiseSource) -> Tensor:
        """The vectors that find the large part, then the probes of the rest."""
        return torch.stack([self.law.draw(x, noise) for _ in range(2 * self.probes)])

    def of(self, jacobian: Jacobian, directions: Tensor) -> Tensor:
        """One estimate for each probe of the rest."""
        sketch, probes = directions.flatten(2).split(self.probes)
        shape = jacobian.x.shape
        range_ = jacobian.products(sketch.reshape(-1, *shape)).detach().flatten(2)
        basis = torch.linalg.qr(range_.permute(1, 2, 0)).Q.permute(2, 0, 1)
        inside = _inner(jacobian.products(basis.reshape(-1, *shape)), basis).sum(0)
        shares = torch.einsum("qbd,pbd->qpb", basis, probes)
        rest = (probes - torch.einsum("qpb,qbd->pbd", shares, basis)).reshape(-1, *shape)
        return inside + _inner(jacobian.products(rest), rest)


def _inner(one: Tensor, other: Tensor) -> Tensor:
    """Inner products row by row: ``(P, B, *D)`` twice to ``(P, B)``."""
    return (one * other.reshape(one.shape)).flatten(2).sum(2)
