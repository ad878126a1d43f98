r"""The exact law of code that is no plugin.

Any function x -> y that draws from torch's generators is probed by replacing what it draws: torch
is intercepted below it, and uniform numbers are made of normal ones.  A draw is known by the state
of the generator before it, so that noise that is drawn again from the same state adds up in one
column, as it does in the sampler.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from sdeplug.errors import ArgumentError, PairingError
from sdeplug.run import Run
from sdeplug.testing.exact.draws import MADE, Draw
from sdeplug.testing.exact.laws import Law, Sampler, probes, split
from sdeplug.testing.findings import CheckFailed


@dataclass(frozen=True, eq=False)
class ForeignLaw:
    """The law of a stranger's output.

    Attributes:
        law: the law.
        residual: how far real outputs are from what the impulses foretell, relative to the
            largest; some 1e-15 in float64 and 1e-7 in float32 where the function is affine.
        draws: how many different draws it made.
    """

    law: Law
    residual: float
    draws: int

    @property
    def affine(self) -> bool:
        """Whether the residual is that of an affine function, so that the law is exact."""
        return self.residual <= 1e-5


def foreign_law(
    function: Callable[[Tensor], Tensor],
    start: Law,
    *,
    dtype: torch.dtype = torch.float64,
    apart: bool = False,
) -> ForeignLaw:
    """The exact law of the output of any function that draws its noise from torch.

    Args:
        function: x of shape ``(B, D)`` to y of the same shape; with a Gaussian target it should
            be affine in x and its noise, which the result tells.  Noise from elsewhere, such as
            numpy, is not intercepted, and shows as a residual.
        start: law of x.
        dtype: dtype of x.
        apart: whether it keeps coordinates apart, so that one impulse serves them all.

    Raises:
        PairingError: if rows share a draw, or the draws depend on the batch.
    """
    if not dtype.is_floating_point:
        raise ArgumentError("dtype", dtype, "a floating-point dtype")
    dimension = len(start.mean)
    patterns = probes(dimension, apart)
    dry = _run(function, patterns.new_zeros(2, dimension).to(dtype), _Replaced(_zeros))[1]
    count = sum(len(probes(width, apart)) for width in dry.widths)
    rows = patterns.new_zeros(1 + len(patterns) + count, dimension)
    rows[1 : 1 + len(patterns)] = patterns
    impulses = _Replaced(_impulses(1 + len(patterns), dry.widths, apart))
    out, live = _run(function, rows.to(dtype), impulses)
    if live.widths != dry.widths:
        raise PairingError(
            f"it made {len(dry.widths)} draws for one batch and {len(live.widths)} for another: "
            "its draws depend on the data."
        )
    changes = out[1:] - out[0]
    residual = _residual(function, _drawn(start, dtype), out[0], changes, apart)
    return ForeignLaw(split(out[0], changes, apart).law(start), residual, len(dry.widths))


def intercepted(function: Callable[[Tensor], Tensor], strict: bool = True) -> Sampler:
    """Any function that draws its noise from torch, as a sampler that takes it from ``run.noise``.

    What it draws twice from the same state of a generator is the same draw.

    Args:
        function: x of shape ``(B, D)`` to y of the same shape; the result of the sampler is in
            float64.
        strict: whether noise that has not a part for each row is refused, or else left to torch.

    Raises:
        PairingError: by the sampler, if it is strict and rows share a draw.
    """

    def sampler(x: Tensor, run: Run) -> Tensor:
        drawn: dict[int, Tensor] = {}

        def noise(column: int, like: Tensor) -> Tensor:
            if column not in drawn:
                drawn[column] = run.noise.normal(like)
            return drawn[column]

        return _run(function, x, _Replaced(noise, strict))[0]

    return sampler


def demand_noise_for_rows(function: Callable[[Tensor], Tensor], x: Tensor) -> None:
    """All noise that a function draws is of rows of x, of all or of some.

    Args:
        function: x of shape ``(B, D)`` to y of the same shape.
        x: many rows, so that some of them are seldom a single one.

    Raises:
        CheckFailed: if all rows share it.
    """
    replaced = _run(function, x, _Replaced(lambda column, like: torch.randn_like(like), False))[1]
    if replaced.odd and all(len(each) < x.ndim or each[0] == 1 for each in replaced.odd):
        raise CheckFailed(_shared(replaced.odd[0], len(x)))


def _shared(shape: Sequence[int], rows: int) -> str:
    return (
        f"it draws noise of shape {tuple(shape)} for {rows} rows: rows share it, so that they are "
        "not independent samples."
    )


def _impulses(first: int, widths: list[int], apart: bool) -> Callable[[int, Tensor], Tensor]:
    """Noise with impulses in rows from ``first`` on, one block of rows for each draw."""
    patterns = [probes(width, apart) for width in widths]
    begins = [first + sum(map(len, patterns[:k])) for k in range(len(patterns))]

    def noise(column: int, like: Tensor) -> Tensor:
        z = torch.zeros_like(like)
        if column < len(patterns):
            block = patterns[column].to(like)
            z.view(len(like), -1)[begins[column] : begins[column] + len(block)] = block
        return z

    return noise


def _drawn(start: Law, dtype: torch.dtype) -> Tensor:
    """Some rows of a law, the same each time."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(8, len(start.mean), generator=generator, dtype=torch.float64, device="cpu")
    rows: Tensor = x @ torch.linalg.cholesky(start.covariance).T + start.mean
    return rows.to(dtype)


