r"""The best Gaussian for data: what is known of them without a network.

Of few rows the covariance S has no variance in most directions.  It is shrunk towards a multiple
of the identity, (1 - r) S + r m I with m the mean variance, by the r that has the least mean
squared error: Ledoit & Wolf 2004, A well-conditioned estimator for large-dimensional covariance
matrices, section 3.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sdeplug.targets import Gaussian

_LEAST = 1e-9  # of the mean variance: data that do not spread at all have a score, too


def gaussian(data: Tensor) -> Gaussian:
    """A Gaussian with the mean and the shrunk covariance of data, shape ``(n, *D)``."""
    flat = data.detach().flatten(1).double().cpu()
    n, dim = flat.shape
    centred = flat - flat.mean(0)
    _, singular, axes = torch.linalg.svd(centred, full_matrices=False)
    variances = singular.square() / n
    level = float(variances.sum()) / dim
    squared = float(variances.square().sum())
    off = max(squared - dim * level**2, 0.0)
    noise = (float(centred.square().sum(1).square().sum()) / n - squared) / n
    share = 1.0 if off == 0.0 else min(max(noise, 0.0) / off, 1.0)
    factor = axes.T * ((1.0 - share) * variances).sqrt()
    std = (max(share, _LEAST) * max(level, 1e-12)) ** 0.5
    mean = flat.mean(0).reshape(data.shape[1:])
    if mean.ndim == 0:
        mean = mean[None]
    return Gaussian(mean, factor=factor, std=std)
