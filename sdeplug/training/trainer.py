"""A training: a loss, an optimiser, averages, and how often someone looks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from sdeplug.errors import ArgumentError, MissingExtraError, PairingError, SdeplugError, brief
from sdeplug.score import same_law, sde_of
from sdeplug.sde import ForwardSDE
from sdeplug.training.data import Batch, batches, check_data, finite_batches
from sdeplug.training.fitting import Fitting, Trained
from sdeplug.training.post_hoc import forget
from sdeplug.training.recipe import Recipe
from sdeplug.training.watch import Journal, Moment
from sdeplug.values import plain

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class Trainer(Recipe):
    """Trains a network by a loss, in place.  ::

        trained = Trainer(DenoisingLoss(VPSDE())).fit(network, data, steps=10_000)
        score = FromNoise(trained.average, VPSDE())

    Devices, precision and processes are those of accelerate: ``torchrun`` starts the same program
    in several processes, ``Accelerator(mixed_precision="bf16")`` trains in half precision.  All
    randomness comes from the seed and the number of the step, that of layers such as dropout too.

    The reference's recipe: Adam with rate 2e-4, clipping at 1, an average with decay 0.9999
    (0.999 for VE), 5000 steps of warm-up (Song et al., arXiv 2011.13456, appendix H).
    """

    def fit(
        self,
        network: nn.Module,
        data: object,
        steps: int,
        held_out: object = None,
        journal: Journal = Journal(),  # noqa: B008  frozen
        accelerator: Accelerator | None = None,
    ) -> Trained:
        """Train a network, or go on where its checkpoint is.

        Args:
            network: a torch module (x, t) -> output, and with labels (x, t, labels).
            data: a tensor of shape ``(N, *D)``; a tuple of it and N labels; or a loader of batches
                that are ``x0`` or ``(x0, labels)``, which can be begun again.
            steps: number of steps in all, those of the checkpoint counted.
            held_out: data whose loss is shown beside, as ``data``.
            journal: where to write, how often, and who looks on.
            accelerator: devices, precision and processes; left out: accelerate's own choice.

        Raises:
            ArgumentError: for data that are empty, not finite, whole numbers, or too large for
                the SDE to hide; for a folder with another training in it; for ``post_hoc``
                without a folder.
            PairingError: for a network or loss that is none, a network that fails on the data, or
                one that is told of the time under another SDE.
            TrainingError: if a loss or gradient is not finite; it carries what was trained.
            MissingExtraError: if accelerate is not installed.
        """
        _check(network, steps, journal)
        if self.post_hoc and journal.folder is None:
            raise ArgumentError(
                "journal", journal, "one with a folder, where post_hoc writes its snapshots",
                "Journal(folder='run').",
            )  # fmt: skip
        _check_sde(getattr(self.loss, "sde", None), network)
        accelerator = _accelerator(accelerator)
        beside = self._held_out(held_out)
        with _undisturbed(accelerator, network):
            fitting = Fitting(self, network, accelerator)
            if journal.folder is not None:
                fitting.resume(Path(journal.folder))
                if self.post_hoc and fitting.accelerator.is_main_process:
                    forget(Path(journal.folder), fitting.steps)
            given = batches(data, self, fitting.steps, accelerator)
            try:
                self._run(fitting, given, steps, beside, journal)
            finally:
                for observer in journal.observers:
                    getattr(observer, "ended", lambda: None)()
        return fitting.trained()

    def _run(
        self,
        fitting: Fitting,
        given: Iterator[Batch],
        steps: int,
        held_out: list[Batch],
        journal: Journal,
    ) -> None:
        begun = fitting.steps
        while fitting.steps < steps:
            batch = next(given)
            if fitting.steps > begun:
                fitting.step(batch)
            else:
                _first(fitting, batch)
            self._keep(fitting, steps, journal)
            if fitting.steps % journal.every == 0 or fitting.steps == steps:
                mark = fitting.look(held_out)
                if journal.folder is not None:
                    fitting.save(Path(journal.folder))
                if fitting.accelerator.is_main_process:
                    _show(Moment(mark, steps, fitting.trained().average), journal)

    def _keep(self, fitting: Fitting, steps: int, journal: Journal) -> None:
        """Write a snapshot where one is due; the first process does."""
        kept = self.post_hoc
        if not kept or journal.folder is None or not kept.due(fitting.steps, steps):
            return
        if fitting.accelerator.is_main_process:
            averages = fitting.averages.networks[len(self.ema) :]
            kept.keep(Path(journal.folder), fitting.steps, averages)

    def _held_out(self, data: object) -> list[Batch]:
        if data is None:
            return []
        found = list(finite_batches("held_out", data, self.batch))
        if not found:
            raise ArgumentError("held_out", "empty", "data of at least one row")
        for each in found:
            check_data("held_out", each.x0, getattr(self.loss, "sde", None))
        return found


def _check(network: object, steps: object, journal: object) -> None:
    if not isinstance(network, nn.Module):
        raise PairingError(
            f"network = {brief(network)}: must be a torch.nn.Module (x, t). What it predicts is "
            "said by the loss: DenoisingLoss(sde, FromNoise), and no FromNoise around the network."
        )
    if not any(each.requires_grad for each in network.parameters()):
        raise PairingError(f"network = {brief(network)}: must have parameters that can be trained.")
    count = plain(steps)
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ArgumentError("steps", steps, "a whole number of at least 1")
    if not isinstance(journal, Journal):
        raise ArgumentError("journal", journal, "a Journal", "Journal(folder='run').")


def _check_sde(sde: object, network: nn.Module) -> None:
    """Refuse a loss of another SDE than that whose labels the network is told.

    Raises:
        PairingError: if the network says so.
    """
    known = sde_of(network)
    if known is not None and isinstance(sde, ForwardSDE) and not same_law(sde, known):
        raise PairingError(
            f"loss has sde = {brief(sde)}, and the network is told of the time under "
            f"{brief(known)}: must be the same SDE. Make both from one: sde = ..., "
            "Labelled(network, sde, label), DenoisingLoss(sde)."
        )


def _accelerator(given: Accelerator | None) -> Accelerator:
    try:
        from accelerate import Accelerator
    except ImportError as error:
        raise MissingExtraError("Trainer.fit", "accelerate", "train") from error
    found = Accelerator() if given is None else given
    if not isinstance(found, Accelerator):
        raise ArgumentError(
            "accelerator", found, "an Accelerator of accelerate, or left out",
            "Accelerator(cpu=True) stays on the CPU; left out, it takes what is there.",
        )  # fmt: skip
    if found.gradient_accumulation_steps != 1:
        raise ArgumentError(
            "accelerator", f"with {found.gradient_accumulation_steps} accumulation steps",
            "one that takes a step for each batch", "Take a smaller batch and more steps.",
        )  # fmt: skip
    return found


@contextmanager
def _undisturbed(accelerator: Accelerator, network: nn.Module) -> Iterator[None]:
    """The random state of the process, and the network's mode and forward, are as before."""
    device, training, forward = accelerator.device, network.training, vars(network).get("forward")
    network.train()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            for mark in ("forward", "_original_forward", "_is_accelerate_prepared"):
                vars(network).pop(mark, None)
            if forward is not None:
                network.forward = forward
            network.train(training)


def _first(fitting: Fitting, batch: Batch) -> None:
    """The first step, where a network that does not fit the data fails.

    Raises:
        PairingError: if it does.
    """
    try:
        fitting.step(batch)
    except (SdeplugError, torch.cuda.OutOfMemoryError):
        raise
    except (RuntimeError, IndexError, ValueError, TypeError) as error:
        labels = "none" if batch.labels is None else f"of shape {tuple(batch.labels.shape)}"
        raise PairingError(
            f"the network failed on the first batch, of shape {tuple(batch.x0.shape)}, labels "
            f"{labels}: {str(error).rstrip('.')}. Images have the shape (B, C, H, W), so that "
            "grey ones are data[:, None], and vectors (B, D). A network of labels is given them by "
            "name: Trainer(..., labels=Labels('labels'))."
        ) from error


def _show(moment: Moment, journal: Journal) -> None:
    training = moment.network.training
    moment.network.eval()
    for observer in journal.observers:
        observer(moment)
    moment.network.train(training)
