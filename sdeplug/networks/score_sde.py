"""Checkpoints of the reference implementation, score_sde_pytorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from sdeplug.errors import PairingError, brief
from sdeplug.networks.architecture import Architecture
from sdeplug.networks.model import Model
from sdeplug.networks.paper import built
from sdeplug.networks.scaling import OverSigma
from sdeplug.networks.score_sde_modules import (
    architecture_of,
    demand_known,
    fill,
    modules,
    not_ours,
)
from sdeplug.networks.weights import read_pickle
from sdeplug.score import FromNoise, FromScore, Labelled, LevelLabel, SigmaLabel, TimeLabel
from sdeplug.sde import VESDE, VPSDE, LinearSDE, SubVPSDE, TabulatedSDE

_FIXED = ("sigmas", "all_modules.0.W")  # a buffer, and frequencies that are not trained


def from_score_sde(file: str | Path, sde: LinearSDE | None = None, *, ema: bool = True) -> Model:
    """NCSN++ or DDPM++ of the reference implementation, from its ``.pth``.

    Of the SDE the file knows no more than the noise levels of a continuous NCSN++:

    - NCSN++ that is told sigma: left out, a VESDE with those levels;
    - DDPM++ and NCSN++ that are told the time: ``VPSDE()`` or ``SubVPSDE()``;
    - DDPM++ of discrete levels: ``TabulatedSDE(betas=torch.linspace(1e-4, 0.02, 1000))``;
    - NCSN++ of discrete levels: ``TabulatedSDE(sigmas=sigmas)``, the largest first.

    Args:
        file: path.
        sde: the SDE that it was trained for.
        ema: whether the moving averages of the weights are taken, or the last weights.

    Raises:
        ArgumentError: for a file that is not there, is cut off, holds code, or another network.
        PairingError: for an SDE that does not go with the network, or none where it needs one.
        MissingExtraError: without diffusers, the extra ``networks``.
    """
    content = read_pickle(file)
    weights = _weights(content, str(file), ema)
    parts = modules(weights)
    plan = architecture_of(parts, str(file))
    sde = _ve_of(weights) if sde is None and plan.fourier else sde
    tabled = isinstance(sde, TabulatedSDE) and sde.sigmas is not None
    network = built(replace(plan, from_unit=plan.fourier or tabled))
    fill(network, parts, str(file))
    timed, sde = _timed(network, network.architecture, sde)
    step = content.get("step")
    return Model(
        timed.eval(),
        sde,
        FromScore if network.architecture.from_unit else FromNoise,
        (0.0, 1.0) if network.architecture.from_unit else (-1.0, 1.0),
        None if step is None else int(step),
    )


def _weights(content: Mapping[str, Any], file: str, ema: bool) -> dict[str, Tensor]:
    """The weights by their names, without the prefix of a parallel model; averages for those
    that were trained."""
    model = content.get("model", content)
    if not isinstance(model, Mapping) or any(not isinstance(v, Tensor) for v in model.values()):
        raise not_ours(file, f"it has {', '.join(map(str, list(content)[:8]))}")
    weights = {name.removeprefix("module."): each for name, each in model.items()}
    demand_known(weights, file)
    if not ema:
        return weights
    averages = (content.get("ema") or {}).get("shadow_params", [])
    trained = [name for name in weights if name not in _FIXED]
    if [each.shape for each in averages] != [weights[name].shape for name in trained]:
        raise not_ours(file, "it has no averages of its weights: ema=False takes the last ones")
    return weights | dict(zip(trained, averages, strict=True))


def _ve_of(weights: Mapping[str, Tensor]) -> LinearSDE | None:
    """The SDE of an NCSN++, whose noise levels are a part of it."""
    sigmas = weights.get("sigmas")
    if sigmas is None:
        return None
    return VESDE(sigma_min=float(f"{sigmas.min():.6g}"), sigma_max=float(f"{sigmas.max():.6g}"))


def _timed(
    network: nn.Module, plan: Architecture, sde: LinearSDE | None
) -> tuple[Labelled, LinearSDE]:
    """The network of (x, t), as the reference calls it under each SDE."""
    if plan.fourier and isinstance(sde, VESDE):
        return Labelled(network, sde, SigmaLabel()), sde
    if not plan.fourier and isinstance(sde, (VPSDE, SubVPSDE)):
        return Labelled(network, sde, TimeLabel(999.0)), sde
    if not plan.fourier and isinstance(sde, TabulatedSDE):
        kind = Labelled if sde.sigmas is None else OverSigma
        return kind(network, sde, LevelLabel()), sde
    told, fit = ("sigma", "VESDE(sigma_min=..., sigma_max=...)") if plan.fourier else (
        "the time", "VPSDE(), SubVPSDE(), or a TabulatedSDE of discrete levels"
    )  # fmt: skip
    raise PairingError(
        f"sde = {brief(sde)}: the network of this file is told {told}; it goes with {fit}, "
        "the one of the configuration that it was trained by."
    )
