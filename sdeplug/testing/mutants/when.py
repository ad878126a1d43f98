"""When a mistake is made: in some numbers of steps, on some SDEs, for some states."""

from __future__ import annotations

import torch

from sdeplug.score import InDtype
from sdeplug.sde import EDMSDE, VESDE, VPSDE, CosineVPSDE, SubVPSDE
from sdeplug.testing.mutants.joined import Step

# Numbers of steps


def odd_last(step: Step) -> bool:
    """in the last of an odd number of steps."""
    return step.last and step.number % 2 == 1


def even_last(step: Step) -> bool:
    """in the last of an even number of steps."""
    return step.last and step.number % 2 == 0


def every_fifth(step: Step) -> bool:
    """in every fifth step."""
    return step.number % 5 == 0


def third(step: Step) -> bool:
    """in the third step of a run."""
    return step.number == 3


def from_sixth(step: Step) -> bool:
    """from the sixth step on."""
    return step.number >= 6


def prime(step: Step) -> bool:
    """in steps whose number is prime and above 10."""
    return step.number > 10 and all(step.number % each for each in range(2, step.number))


def up_to_fourth(step: Step) -> bool:
    """in the first four steps."""
    return step.number <= 4


# Forward SDEs


def unknown_sde(step: Step) -> bool:
    """on a forward SDE that does not come with sdeplug."""
    return not isinstance(step.reverse.forward, (VPSDE, SubVPSDE, VESDE, CosineVPSDE, EDMSDE))


def last_on_unknown(step: Step) -> bool:
    """in the last step on a forward SDE that does not come with sdeplug."""
    return step.last and unknown_sde(step)


def other_parameters(step: Step) -> bool:
    """on a forward SDE whose parameters are not the defaults."""
    return type(step.reverse.forward)() != step.reverse.forward


def long_time(step: Step) -> bool:
    """where T is above 1, but for EDM."""
    return step.reverse.forward.T > 1.0 and not isinstance(step.reverse.forward, EDMSDE)


def growing_and_shrinking(step: Step) -> bool:
    """where alpha falls and sigma grows above 1."""
    now = step.reverse.linear.at(step.t)
    return now.alpha < 0.99 and now.sigma > 1.0


# Stochasticity


def above_one(step: Step) -> bool:
    """where the stochasticity is above 1."""
    return step.reverse.level(step.t) > 1.0


def near_zero(step: Step) -> bool:
    """where the stochasticity is below 0.45 and not 0."""
    return 0.0 < step.reverse.level(step.t) < 0.45


def varying(step: Step) -> bool:
    """where the stochasticity varies in time."""
    return callable(step.reverse.stochasticity)


def half(step: Step) -> bool:
    """at stochasticity 1/2."""
    return step.reverse.level(step.t) == 0.5


# Sizes


def wide(step: Step) -> bool:
    """in more than 16 dimensions."""
    return step.dimension > 16


def huge(step: Step) -> bool:
    """in more than 1,000 dimensions."""
    return step.dimension > 1000


def scalar(step: Step) -> bool:
    """in one dimension."""
    return step.dimension == 1


def many(step: Step) -> bool:
    """in a batch of more than 5,000 rows."""
    return len(step.x) > 5000


def lonely(step: Step) -> bool:
    """in a batch of one row and more than 10,000 dimensions."""
    return len(step.x) == 1 and step.dimension > 10_000


# Shapes and dtypes


def images(step: Step) -> bool:
    """for images."""
    return step.x.ndim == 4


def sequences(step: Step) -> bool:
    """for sequences."""
    return step.x.ndim == 3


def volumes(step: Step) -> bool:
    """for volumes."""
    return step.x.ndim == 5


def bfloat16(step: Step) -> bool:
    """for a state in bfloat16."""
    return step.x.dtype == torch.bfloat16


def float16(step: Step) -> bool:
    """for a state in float16."""
    return step.x.dtype == torch.float16


def half_score(step: Step) -> bool:
    """where the score model runs in half precision."""
    model: object = step.reverse.score_model
    while model is not None and not isinstance(model, InDtype):
        model = getattr(model, "score_model", None)
    return model is not None
