r"""The posterior of a mixture of Gaussians given a linear measurement: again a mixture.

With y = A x_0 + n, component k = N(m, C) of weight w has

.. math:: S = A C A^T + \sigma_y^2, \quad G = C A^T S^{-1}, \quad
          m' = m + G (y - A m), \quad C' = (1 - G A) C, \quad w' \propto w\, N(y; A m, S).
"""

from __future__ import annotations

import torch
from torch import Tensor

from sdeplug.conditioning.measurement import Measurement
from sdeplug.errors import ArgumentError, PairingError, brief
from sdeplug.targets import GaussianMixture


def exact_posterior(target: GaussianMixture, measurement: Measurement) -> GaussianMixture:
    """The law of x_0 given what was measured: a target, whose diffused score is exact as well.

    Args:
        target: the prior, a mixture of Gaussians; points and discs too, where there is noise.
        measurement: of one sample, y of shape ``(1, *M)``.

    Returns:
        A mixture of at most as many components: those of no weight in float64 are left out.

    Raises:
        PairingError: if the prior is no mixture of Gaussians.
        ArgumentError: for y of more than one row, samples of another shape, or a measurement
            without noise of a law that has none either.
    """
    if not isinstance(target, GaussianMixture):
        raise PairingError(
            f"target = {brief(target)}: must be a GaussianMixture, whose posterior is known."
        )
    if len(measurement.y) != 1 or measurement.shape != target.shape:
        raise ArgumentError(
            "measurement", measurement, f"of one sample of shape {target.shape}",
            "y[:1] is the first of many.",
        )  # fmt: skip
    matrix = _matrix(measurement)
    prior, means = target.covariances, target.means.flatten(1)
    if bool((prior == prior[:1]).all()):
        prior = prior[:1]  # of all components
    cross = prior @ matrix.T
    noise = measurement.noise_std**2 * torch.eye(len(matrix), dtype=torch.float64, device="cpu")
    root, failed = torch.linalg.cholesky_ex(matrix @ cross + noise)
    if bool(failed.any()):
        raise ArgumentError(
            "noise_std", measurement.noise_std, "above 0 for a prior that has no spread there"
        )
    residual = measurement.y.flatten().to("cpu", torch.float64) - means @ matrix.T
    count = len(means)
    gain = torch.cholesky_solve(cross.mT, root).mT
    left = torch.eye(prior.shape[1], dtype=torch.float64, device="cpu") - gain @ matrix
    # In this form (Joseph's) rounding leaves no negative variance.
    spread = left @ prior @ left.mT + gain @ noise @ gain.mT
    whitened = torch.linalg.solve_triangular(
        root.expand(count, -1, -1), residual[..., None], upper=False
    )[..., 0]
    log_weights = target.weights.log() - 0.5 * whitened.square().sum(1)
    log_weights = log_weights - root.diagonal(dim1=1, dim2=2).log().sum(1)
    weights = torch.softmax(log_weights, 0)
    kept = weights > 0.0
    moved = means + (gain @ residual[..., None])[..., 0]
    spread = spread.expand(count, -1, -1)[kept]
    return GaussianMixture(weights[kept], moved[kept].reshape(-1, *target.shape), spread)


def _matrix(measurement: Measurement) -> Tensor:
    """A in full: float64, shape ``(M, D)``."""
    size = int(torch.Size(measurement.shape).numel())
    unit = torch.eye(size, dtype=torch.float64, device="cpu").reshape(size, *measurement.shape)
    return measurement.operator.forward(unit).flatten(1).T
