"""A network with labels or other inputs as a score model."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, signature

from torch import Tensor
from torch.nn import Module

from sdeplug.errors import ArgumentError, PairingError, brief
from sdeplug.score.model import error_of, sde_of
from sdeplug.sde import ForwardSDE

_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


class Bound:
    """A network with labels or other inputs, bound: what is left takes (x, t).

    ``Bound(network, labels=labels)`` calls ``network(x, t, labels=labels)``.  A tensor has one
    entry for each row of the batch, or one for all of them, which is repeated; its rows leave the
    batch when those of x do.  Numbers, tensors without dimensions, and whatever is not a tensor
    are passed on as they are.

    It stands where the network would, as in ``FromNoise(Bound(network, labels=labels), sde)``.
    A function around a ``Bound``, such as a lambda, would hide from the solver that it has rows.

    Args:
        network: callable (x, t, **conditions) -> ``(B, *D)``; what it predicts does not matter.
        conditions: the other inputs, by the names of the network's arguments.

    Raises:
        PairingError: if the network is not callable.
        ArgumentError: if the network takes no input of such a name, or the tensors have
            different numbers of rows.
    """

    def __init__(self, network: Callable[..., Tensor], /, **conditions: object) -> None:
        if not callable(network):
            raise PairingError(
                f"network = {network!r}: must be a callable (x, t, ...). The order is "
                "Bound(network, labels=labels)."
            )
        _check_names(network, conditions)
        self.network, self.conditions = network, conditions
        self._rows = {
            name: each
            for name, each in conditions.items()
            if isinstance(each, Tensor) and each.ndim > 0
        }
        _check_rows({name: len(each) for name, each in self._rows.items()})

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """What the network predicts: x of shape ``(B, *D)`` and t of shape ``(B,)``.

        Raises:
            ArgumentError: if a condition does not have one entry for each row of x.
        """
        fitted = {name: _fitted(name, each, len(x)) for name, each in self._rows.items()}
        return self.network(x, t, **(self.conditions | fitted))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={_shown(each)}" for name, each in self.conditions.items())
        return f"Bound({brief(self.network, 1000)}{', ' if shown else ''}{shown})"

    @property
    def sde(self) -> ForwardSDE | None:
        """The SDE whose score the network is, where it says so."""
        return sde_of(self.network)

    @property
    def error(self) -> float | None:
        """Relative error of the noise that the network predicts, where it says so."""
        return error_of(self.network)

    def for_rows(self, rows: Tensor) -> Bound:
        """The same network for some rows of the batch: int64, shape ``(R,)``."""
        picked = {
            name: each.index_select(0, rows.to(each.device))
            for name, each in self._rows.items()
            if len(each) > 1
        }
        return Bound(self.network, **(self.conditions | picked))


def _check_names(network: Callable[..., Tensor], conditions: dict[str, object]) -> None:
    try:
        taken = signature(network.forward if isinstance(network, Module) else network).parameters
    except (TypeError, ValueError):  # of what is not written in Python there is none
        return
    if any(each.kind is Parameter.VAR_KEYWORD for each in taken.values()):
        return
    names = [each.name for each in taken.values() if each.kind in _BY_NAME]
    for name in conditions:
        if name not in names:
            raise ArgumentError(
                "condition", name, f"an input of {brief(network)}",
                f"It takes {', '.join(names) or 'none by name'}.",
            )  # fmt: skip


def _check_rows(rows: dict[str, int]) -> None:
    counts = sorted({each for each in rows.values() if each != 1})
    if len(counts) > 1:
        raise ArgumentError(
            "conditions", rows, "tensors with one entry for each row of the batch, or with one",
            "What belongs to no row goes into the network: "
            "functools.partial(network, matrix=matrix).",
        )  # fmt: skip


def _fitted(name: str, condition: Tensor, rows: int) -> Tensor:
    if len(condition) == 1:
        return condition.expand(rows, *condition.shape[1:])
    if len(condition) != rows:
        raise ArgumentError(
            name, _shown(condition), f"a tensor of {rows} rows, one for each of x, or of one row",
            "Where a solver leaves out rows that have arrived, it has to see the Bound itself: "
            "FromNoise(Bound(network, ...), sde) in a pipeline, and no lambda around it.",
        )  # fmt: skip
    return condition


def _shown(condition: object) -> str:
    if isinstance(condition, Tensor):
        return f"tensor of shape {tuple(condition.shape)}"
    return repr(condition)
