"""The network of a pipeline as a score model, with its SDE."""

from __future__ import annotations

from typing import Any

from sdeplug import LevelLabel, TabulatedSDE, TimeLabel
from sdeplug.networks import Diffused, Model, from_diffusers, from_module
from sdeplug_diffusers.scheduler import IntegratorScheduler

_STRAIGHT = "FlowMatchEulerDiscreteScheduler"


def score_of(pipeline: Any) -> Model:
    """The network of a pipeline with its SDE: all solvers, likelihood and guidance work on it.

    ``ReverseSDE(model.sde, model.score)`` samples.  A latent pipeline gives the model of its latent
    space.  Text and other conditions are bound around the network:
    ``model.parametrisation(Bound(model.network, encoder_hidden_states=...), model.sde)``.

    Args:
        pipeline: a pipeline with ``unet`` or ``transformer`` and ``scheduler``, or whatever else
            :func:`sdeplug.networks.from_diffusers` takes.

    Raises:
        ArgumentError: for a scheduler whose schedule is unknown here.
    """
    scheduler = getattr(pipeline, "scheduler", None)
    if type(scheduler).__name__ == _STRAIGHT:
        scheduler = IntegratorScheduler(prediction_type="flow_prediction")
    if not isinstance(scheduler, IntegratorScheduler):
        return from_diffusers(pipeline)
    network = getattr(pipeline, "unet", None) or pipeline.transformer
    sde, last = scheduler.schedule.sde, scheduler.schedule.last_label
    labels = LevelLabel() if isinstance(sde, TabulatedSDE) else TimeLabel(last)
    predicts = scheduler.schedule.predicts
    return from_module(Diffused(network), sde, predicts=predicts, labels=labels)
