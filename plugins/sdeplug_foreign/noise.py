"""Noise at the doors to other libraries.

Samplers that draw their own have it replaced by ``run.noise``; solvers that are called from another
library draw as it does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from sdeplug import NoiseSource

_aten = torch.ops.aten
_DRAWS = {_aten.randn, _aten.randn_like}


class Replaced(TorchDispatchMode):
    """While it is entered, ``torch.randn`` and ``torch.randn_like`` ask a noise source.

    Torch's generators are neither read nor moved on, and leaving the block restores everything.

    Args:
        noise: where normal numbers come from instead.
    """

    def __init__(self, noise: NoiseSource) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.noise = noise
        self._asleep = False

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """A block in which draws are left alone: a score model may have randomness of its own."""
        before, self._asleep = self._asleep, True
        try:
            yield
        finally:
            self._asleep = before

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Answer the two kinds of draw from the source; pass everything else on."""
        kwargs = kwargs or {}
        if self._asleep or func.overloadpacket not in _DRAWS:
            return func(*args, **kwargs)
        known = {key: kwargs[key] for key in ("dtype", "device") if kwargs.get(key) is not None}
        make = torch.empty_like if func.overloadpacket is _aten.randn_like else torch.empty
        return self.noise.normal(make(args[0], **known))


class Drawing(NoiseSource):
    """Noise drawn by torch.

    Args:
        generator: of the device of the state; None: torch's own.
    """

    def __init__(self, generator: torch.Generator | None = None) -> None:
        self.generator = generator

    def normal(self, like: Tensor) -> Tensor:
        """Fresh N(0, I) numbers of the shape, dtype and device of ``like``."""
        return torch.randn(
            like.shape, generator=self.generator, dtype=like.dtype, device=like.device
        )
