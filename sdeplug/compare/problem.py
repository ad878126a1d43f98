"""What is sampled: a law, and the score that samplers are given for it.

With a target both are one.  With a network the law is that of data, and the score is whatever the
network has learned: nothing else of a comparison knows the difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

from sdeplug.errors import ArgumentError, PairingError, argument_type, brief
from sdeplug.networks import Model
from sdeplug.pipeline import Leg, last_time, whole_run
from sdeplug.reverse import ReverseSDE
from sdeplug.score import ScoreModel
from sdeplug.score.understood import understood
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Integrator
from sdeplug.targets import Empirical, Target
from sdeplug.training.data import check_data


@dataclass(frozen=True)
class OnData:
    """A trained network and data that it has not seen, in the place of a target. ::

        compare(solvers, OnData(model, held_out), nfe=(5, 10))

    Samples are measured against the data.  A run ends with the final denoising, at time 0, which
    is counted.

    Attributes:
        model: the network with its SDE, such as ``networks.from_module(...)`` gives.
        data: data that it was not trained on, shape ``(N, *shape)``.

    Raises:
        ArgumentError: if a part is not what it should be, or the data are outside of the range of
            the network, or too large for the SDE to hide.
        PairingError: if the network cannot be asked: it wants labels, or data of another shape.
    """

    model: Model
    data: object

    def __post_init__(self) -> None:
        if not isinstance(self.model, Model):
            raise ArgumentError(
                "model", brief(self.model), "a Model", "networks.from_module(...) gives one."
            )
        target, known = self.target, self.model.data_range
        least, most = float(target.means.min()), float(target.means.max())
        if known is not None and (least < known[0] - 1e-3 or most > known[1] + 1e-3):
            raise ArgumentError(
                "data", f"from {least:g} to {most:g}", f"within the model's range {known}",
                "Scale them as those that it was trained on.",
            )  # fmt: skip
        x = target.means.float()
        check_data("data", x, self.model.sde)
        with torch.no_grad(), understood(self.model.score, x, "data"):
            ReverseSDE(self.model.sde, self.model.score).score(x[:2], self.model.sde.T)

    def __repr__(self) -> str:
        return f"OnData({brief(self.model.network)}, {self.target!r})"

    @cached_property
    def target(self) -> Empirical:
        """The law of the data."""
        return Empirical(self.data)


@dataclass(frozen=True)
class Problem:
    """A law, the SDE that turns it into noise, and the score that samplers are given.

    Attributes:
        target: the law that samples should have.
        sde: the forward SDE.
        score: the score model.
        network: whether the score is that of a network: then runs end at time 0.
    """

    target: Target
    sde: LinearSDE
    score: ScoreModel
    network: bool = False

    @classmethod
    def of(cls, target: Target | OnData, sde: LinearSDE | None) -> Problem:
        """From what people give.

        Raises:
            ArgumentError: for what is no target.
            PairingError: for an SDE that is not linear, or not that of the network.
        """
        if isinstance(target, OnData):
            own = target.model.sde
            if sde is not None and sde != own:
                raise PairingError(f"sde = {brief(sde)}: must be left out, or that of the model.")
            return cls(target.target, own, target.model.score, network=True)
        if not isinstance(target, Target):
            argument_type(
                "target", target, "a Target or an OnData",
                "targets.eight_gaussians() is one; OnData(model, data) is for a network.",
            )  # fmt: skip
        if not isinstance(sde, LinearSDE):
            raise PairingError(f"sde = {sde!r}: must be a LinearSDE, such as VPSDE().")
        return cls(target, sde, target.score(sde))

    def legs(self, by: Integrator) -> tuple[Leg, ...]:
        """The legs of a run with one integrator."""
        return whole_run(self.sde, by) if self.network else (Leg(last_time(self.sde), by),)

    @property
    def end(self) -> float:
        """The time that runs end at."""
        return 0.0 if self.network else last_time(self.sde)

    @property
    def extra(self) -> int:
        """Evaluations that a run spends beside those of its integrator."""
        return int(self.network and last_time(self.sde) > 0.0)
