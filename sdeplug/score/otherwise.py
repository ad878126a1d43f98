"""A network read otherwise: told the time by another label, or taken to predict another thing.

A network that is told another time than in its training answers all the same.  That it is so shows
where the same network, told otherwise, is much better: these are the others to ask.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdeplug.score.labels import (
    Label,
    Labelled,
    LevelLabel,
    LogSigmaLabel,
    LogSNRLabel,
    SigmaLabel,
    TimeLabel,
)
from sdeplug.score.model import ScoreModel
from sdeplug.score.parametrisations import PREDICTED, Parametrisation
from sdeplug.score.wrapper import Wrapper
from sdeplug.sde import LinearSDE, TabulatedSDE

_LABELS: tuple[Label, ...] = (
    TimeLabel(), TimeLabel(999), SigmaLabel(), LogSigmaLabel(), LogSigmaLabel(0.25), LogSNRLabel(),
)  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """A way to read a network; printed, it is what makes it so.

    Attributes:
        predicts: what it is taken to predict.
        label: what it is told of the time.
        score_model: its score, so read, inside of what is around the network.
        silent: the same of a network that answers 0.
    """

    predicts: type[Parametrisation]
    label: Label
    score_model: ScoreModel
    silent: ScoreModel

    def __str__(self) -> str:
        return (
            f"networks.from_module(network, sde, predicts={self.predicts.__name__}, "
            f"labels={self.label!r})"
        )


def inside(score_model: object) -> object:
    """What all wrappers are around."""
    while isinstance(score_model, Wrapper):
        score_model = score_model.score_model
    return score_model


def network_of(score_model: object) -> Parametrisation | None:
    """The network in its units, inside of a score model; None for what is none, or is exact."""
    found = inside(score_model)
    return found if isinstance(found, Parametrisation) and found.error is None else None


def other_labels(score_model: ScoreModel) -> Iterator[Reading]:
    """The network inside told the time by each label that its SDE has, but its own.

    Nothing for a model without a network.  One that is not :class:`Labelled` is told t itself.
    """
    given = network_of(score_model)
    if given is None:
        return
    own = _label(given)
    for label in _labels_of(given.sde):
        if label != own:
            yield _reading(score_model, replace(given, network=_told(given, label)), label)


def other_predictions(score_model: ScoreModel) -> Iterator[Reading]:
    """The network inside taken to predict each other thing, told the time as it is."""
    given = network_of(score_model)
    if given is None:
        return
    for each in PREDICTED:
        if each is not type(given):
            yield _reading(score_model, each(given.network, given.sde), _label(given))


def _reading(score_model: ScoreModel, read: Parametrisation, label: Label) -> Reading:
    silent = replace(read, network=_nothing)
    both = (_around(score_model, each) for each in (read, silent))
    return Reading(type(read), label, *both)


def _nothing(x: Tensor, t: Tensor) -> Tensor:
    return torch.zeros_like(x)


def _label(given: Parametrisation) -> Label:
    return given.network.label if isinstance(given.network, Labelled) else TimeLabel()


def _labels_of(sde: LinearSDE) -> tuple[Label, ...]:
    """The level first, where there is one: 999 t is nearly that."""
    return (LevelLabel(), *_LABELS) if isinstance(sde, TabulatedSDE) else _LABELS


def _told(given: Parametrisation, label: Label) -> Labelled:
    if not isinstance(given.network, Labelled):
        return Labelled(given.network, given.sde, label)
    other = copy.copy(given.network)  # with the scalings of its class
    other.label = label
    return other


def _around(score_model: ScoreModel, model: ScoreModel) -> ScoreModel:
    """The wrappers of a score model around another one."""
    if not isinstance(score_model, Wrapper):
        return model
    inner = _around(score_model.score_model, model)

    def wrapped(x: Tensor, t: Tensor) -> Tensor:
        return score_model.through(inner, x, t)

    return wrapped
