"""Networks as plain data and back: how they are built, not what they have learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any, cast

from torch import nn

from sdeplug.errors import ArgumentError
from sdeplug.networks.architecture import Architecture
from sdeplug.networks.autoencoder import Autoencoder
from sdeplug.networks.diffused import Diffused
from sdeplug.networks.latent import Latent
from sdeplug.networks.paper import built
from sdeplug.networks.residual import ResidualMLP
from sdeplug.networks.scaling import OverSigma, Preconditioned
from sdeplug.networks.small_autoencoder import SmallAutoencoder
from sdeplug.networks.small_unet import SmallUNet
from sdeplug.options import build
from sdeplug.score import LABELS, Label, Labelled
from sdeplug.sde import LinearSDE

Plain = dict[str, Any]

_WRAPPERS: Mapping[str, type[Labelled]] = MappingProxyType(
    {each.__name__: each for each in (Labelled, OverSigma, Preconditioned)}
)
_MAKERS: Mapping[str, Callable[[Plain], nn.Module]] = MappingProxyType(
    {
        "ResidualMLP": lambda settings: ResidualMLP(**settings),
        "SmallUNet": lambda settings: SmallUNet(**settings),
        "SmallAutoencoder": lambda settings: SmallAutoencoder(**settings),
        "ScoreUNet": lambda settings: built(build(Architecture, settings)),
        "Diffused": Diffused.from_settings,
    }
)


def described(network: nn.Module) -> Plain:
    """How a network is built, as mappings, lists, texts and numbers.

    A network of a class that sdeplug does not know has the name of its class, and no settings.
    """
    kind = type(network).__name__
    if isinstance(network, Labelled) and _WRAPPERS.get(kind) is type(network):
        inside = network.network
        if not isinstance(inside, nn.Module):
            raise ArgumentError(
                "network", kind, "one around a module, whose weights can be written",
                "Conditions are bound around it later: Bound(network, labels=labels).",
            )  # fmt: skip
        return {
            "kind": kind,
            "label": _plain_label(network.label),
            **({"data_std": network.data_std} if isinstance(network, Preconditioned) else {}),
            "network": described(inside),
        }
    if type(network) is Latent and isinstance(network.network, nn.Module):
        parts = {
            "network": described(network.network),
            "autoencoder": described(network.autoencoder),
        }
        if not any(_is_own(each) for each in parts.values()):
            return {"kind": kind, **parts}
    settings = getattr(network, "settings", None)
    if kind in _MAKERS and isinstance(settings, Mapping):
        return {"kind": kind, "settings": dict(settings)}
    return {"kind": "own", "class": f"{type(network).__module__}.{type(network).__qualname__}"}


def built_from(plain: Plain, sde: LinearSDE, own: nn.Module | None) -> nn.Module:
    """A network from its description.

    Args:
        plain: what :func:`described` gave.
        sde: the SDE of the networks around.
        own: the network of a class that sdeplug does not know.

    Raises:
        ArgumentError: for such a network that is not given, or a description of no known kind.
        KeyError: for a description that lacks something.
    """
    kind = plain["kind"]
    if kind in _WRAPPERS:
        inside = built_from(plain["network"], sde, own)
        label = _label(plain["label"])
        if kind == "Preconditioned":
            return Preconditioned(inside, sde, plain["data_std"], label)
        return _WRAPPERS[kind](inside, sde, label)
    if kind == "Latent":
        parts = (built_from(plain[name], sde, None) for name in ("network", "autoencoder"))
        return Latent(*cast("tuple[nn.Module, Autoencoder]", tuple(parts)))
    if kind in _MAKERS:
        return _MAKERS[kind](plain["settings"])
    if kind != "own":
        raise ArgumentError("kind", kind, f"one of {', '.join((*_WRAPPERS, *_MAKERS, 'own'))}")
    if own is None:
        raise ArgumentError(
            "network", None, f"given: a {plain['class']}, a class that sdeplug does not know",
            "load(folder, network) fills the one that you build.",
        )  # fmt: skip
    return own


def _is_own(plain: Plain) -> bool:
    """Whether a description is, or is around, that of a class that sdeplug does not know."""
    return plain["kind"] == "own" or ("network" in plain and _is_own(plain["network"]))


def _plain_label(label: Label) -> Plain:
    name = next((name for name, cls in LABELS.items() if cls is type(label)), None)
    if name is None:
        raise ArgumentError(
            "label", label, f"one of {', '.join(c.__name__ for c in LABELS.values())}"
        )
    return {"name": name, **asdict(label)}  # type: ignore[call-overload]


def _label(plain: Plain) -> Label:
    options = {name: value for name, value in plain.items() if name != "name"}
    return build(LABELS[plain["name"]], options)
