r"""Guidance: the score of a class, from a classifier or from a network that knows the class.

.. math:: \nabla \log p_t(x | c) = \nabla \log p_t(x) + \nabla \log p_t(c | x).

With the factor 1 this is exact.  With another factor w it is the gradient of
:math:`p_t(x)\,p_t(c | x)^w` at each t, and these are not the diffused laws of any data: what is
sampled is near :math:`p_0(x)\,p_0(c | x)^w`, without being it, and depends on the solver and on the
stochasticity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdeplug.conditioning.derivative import demand_gradient, pull_back, recorded
from sdeplug.conditioning.span import Span, check_span, inside
from sdeplug.errors import ScoreModelError, brief_fields
from sdeplug.options import Configured, option
from sdeplug.score import (
    ScoreModel,
    check_pair,
    checked,
    for_rows,
    sde_of,
    with_divergence,
)
from sdeplug.sde import ForwardSDE, expand

LogProb = Callable[[Tensor, Tensor], Tensor]
"""log p_t(c | x) of the class that is wanted: x, ``(B, *D)``, and t, ``(B,)``, to ``(B,)``."""


@dataclass(frozen=True)
class ClassifierGuided(Configured):
    """The score of a class: that of all data, and the gradient of a classifier.

    ::

        ClassifierGuided(score, lambda x, t: classifier(x, t).log_softmax(1)[:, 3])

    A classifier with a label for each row is ``Bound(log_prob, labels=labels)``, so that its rows
    leave the batch when those of x do.  Song et al., arXiv 2011.13456, appendix I.1; Dhariwal &
    Nichol, arXiv 2105.05233.  One evaluation is one of the score and one of the classifier.
    """

    score: ScoreModel = option(help="score of all data")
    log_prob: LogProb = option(help="log-probability of the class, (x, t) -> (B,)")
    scale: float = option(1.0, ge=0.0, help="factor w; 1 samples the class, as it is in the data")
    span: Span = option(None, help="times (from, to) at which it acts")

    __repr__ = brief_fields

    def __post_init__(self) -> None:
        super().__post_init__()
        check_span(self.span)

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """The score of the class: x of shape ``(B, *D)`` and t of shape ``(B,)`` to ``(B, *D)``.

        Raises:
            ScoreModelError: if ``log_prob`` returns anything but log-probabilities, one a row.
        """
        score, acts = checked(self.score(x, t), x), inside(t, self.span)
        if not bool(acts.any()):
            return score
        with recorded(x) as z:
            value = _checked_log_prob(self.log_prob(z, t), z)
        demand_gradient(value, "log_prob")
        pull = pull_back(value, z)
        return score + expand(self.scale * acts.to(x), x) * pull(torch.ones_like(value))

    @property
    def sde(self) -> ForwardSDE | None:
        """The SDE whose score it is, where the score says so."""
        return sde_of(self.score)

    def for_rows(self, rows: Tensor) -> ClassifierGuided:
        """The same for some rows of the batch: int64, shape ``(R,)``."""
        score, log_prob = for_rows(self.score, rows), for_rows(self.log_prob, rows)
        return replace(self, score=score, log_prob=log_prob)


@dataclass(frozen=True)
class ClassifierFree(Configured):
    """The score of a class, enlarged: unconditional + scale (conditional - unconditional).

    ::

        by_class = FromNoise(Bound(network, labels=labels), sde)
        by_none = FromNoise(Bound(network, labels=torch.full_like(labels, 10)), sde)
        ClassifierFree(by_class, by_none, scale=2.0)

    Ho & Salimans, arXiv 2207.12598, whose w is scale - 1; outside the span the scale is 1, as in
    Kynkäänniemi et al., arXiv 2404.07724.  One evaluation is one of each network, and where the
    scale is 1, one of the conditional network alone.
    """

    conditional: ScoreModel = option(help="score of the class")
    unconditional: ScoreModel = option(help="score of all data")
    scale: float = option(help="1 is the class alone; more is farther from all data", ge=0.0)
    span: Span = option(None, help="times (from, to) at which it acts")

    __repr__ = brief_fields

    def __post_init__(self) -> None:
        super().__post_init__()
        check_span(self.span)
        known = sde_of(self.conditional)
        if known is not None:
            check_pair(known, self.unconditional)

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """The score: x of shape ``(B, *D)`` and t of shape ``(B,)`` to ``(B, *D)``."""
        conditional, weight = checked(self.conditional(x, t), x), self._weight(x, t)
        if weight is None:
            return conditional
        other = checked(self.unconditional(x, t), x)
        return conditional + expand(weight, x) * (conditional - other)

    def with_divergence(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor] | None:
        """The score and its divergence, ``(B, *D)`` and ``(B,)``, where both networks know it."""
        found, weight = with_divergence(self.conditional, x, t), self._weight(x, t)
        if found is None or weight is None:
            return found
        other = with_divergence(self.unconditional, x, t)
        if other is None:
            return None
        (score, divergence), weights = found, expand(weight, x)
        return score + weights * (score - other[0]), divergence + weight * (divergence - other[1])

    def _weight(self, x: Tensor, t: Tensor) -> Tensor | None:
        """What the difference of the two counts for in each row, ``(B,)``; None: nowhere."""
        acts = inside(t, self.span)
        if self.scale == 1.0 or not bool(acts.any()):
            return None
        return (self.scale - 1.0) * acts.to(x)

    @property
    def sde(self) -> ForwardSDE | None:
        """The SDE whose score it is, where one of the two says so."""
        return sde_of(self.conditional) or sde_of(self.unconditional)

    def for_rows(self, rows: Tensor) -> ClassifierFree:
        """The same for some rows of the batch: int64, shape ``(R,)``."""
        both = for_rows(self.conditional, rows), for_rows(self.unconditional, rows)
        return replace(self, conditional=both[0], unconditional=both[1])


def _checked_log_prob(value: object, x: Tensor) -> Tensor:
    """What ``log_prob`` returned, if it can be log-probabilities of one class for each row."""
    allowed = f"log-probabilities of one class, of shape ({len(x)},)"
    if not isinstance(value, Tensor) or not value.is_floating_point():
        kind = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise ScoreModelError(f"log_prob returned {kind}: must be {allowed}.")
    if value.shape != (len(x),):
        raise ScoreModelError(
            f"log_prob returned shape {tuple(value.shape)}: must be {allowed}. Of the outputs of a "
            "classifier: lambda x, t: classifier(x, t).log_softmax(1)[:, label]."
        )
    if bool(((value >= 0.0) & (value <= 1.0)).all()) and bool((value > 0.0).any()):
        raise ScoreModelError(
            "log_prob returned numbers from 0 to 1, as probabilities are: must be "
            f"{allowed}, at most 0. Take their .log(); of another function subtract a constant, "
            "which its gradient does not see."
        )
    return value
