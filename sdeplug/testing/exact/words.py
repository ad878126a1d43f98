"""What an error is an error of, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from sdeplug.testing.bench import SPECTRUM
from sdeplug.testing.exact.laws import Law, relative_error

_MANY = 9.0  # from here on a ratio says more than per cent


def largest(error: Tensor, spectrum: Sequence[float] = SPECTRUM) -> str:
    """The largest of the errors of a law: what it is an error of, and how large it is.

    Args:
        error: errors of standard deviations and means, as
            :func:`sdeplug.testing.relative_error` has them, shape ``(2 D,)``.
        spectrum: variances of the data along the axes, rising: D of them.
    """
    worst = int(error.abs().nan_to_num(nan=math.inf).argmax())
    size, of = float(error[worst]), "mean" if worst >= len(spectrum) else "standard deviation"
    what = f"the {of} along the axis of variance {spectrum[worst % len(spectrum)]:g} is"
    if not math.isfinite(size):
        return f"{what} {size:g}"
    if of == "mean":
        return f"{what} off by {100.0 * abs(size):.3g} % of a standard deviation"
    if size > _MANY:
        return f"{what} {1.0 + size:.3g} times what it should be"
    return f"{what} {100.0 * abs(size):.3g} % too {'large' if size > 0.0 else 'small'}"


def difference(law: Law, wanted: Law) -> str:
    """The largest difference of two laws: along which axis, or the correlation of which.

    Args:
        law: on the axes of :data:`SPECTRUM`.
        wanted: likewise, nearly without correlations.
    """
    stds = wanted.covariance.diagonal().sqrt()
    tied = ((law.covariance - wanted.covariance) / stds.outer(stds)).fill_diagonal_(0.0)
    error = relative_error(law, wanted)
    if not float(tied.abs().max()) > float(error.abs().max()):
        return largest(error)
    one, other = divmod(int(tied.abs().argmax()), len(stds))
    return (
        f"the correlation of the axes of variance {SPECTRUM[one]:g} and {SPECTRUM[other]:g} is off "
        f"by {float(tied[one, other]):.2g}"
    )
