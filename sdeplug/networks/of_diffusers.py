"""Networks of diffusers with their schedules, from a folder or a pipeline."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, cast

from torch import nn

from sdeplug.errors import ArgumentError
from sdeplug.networks.diffused import Diffused, diffusers, network_class
from sdeplug.networks.model import Model
from sdeplug.networks.scaling import Preconditioned
from sdeplug.networks.spacing import spaced
from sdeplug.networks.weights import existing
from sdeplug.score import (
    FromDenoiser,
    FromNoise,
    FromScore,
    FromVelocity,
    Labelled,
    LevelLabel,
    LogSigmaLabel,
    Parametrisation,
    SigmaLabel,
    TimeLabel,
)
from sdeplug.sde import EDMSDE, VESDE, VPSDE, SubVPSDE, TabulatedSDE

_PREDICTS: Mapping[str, type[Parametrisation]] = MappingProxyType(
    {"epsilon": FromNoise, "sample": FromDenoiser, "v_prediction": FromVelocity}
)


class _Parts(NamedTuple):
    network: nn.Module
    scheduler: Any


def from_diffusers(source: str | Path | object) -> Model:
    """A network of diffusers with the schedule that it was trained for.

    Of the scheduler's configuration are read: the betas, trained ones and those rescaled to zero
    terminal SNR too; what the network predicts; the spacing, as ``model.grid``.  Networks of
    labels or of text get them by name: ``Bound(model.network, class_labels=labels)``.

    Args:
        source: folder of a pipeline, or of a network with a ``scheduler_config.json``; or a
            pipeline, or whatever else has ``unet`` and ``scheduler``.

    Raises:
        ArgumentError: for a folder that is not there or is damaged, or a scheduler whose schedule
            is unknown here.
        MissingExtraError: without diffusers, the extra ``networks``.
    """
    parts = _of_folder(source) if isinstance(source, (str, Path)) else _of_pipeline(source)
    name = type(parts.scheduler).__name__
    read = _READERS.get(name, _of_betas if hasattr(parts.scheduler, "betas") else None)
    if read is None:
        raise ArgumentError(
            "scheduler", name, "one with betas, ScoreSdeVe, ScoreSdeVp or EDM",
            "from_module(Diffused(unet), sde, predicts=..., labels=...) takes any schedule.",
        )  # fmt: skip
    model = read(Diffused(parts.network), parts.scheduler.config, parts.scheduler)
    cast(nn.Module, model.network).eval()
    return model


def _of_betas(network: Diffused, config: Any, scheduler: Any) -> Model:
    """A chain of levels: DDPM, and all schedulers that share its configuration."""
    sde = TabulatedSDE(betas=scheduler.betas.double())
    whole = network.model.config.get("time_embedding_type") == "learned"  # type: ignore[operator, union-attr]
    offset = int(config.get("steps_offset", 0))
    return Model(
        Labelled(network, sde, LevelLabel(whole)),
        sde,
        _predicts(config),
        (-1.0, 1.0) if config.get("clip_sample") else None,
        grid=partial(spaced, sde, config.get("timestep_spacing", "linspace"), offset),
    )


def _of_ve(network: Diffused, config: Any, scheduler: Any) -> Model:
    sde = VESDE(sigma_min=config["sigma_min"], sigma_max=config["sigma_max"])
    return Model(Labelled(network, sde, SigmaLabel()), sde, FromScore, (0.0, 1.0))


def _of_vp(network: Diffused, config: Any, scheduler: Any) -> Model:
    return _of_beta(network, VPSDE(beta_min=config["beta_min"], beta_max=config["beta_max"]))


def _of_sub_vp(network: Diffused, config: Any, scheduler: Any) -> Model:
    return _of_beta(network, SubVPSDE(beta_min=config["beta_min"], beta_max=config["beta_max"]))


def _of_beta(network: Diffused, sde: VPSDE | SubVPSDE) -> Model:
    """The label of a continuous network of Song et al. at T is 999."""
    return Model(Labelled(network, sde, TimeLabel(999.0)), sde, FromNoise, (-1.0, 1.0))


def _of_edm(network: Diffused, config: Any, scheduler: Any) -> Model:
    """The scheduler scales input and output: here the network does."""
    if config["prediction_type"] != "epsilon":
        raise ArgumentError("prediction_type", config["prediction_type"], "epsilon, of EDM")
    sde = EDMSDE(T=config["sigma_max"], eps=config["sigma_min"])
    timed = Preconditioned(network, sde, config["sigma_data"], LogSigmaLabel(0.25))
    return Model(timed, sde, FromDenoiser)


_READERS: Mapping[str, Callable[[Diffused, Any, Any], Model]] = MappingProxyType(
    {
        "ScoreSdeVeScheduler": _of_ve,
        "ScoreSdeVpScheduler": _of_vp,
        "ScoreSdeSubVpScheduler": _of_sub_vp,
        "EDMEulerScheduler": _of_edm,
        "EDMDPMSolverMultistepScheduler": _of_edm,
    }
)


def _predicts(config: Any) -> type[Parametrisation]:
    word = config.get("prediction_type", "epsilon")
    if word not in _PREDICTS:
        raise ArgumentError("prediction_type", word, f"one of {', '.join(_PREDICTS)}")
    return _PREDICTS[word]


def _of_pipeline(source: object) -> _Parts:
    network, scheduler = (getattr(source, name, None) for name in ("unet", "scheduler"))
    network = getattr(source, "transformer", None) if network is None else network
    if not isinstance(network, nn.Module) or not hasattr(scheduler, "config"):
        raise ArgumentError(
            "source", type(source).__name__, "a folder, or a pipeline with unet and scheduler"
        )
    return _Parts(network, scheduler)


def _of_folder(source: str | Path) -> _Parts:
    """The network and the scheduler of a folder, both in folders of their own or in this one."""
    if not Path(source).is_dir():
        raise ArgumentError(
            "source", str(source), "a folder that is there",
            "A model of a hub is fetched first: DDPMPipeline.from_pretrained(name) is a pipeline.",
        )  # fmt: skip
    folder = Path(source)
    inner = next(
        (folder / each for each in ("unet", "transformer") if (folder / each).is_dir()), folder
    )
    beside = folder / "scheduler" if (folder / "scheduler").is_dir() else folder
    network = network_class(_class_named(inner / "config.json"))
    name = _class_named(beside / "scheduler_config.json")
    scheduler = getattr(diffusers(), name, None)
    if scheduler is None:
        raise ArgumentError("scheduler", name, "one of diffusers")
    try:
        return _Parts(
            network.from_pretrained(inner, local_files_only=True, low_cpu_mem_usage=False),
            scheduler.from_pretrained(beside, local_files_only=True),
        )
    except Exception as error:  # of safetensors, of pickles, of what files lack
        raise ArgumentError(
            "folder", str(folder), "one that diffusers reads", f"{type(error).__name__}: {error}"
        ) from error


def _class_named(file: Path) -> str:
    there = existing(file)
    try:
        return str(json.loads(there.read_text(encoding="utf-8"))["_class_name"])
    except (ValueError, KeyError, TypeError) as error:
        raise ArgumentError(
            "file", str(file), "a configuration that diffusers wrote", f"{error}."
        ) from error
