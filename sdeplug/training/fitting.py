"""One training at work: what changes while a trainer fits a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sdeplug.errors import ArgumentError, PairingError, TrainingError, brief
from sdeplug.noise import SharedNoise
from sdeplug.training import checkpoint
from sdeplug.training.averages import Averages
from sdeplug.training.data import Batch, seed_device
from sdeplug.training.recipe import Recipe, rates_mark
from sdeplug.training.watch import Mark
from sdeplug.values import number

if TYPE_CHECKING:
    from accelerate import Accelerator

_HELD_OUT = "held out"


@dataclass(frozen=True)
class Trained:
    """What came of a training.

    Attributes:
        network: the network that was given, trained in place.
        averages: its averages, one for each decay of the trainer, in eval mode.
        history: how it stood at every look, from the first step on.
    """

    network: nn.Module
    averages: tuple[nn.Module, ...]
    history: tuple[Mark, ...]

    def __repr__(self) -> str:
        last = self.history[-1] if self.history else "not begun"
        return f"Trained({brief(self.network)}, averages={len(self.averages)}, {last})"

    @property
    def average(self) -> nn.Module:
        """The first average; the network itself where the trainer keeps none."""
        return self.averages[0] if self.averages else self.network


class Fitting:
    """A network, its optimiser and its averages, on the devices of an accelerator.

    Args:
        recipe: the trainer.
        network: a torch module.
        accelerator: devices, precision and processes.
    """

    def __init__(self, recipe: Recipe, network: nn.Module, accelerator: Accelerator) -> None:
        self.recipe, self.accelerator, self.plain = recipe, accelerator, network
        network.to(accelerator.device)
        self.averages = Averages(network, recipe.decays())
        self.parameters = [each for each in network.parameters() if each.requires_grad]
        optimiser = _optimiser(recipe, self.parameters)
        self.rates = [group["lr"] for group in optimiser.param_groups]
        self.network, prepared = accelerator.prepare(network, optimiser)
        # What accelerate puts around a step looks at every kind of device: only where it has to.
        self._alone = accelerator.scaler is None and accelerator.distributed_type.value == "NO"
        self.optimiser = prepared if accelerator.scaler is not None else optimiser
        self.averages.follow(network)
        self.history: list[Mark] = []
        self.steps, self._seen, self._rates = 0, 0, 0
        self._sum: Tensor | float = 0.0
        self._fine = torch.ones((), dtype=torch.bool, device=accelerator.device)

    def step(self, batch: Batch) -> None:
        """One step: loss, gradient, clipping, optimiser, averages.

        Raises:
            TrainingError: on a CPU, where a look costs nothing, if a loss or gradient is not
                finite, before it has touched the weights; elsewhere :meth:`look` raises it.
        """
        rows = self._rows(batch)
        loss = rows.mean()
        norm = self._backward(loss)
        if not self._watch(loss, norm):
            raise self._error(*self._reason(rows.detach(), batch))
        factor = self.recipe.rate(self.steps)
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self._rates = rates_mark(self._rates, factor)
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.averages.update(self.steps)
        self.steps += 1

    def look(self, held_out: Sequence[Batch]) -> Mark:
        """How the training stands; the one place where the host waits for a device.

        Raises:
            TrainingError: if a loss or gradient was not finite since the last look.
        """
        mean = torch.as_tensor(
            self._sum / max(self._seen, 1), dtype=torch.float32, device=self.accelerator.device
        )
        fine, total = self.accelerator.reduce(torch.stack((self._fine.float(), mean))).tolist()
        world = self.accelerator.num_processes
        if fine < world:
            raise self._error("a loss or a gradient is not finite", "")
        self._seen, self._sum = 0, 0.0
        mark = Mark(self.steps, total / world, self._held_out(held_out))
        self.history.append(mark)
        return mark

    def trained(self) -> Trained:
        """What came of it so far."""
        averages = self.averages.networks[: len(self.recipe.ema)]
        return Trained(self.plain, averages, tuple(self.history))

    def save(self, folder: Path) -> None:
        """Write all that the rest of the training depends on; the first process does."""
        if self.accelerator.is_main_process:
            scaler = self.accelerator.scaler
            checkpoint.write(folder, {
                "recipe": self.recipe.told(),
                "rates": self._rates,
                "steps": self.steps,
                "network": self.plain.state_dict(),
                "averages": self.averages.state(),
                "optimiser": self.optimiser.state_dict(),
                "scaler": None if scaler is None else scaler.state_dict(),
                "history": [tuple(mark) for mark in self.history],
            })  # fmt: skip
        self.accelerator.wait_for_everyone()

    def resume(self, folder: Path) -> None:
        """Go on from what is in a folder, if anything is.

        Raises:
            ArgumentError: if it is damaged, or of another trainer or network.
        """
        state = checkpoint.read(folder)
        if state is None:
            return
        mine, its = self.recipe.told(), state["recipe"]
        same = {name: mine.get(name) == its.get(name) for name in (*mine, *its)}
        # Of the rate that counts which the steps had: what comes after them may be planned anew.
        factors = map(self.recipe.rate, range(state["steps"]))
        same["rate"] = state["rates"] == reduce(rates_mark, factors, 0)
        for name, fine in same.items():
            if not fine:
                raise ArgumentError(
                    "folder", str(folder), f"one of a training with {name} = {mine.get(name)}",
                    f"There it was {its.get(name)}: give another folder.",
                )  # fmt: skip
        differing = checkpoint.difference(self.plain.state_dict(), state["network"])
        if differing:
            raise ArgumentError(
                "folder", str(folder), "one of a training of this network",
                f"In that of the training there, {differing}: give another folder.",
            )  # fmt: skip
        self.plain.load_state_dict(state["network"])
        self.averages.restore(state["averages"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.accelerator.scaler is not None and state["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.steps, self._rates = state["steps"], state["rates"]
        self.history = [Mark(*mark) for mark in state["history"]]

    def _rows(self, batch: Batch) -> Tensor:
        """The loss of each row; its numbers, and those of the network itself, are this step's."""
        rank = self.accelerator.process_index
        noise = SharedNoise(self.recipe.seed).stream(f"step {self.steps} of process {rank}")
        seed_device(noise.stream("network").seed, self.accelerator.device)
        return _loss(self.recipe, self.network, batch, noise)

    def _backward(self, loss: Tensor) -> Tensor:
        """The gradient, clipped; its norm before that."""
        if self._alone:
            loss.backward()
            return nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip)
        self.accelerator.backward(loss)
        norm: Tensor = self.accelerator.clip_grad_norm_(self.parameters, self.recipe.clip)
        return norm

    def _watch(self, loss: Tensor, norm: Tensor) -> bool:
        """Whether all is finite; True, too, where only :meth:`look` may wait for the answer."""
        scaled = self.accelerator.scaler is not None  # a scaler leaves out steps that overflow
        self._seen += 1
        if loss.device.type == "cpu":
            found = loss.item()
            self._sum = self._sum + found
            return math.isfinite(found) and (scaled or math.isfinite(norm))
        self._sum = self._sum + loss.detach()
        fine = loss.isfinite() if scaled else loss.isfinite() & norm.isfinite()
        self._fine = self._fine & fine
        return True

    def _reason(self, rows: Tensor, batch: Batch) -> tuple[str, str]:
        """What is not finite, by name; and what to do about it."""
        wrong = (~rows.isfinite()).nonzero().flatten().tolist()
        if not wrong:  # clipping has spread it: the same gradient again, before that
            self.optimiser.zero_grad()
            self.accelerator.backward(self._rows(batch).mean())
            named = self.plain.named_parameters()
            bad = [n for n, p in named if p.grad is not None and not bool(p.grad.isfinite().all())]
            many = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
            return f"the gradient of {bad[0] if bad else 'a parameter'}{many} is not finite", ""
        row = wrong[0]
        what = f"the loss of {len(wrong)} of {len(rows)} rows is not finite, the first {row}"
        if not bool(batch.x0[row].isfinite().all()):
            return f"{what}, whose data are not finite", "Clean the data."
        return what, ""

    def _error(self, what: str, advice: str) -> TrainingError:
        advice = advice or (
            "Lower the learning rate or clip, or train in float32; torch.autograd.detect_anomaly() "
            "names the operation."
        )
        cpu = self.accelerator.device.type == "cpu"
        kept = (
            "The weights are those before this step."
            if cpu
            else "It was seen now and may be some steps old: the last checkpoint is sound."
        )
        text = f"step {self.steps}: {what}. {kept} {advice}"
        self.optimiser.zero_grad()
        return TrainingError(text, step=self.steps, trained=self.trained())

    def _held_out(self, held_out: Sequence[Batch]) -> float | None:
        """Mean loss of held-out data, with the same numbers at every look."""
        if not held_out:
            return None
        network = self.trained().average
        noise, device = SharedNoise(self.recipe.seed).stream(_HELD_OUT), self.accelerator.device
        training = network.training
        network.eval()
        with torch.no_grad():
            rows = [
                _loss(self.recipe, network, Batch(*(_on(part, device) for part in each)), noise)
                for each in held_out
            ]
        network.train(training)
        return float(torch.cat(rows).double().mean())


