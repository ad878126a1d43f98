r"""Rows that are a fair picture of p_t, and noise for them: points that fill their cube evenly.

Each row is a point of one cube (Sobol 1967, scrambled as by Owen 1995): one number says which
mode it comes from, two where in it, and the others are what is drawn for it.  So all rows weigh
the same, which is what a step that follows the whole batch asks for, and means over them are off
by some :math:`N^{-3/4}` where a draw decides at a threshold, by less where it does not.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from sdeplug.noise import NoiseSource
from sdeplug.sde import LinearSDE
from sdeplug.targets import GaussianMixture
from sdeplug.testing.findings import NotApplicable

_MOST, _LEAST = 2**16, 2**10  # rows
_NUMBERS = 2**20  # in all of them, if they are no fewer than the least
_CELL = 2.0**-30  # of the points along an axis


class Scattered(NoiseSource):
    """Draws that were made with the rows.

    Args:
        z: normal numbers, those of a row in the order in which it draws them, ``(N, columns)``.
    """

    def __init__(self, z: Tensor) -> None:
        self._z, self.draws = z, 0

    def normal(self, like: Tensor) -> Tensor:
        """The next columns, one for each number of a row.

        Raises:
            NotApplicable: for other rows, or more columns, than there are.
        """
        first, (rows, columns) = self.draws, self._z.shape
        last = first + math.prod(like.shape[1:])
        if len(like) != rows or last > columns:
            raise NotApplicable("what it draws depends on the data, or is for some rows alone")
        self.draws = last
        return self._z[:, first:last].reshape(like.shape).to(like)


def scattered(
    target: GaussianMixture, t: float, sde: LinearSDE, columns: int, seed: int
) -> tuple[Tensor, Scattered]:
    """Rows of p_t and what they draw; another seed, other rows, independent of these.

    Args:
        target: a mixture in two dimensions.
        t: time in [0, T].
        sde: the SDE that turns data into noise.
        columns: how many numbers a row draws.
        seed: of the scrambling.

    Returns:
        Rows, float64, shape ``(N, 2)``, N a power of two, fewer where many numbers are drawn; and
        the noise of a solver for them, once.

    Raises:
        NotApplicable: for more columns than there are.
    """
    width = columns + 3
    if width > SobolEngine.MAXDIM:
        raise NotApplicable(f"a row draws {columns} numbers; {SobolEngine.MAXDIM - 3} are the most")
    rows = min(_MOST, max(_LEAST, 2 ** int(math.log2(_NUMBERS / width))))
    engine = SobolEngine(width, scramble=True, seed=seed)
    first = engine.quasi.to(torch.float64) * _CELL  # drawn, it has torch's default dtype
    cube = engine.draw(rows, dtype=torch.float64)
    cube[0] = first
    cube += 0.5 * _CELL  # 0 is among the points
    z = torch.special.ndtri(cube[:, 1:])
    mode = torch.searchsorted(target.weights.cumsum(0)[:-1], cube[:, 0].contiguous())
    now = sde.at(t)
    noise = now.sigma**2 * torch.eye(2, dtype=torch.float64, device="cpu")
    roots = torch.linalg.cholesky(now.alpha**2 * target.covariances + noise)
    x = now.alpha * target.means[mode] + torch.einsum("nde,ne->nd", roots[mode], z[:, :2])
    return x, Scattered(z[:, 2:])
