"""A network of diffusers as a network of (x, label)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from sdeplug.errors import ArgumentError, MissingExtraError


class Diffused(nn.Module):
    """A network of diffusers as one of (x, label), with conditions by their names there.

    Of a network that has learned variances, too, the first half of the channels is taken.

    Args:
        model: a ``ModelMixin`` of diffusers, such as ``UNet2DModel``.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, label: Tensor, **conditions: object) -> Tensor:
        """What it predicts: x of shape ``(B, C, ...)``, label of shape ``(B,)``."""
        output: Tensor = self.model(x, label, return_dict=False, **conditions)[0]
        return output[:, : x.shape[1]] if output.shape[1] == 2 * x.shape[1] else output

    @property
    def settings(self) -> dict[str, Any]:
        """The class of the network, and its configuration."""
        config: Mapping[str, Any] = self.model.config  # type: ignore[assignment]
        kept = {name: value for name, value in config.items() if not name.startswith("_")}
        return {"class": type(self.model).__name__, "config": kept}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Diffused:
        """A network with weights of its own, by its settings.

        Raises:
            ArgumentError: for a class that is no network of diffusers.
            MissingExtraError: without diffusers, the extra ``networks``.
        """
        return cls(network_class(settings["class"]).from_config(dict(settings["config"])))


def diffusers() -> Any:
    """The library.

    Raises:
        MissingExtraError: if it is not installed.
    """
    try:
        import diffusers
    except ImportError as error:
        raise MissingExtraError("a network of diffusers", "diffusers", "networks") from error
    return diffusers


def network_class(name: str) -> Any:
    """A class of networks of diffusers.

    Raises:
        ArgumentError: if it has none of this name.
        MissingExtraError: without diffusers, the extra ``networks``.
    """
    found = getattr(diffusers(), name, None)
    if not (isinstance(found, type) and issubclass(found, diffusers().ModelMixin)):
        raise ArgumentError("class", name, "a network of diffusers, such as UNet2DModel")
    return found
