"""Cells of the statistical tier: a target, an SDE, a way to carry samples, and how many.

A cell is a value that can be asked again with any seed, to measure how often it raises a false
alarm: with many at once, and on the device of your choice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import torch
from torch import Tensor

from sdeplug.errors import MissingExtraError
from sdeplug.noise import SharedNoise
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.targets import (
    Empirical,
    Gaussian,
    GaussianMixture,
    digits,
    eight_gaussians,
    mixture_64,
)
from sdeplug.testing.bench import SPECTRUM
from sdeplug.testing.law.battery import law_pvalues, law_pvalues_of_many, whiten
from sdeplug.testing.law.words import farthest

ALPHA = 1e-3
"""False-alarm rate of one stage; two independent stages have its square."""

_PLAIN = 1e-15  # a p-value so small that a second stage would say nothing new
_AGAIN = 4  # times as many rows in the second stage
_MOST = 65_536  # that are worth it: at least as many as in the first
_PIECE = 4096  # rows in one call of a solver on a CPU, few enough to stay in the cache


@dataclass(frozen=True)
class Specimen:
    """A target to draw from.

    Attributes:
        name: for messages.
        target: the data law.
        rows: how many samples to draw of it.
        narrowest: smallest variance of a component in any direction.
        rows_if_known: how many samples of a solver whose law is known without samples for
            Gaussians and mixtures in two dimensions; 0: none.
    """

    name: str
    target: GaussianMixture
    rows: int
    narrowest: float
    rows_if_known: int = 0

    @property
    def widest(self) -> float:
        """Largest variance of the whole in any direction."""
        return float(torch.linalg.eigvalsh(self.target.covariance)[-1])


@dataclass(frozen=True)
class Cell:
    """Samples of p_t carried to p_s, to be compared with exact ones.

    Attributes:
        specimen: the target and how many rows to draw.
        sde: the forward SDE.
        carry: function (x, run) -> x' from t to s.
        t: time to start at, with exact samples.
        s: time at which the battery is applied.
        tau: relative error that is let pass.
        label: what is tested, for messages.
        finer: the same on a grid of more steps, or with a tighter tolerance, where the solver has
            one: an error that is gone there came from the step, and is no wrong law.
        device: where samples are made and judged; another one has other numbers.
    """

    specimen: Specimen
    sde: LinearSDE
    carry: Callable[[Tensor, Run], Tensor]
    t: float
    s: float
    tau: float
    label: str = ""
    finer: Cell | None = None
    device: str | torch.device = "cpu"

    def on(self, device: str | torch.device) -> Cell:
        """The same on another device, those with finer grids too."""
        finer = self.finer and self.finer.on(device)
        return replace(self, device=device, finer=finer)

    def samples(self, seed: int, rows: int | None = None) -> Tensor:
        """What the solver makes of exact samples at t: float64, shape ``(rows, *shape)``."""
        return self.samples_of_many((seed,), rows)[0]

    def samples_of_many(self, seeds: Sequence[int], rows: int | None = None) -> Tensor:
        """The same for S experiments with one source of noise: ``(S, rows, *shape)``.

        On a CPU a solver gets the rows in pieces, elsewhere all in one call, since there many cost
        hardly more than few.  Where it moves each row by itself, the experiments are independent.
        One that ties the rows of a batch together ties these experiments together.
        """
        target, start = self.specimen.target, self._noise(seeds, "start")
        run, rows = Run(self._noise(seeds, "solver")), rows or self.specimen.rows
        x = target.sample(
            len(seeds) * rows, noise=start, t=self.t, sde=self.sde, dtype=torch.float64,
            device=self.device,
        )  # fmt: skip
        pieces = x.split(_PIECE) if x.device.type == "cpu" else (x,)
        with torch.no_grad():
            ends = torch.cat([self.carry(piece, run) for piece in pieces])
        return ends.reshape(len(seeds), rows, *ends.shape[1:])

    def pvalues(
        self, seed: int, rows: int | None = None, x: Tensor | None = None
    ) -> Mapping[str, float]:
        """The battery (:func:`law_pvalues`) on samples; another seed, another experiment.

        Args:
            seed: which experiment.
            rows: how many samples, unless as many as the specimen has.
            x: what :meth:`samples` gives for these, where it is at hand.
        """
        return law_pvalues(
            self.samples(seed, rows) if x is None else x,
            self.specimen.target, self.s, self.sde, self._noise((seed,), "battery"), self.tau,
        )  # fmt: skip

    def first_stages(self, seeds: Sequence[int]) -> list[CellVerdict]:
        """The first stages of many seeds, made and judged together: a verdict each, in order.

        Args:
            seeds: of :meth:`verdict`; those that are asked together decide the numbers together.
        """
        asked = [3 * seed for seed in seeds]
        found = law_pvalues_of_many(
            self.samples_of_many(asked),
            self.specimen.target, self.s, self.sde, self._noise(asked, "battery"), self.tau,
        )  # fmt: skip
        return [CellVerdict.of(each) for each in found]

    def verdict(self, seed: int, first: Tensor | None = None) -> CellVerdict:
        """Some stages, each with fresh noise and only if all before it reject.

        The second has four times the rows, or 65,536; it is left out after a first that leaves no
        doubt.  Those after it have ever finer grids, if there are any, and the rows of the first;
        the last of them is made twice, as the first is.  The cell fails if all reject: at most
        :data:`ALPHA` squared of all seeds, for a law within tau on the first grid or the finest.

        Args:
            seed: which experiment.
            first: the samples of the first stage, ``samples(3 * seed)``, where they are at hand.
        """
        return self.after(self._stage(3 * seed, 1, x=first), seed)

    def after(self, first: CellVerdict, seed: int) -> CellVerdict:
        """What comes of a first stage: its verdict, or that of the stages after it.

        Args:
            first: the verdict of the first stage of this seed.
            seed: which experiment.
        """
        verdict = self._made_sure(first, seed, 2)
        finer, number = self.finer, 3
        while not verdict.passed and finer is not None:
            verdict = finer._stage(3 * seed + 2, number)
            if finer.finer is None:
                verdict = finer._made_sure(verdict, seed, number)
            finer, number = finer.finer, number + 1
        return verdict

    def _made_sure(self, verdict: CellVerdict, seed: int, number: int) -> CellVerdict:
        """A verdict, or that of more rows where it rejects and leaves a doubt."""
        if not _PLAIN <= verdict.pvalue < ALPHA:
            return verdict
        rows = max(self.specimen.rows, min(_AGAIN * self.specimen.rows, _MOST))
        return self._stage(3 * seed + 1, number, rows)

    def at_stage(self, number: int) -> Cell:
        """The cell that a stage has asked."""
        if number <= 2 or self.finer is None:
            return self
        return self.finer.at_stage(number - 1)

    def _stage(
        self, seed: int, number: int, rows: int | None = None, x: Tensor | None = None
    ) -> CellVerdict:
        """The verdict of one experiment, with its samples."""
        x = self.samples(seed, rows) if x is None else x
        return replace(CellVerdict.of(self.pvalues(seed, x=x), number), samples=x)

    def farthest(self, seed: int, x: Tensor | None = None) -> str:
        """In words, what the samples of an experiment are off by; arguments as for pvalues()."""
        x = self.samples(seed) if x is None else x
        if not bool(x.isfinite().all()):
            return f"{int((~x.flatten(1).isfinite()).any(1).sum())} of {len(x)} rows are not finite"
        noise = self._noise((seed,), "battery")
        return farthest(whiten(x, self.specimen.target, self.s, self.sde, noise))

    def _noise(self, seeds: Sequence[int], part: str) -> SharedNoise:
        """Independent noise for each part of each cell."""
        asked = ",".join(map(str, seeds))
        name = f"{self.specimen.name}/{self.label}/{self.t}/{asked}/{part}"
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        return SharedNoise(int.from_bytes(digest, "little") >> 1)


@dataclass(frozen=True)
class CellVerdict:
    """What a battery says as a whole.

    Attributes:
        statistic: the one with the smallest p-value.
        pvalue: that p-value times the number of statistics (Bonferroni), at most 1.
        stages: the last stage that it took.
        samples: those of that stage, shape ``(rows, *shape)``; not compared.
    """

    statistic: str
    pvalue: float
    stages: int = 1
    samples: Tensor | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, pvalues: Mapping[str, float], stages: int = 1) -> CellVerdict:
        """The verdict of one battery."""
        worst = min(pvalues, key=lambda name: pvalues[name])
        return cls(worst, min(1.0, len(pvalues) * pvalues[worst]), stages)

    @property
    def passed(self) -> bool:
        """Whether the p-value is at least :data:`ALPHA`."""
        return self.pvalue >= ALPHA


@cache
def wide() -> Specimen:
    """A Gaussian of forty numbers in a row, 491,520 in all: an error of 1 % is seen in them."""
    variances = torch.tensor(8 * SPECTRUM, dtype=torch.float64, device="cpu")
    mean = torch.linspace(-1.0, 1.0, len(variances), dtype=torch.float64, device="cpu")
    target = Gaussian(mean, torch.diag(variances))
    return Specimen("a Gaussian", target, 12_288, min(SPECTRUM))


@cache
def specimens() -> tuple[Specimen, ...]:
    """The targets of the statistical tier: 2 to 64 dimensions, full, low-rank and no covariances.

    The digits are a part of those of scikit-learn, and left out where it is not installed.
    """
    return tuple(_specimens())


def _specimens() -> Iterator[Specimen]:
    yield Specimen("eight gaussians", eight_gaussians(), 8192, 0.1**2, 1024)
    yield Specimen("five in 8 dimensions", _five(), 4096, 0.05, 512)
    yield Specimen("points in 16 dimensions", Empirical(2.0 * _drawn(6, 16)), 4096, 0.0)
    yield Specimen("low rank in 32 dimensions", _low_rank(), 2048, 0.0)
    yield Specimen("ten in 64 dimensions", mixture_64(), 512, 0.01)
    try:
        images = digits().means[:256]
    except MissingExtraError:
        return
    yield Specimen("256 digits", Empirical(images), 512, 0.0)


def _five() -> GaussianMixture:
    """Five modes with full covariances, of variances 0.05 to 1 in geometric steps."""
    axes = torch.linalg.qr(_drawn(5, 8, 8))[0]
    variances = torch.logspace(-1.30103, 0.0, 8, dtype=torch.float64, device="cpu")
    return GaussianMixture((1, 2, 3, 4, 5), 2.0 * _drawn(5, 8), factors=axes * variances.sqrt())


def _low_rank() -> GaussianMixture:
    """Three discs of dimension 3, with no variance in the other 29 directions."""
    factors = torch.linalg.qr(_drawn(3, 32, 3))[0]
    return GaussianMixture((1, 2, 3), 1.5 * _drawn(3, 32), factors=factors, std=0.0)


def _drawn(*shape: int) -> Tensor:
    return SharedNoise(20).normal(torch.empty(shape, dtype=torch.float64, device="cpu"))
