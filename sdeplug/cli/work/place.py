"""Where samples live: a device that works, with room for them."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch

from sdeplug.errors import ArgumentError

_DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class Place:
    """A device and a dtype, as words.

    Attributes:
        device: as torch names it.
        dtype: "float32" or "float64".

    Raises:
        ArgumentError: if a number cannot go there and come back.
    """

    device: str = "cpu"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        try:
            torch.ones(1, device=self.device, dtype=self.torch_dtype).tolist()
        except (RuntimeError, AssertionError, TypeError, ValueError) as error:
            hint = "`sdeplug doctor` lists the devices."
            allowed = f"a device of this machine that computes in {self.dtype}"
            raise ArgumentError("device", self.device, allowed, hint) from error

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype."""
        return _DTYPES[self.dtype]

    def demand_room(self, samples: int, shape: Sequence[int]) -> None:
        """Refuse a number of samples that cannot be held, before anything is allocated.

        Args:
            samples: how many.
            shape: of one.

        Raises:
            ArgumentError: if there are none, or a state and the score at it need more memory than
                there is.
        """
        if samples < 1:
            raise ArgumentError("samples", samples, "at least 1")
        memory = self._memory()
        most = memory // (2 * self.torch_dtype.itemsize * math.prod(shape))
        if samples > most:
            gigabytes = f"{memory / 2**30:.0f} GiB of memory"
            raise ArgumentError("samples", samples, f"at most {most}", f"There are {gigabytes}.")

    def _memory(self) -> int:
        """Bytes that the device has; where they are unknown, as many as can be addressed."""
        if torch.device(self.device).type == "cuda":
            return int(torch.cuda.mem_get_info(self.device)[1])
        with suppress(AttributeError, ValueError, OSError):  # not every system has these names
            return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return 2**48