def _optimiser(recipe: Recipe, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimiser of a recipe, whose rate is a number.

    Raises:
        ArgumentError: if what should make them makes anything else.
    """
    optimiser, factor = recipe.optimiser(parameters), recipe.rate(0)
    for name, made, right, wanted in (
        ("optimiser", optimiser, isinstance(optimiser, torch.optim.Optimizer), "an optimiser"),
        ("rate", factor, number(factor) is not None, "a number, the factor of a step"),
    ):
        if not right:
            given = brief(getattr(recipe, name))
            raise ArgumentError(name, f"{given}, which returned {made!r}", f"what makes {wanted}")
    return optimiser


def _loss(recipe: Recipe, network: nn.Module, batch: Batch, noise: SharedNoise) -> Tensor:
    """The loss of each row of a batch.

    Raises:
        PairingError: for a loss that is none.
    """
    bound: Any = network
    if batch.labels is not None:
        bound = recipe.labels.bind(network, batch.labels, noise.stream("labels"))
    rows = recipe.loss(bound, _seen(batch.x0, network), noise)
    if not isinstance(rows, Tensor) or rows.shape != batch.x0.shape[:1]:
        found = tuple(rows.shape) if isinstance(rows, Tensor) else type(rows).__name__
        raise PairingError(
            f"loss = {recipe.loss!r}: must return a number for each of the {len(batch.x0)} rows, "
            f"and returned {found}. The trainer takes their mean."
        )
    return rows


def _seen(x0: Tensor, network: nn.Module) -> Tensor:
    """Data as the network sees them: those of numpy, in float64, in float32 unless it is wide."""
    if x0.dtype != torch.float64:
        return x0
    wide = any(each.dtype == torch.float64 for each in network.parameters())
    return x0 if wide else x0.float()


def _on(part: Tensor | None, device: torch.device) -> Any:
    return None if part is None else part.to(device)
