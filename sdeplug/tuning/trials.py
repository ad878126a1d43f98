"""The candidates of a tuning as they ended, and what proves the choice."""

from __future__ import annotations

from dataclasses import dataclass

from sdeplug.compare import Estimate


@dataclass(frozen=True)
class Trial:
    """A candidate.

    Attributes:
        label: its name.
        nfe: score evaluations of a sample.
        samples: how many it ran before it dropped out.
        distance: to the data that chose.
        behind: how much farther than the chosen one, of the same number of samples, with the
            error of the difference.
        failure: why there is no distance; empty if there is.
    """

    label: str
    nfe: int
    samples: int
    distance: Estimate
    behind: Estimate
    failure: str = ""


@dataclass(frozen=True)
class Proof:
    """The chosen one on other data, with other noise: what was chosen by luck is seen here.

    Attributes:
        chosen: its distance.
        default: that of ``auto``, which nobody has to choose.
        gain: how much nearer the chosen one is, with the error of the difference.
        floor: that of data to data, by as many rows.
    """

    chosen: Estimate
    default: Estimate
    gain: Estimate
    floor: Estimate