def _residual(
    function: Callable[[Tensor], Tensor], x: Tensor, offset: Tensor, changes: Tensor, apart: bool
) -> float:
    """How far outputs for random inputs and noise are from what the impulses foretell."""
    generator = torch.Generator().manual_seed(1)
    told: list[Tensor] = []

    def random(column: int, like: Tensor) -> Tensor:
        if column == len(told):
            told.append(
                torch.randn(like.shape, generator=generator, dtype=torch.float64, device="cpu")
            )
        return told[column].to(like)

    out, _ = _run(function, x, _Replaced(random))
    inputs = [each.reshape(len(each), -1).to(x.dtype).double() for each in (x, *told)]
    if apart:
        foretold = offset + sum(c * z for c, z in zip(changes, inputs, strict=True))
    else:
        foretold = offset + torch.cat(inputs, 1) @ changes
    return float((out - foretold).abs().max() / out.abs().max().clamp(min=1e-300))


def _run(
    function: Callable[[Tensor], Tensor], x: Tensor, replaced: _Replaced
) -> tuple[Tensor, _Replaced]:
    """The output in float64, and who has counted the draws."""
    replaced.batch = len(x)
    with torch.no_grad(), replaced:
        y = function(x)
    if not isinstance(y, Tensor) or y.shape != x.shape:
        raise ArgumentError("function", y, f"one whose result has the shape {tuple(x.shape)} of x")
    return y.detach().double(), replaced


def _zeros(column: int, like: Tensor) -> Tensor:
    return torch.zeros_like(like)


class _Replaced(TorchDispatchMode):
    """Replaces what torch draws by what a function of (column, tensor alike) says.

    Args:
        noise: function of (column, tensor alike) to normal numbers.
        strict: whether noise that has not a part for each row is refused, or else left to torch as
            other numbers are that rows share.
    """

    def __init__(self, noise: Callable[[int, Tensor], Tensor], strict: bool = True) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.noise, self.strict = noise, strict
        self.batch = 0
        self.columns: dict[bytes, int] = {}
        self.widths: list[int] = []
        self.odd: list[torch.Size] = []  # shapes of noise that has not a part for each row

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.overloadpacket not in MADE:
            return func(*args, **kwargs)
        draw = Draw(func, args, kwargs)
        key = _key(draw)
        # Drawn for real, so that the generator goes on.
        drawn: Tensor = func(*args, **kwargs)
        if drawn.ndim == 0 or len(drawn) != self.batch:
            if draw.normal and self.strict:
                raise PairingError(_shared(drawn.shape, self.batch))
            if draw.normal:
                self.odd.append(drawn.shape)
            return drawn
        kind = drawn.dtype if drawn.dtype.is_floating_point else torch.float64
        return draw.made_of(
            self.noise(self._column(key, drawn), torch.empty_like(drawn, dtype=kind)), drawn
        )

    def _column(self, key: bytes, drawn: Tensor) -> int:
        if key not in self.columns:
            self.columns[key] = len(self.columns)
            self.widths.append(drawn.numel() // self.batch)
        return self.columns[key]


def _key(draw: Draw) -> bytes:
    """The state of the generator that it draws from."""
    generator = draw("generator")
    if generator is None:
        generator = torch.default_generator
    state = generator.get_state().cpu().numpy().tobytes()
    return hashlib.blake2b(state + str(generator.device).encode(), digest_size=16).digest()
