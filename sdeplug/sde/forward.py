r"""What a forward SDE is: how data turn into noise.

.. math:: dx = f(x, t)\,dt + g(t)\,dw, \qquad 0 \le t \le T.

Reference: Song et al., arXiv 2011.13456, section 3.1.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError, argument_type
from sdeplug.noise import NoiseSource
from sdeplug.options import Configured

_WIDTH = 40  # characters that a value has in a representation


class ForwardSDE(Configured, ABC):
    """dx = f(x, t) dt + g(t) dw on 0 <= t <= T.

    Attributes:
        T: end of time, where x is noise.
        eps: smallest time that sampling uses.
    """

    T: float = 1.0
    eps: float = 1e-3

    def __repr__(self) -> str:
        """The class with T, eps and what the instance holds; a dataclass writes its own."""
        held = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        parts = {**held, "T": self.T, "eps": self.eps}
        told = ", ".join(f"{name}={_brief(value)}" for name, value in parts.items())
        return f"{type(self).__name__}({told})"

    @abstractmethod
    def drift(self, x: Tensor, t: Tensor) -> Tensor:
        """f: x of shape ``(B, *D)``, t of shape ``(B,)`` or ``()``, to ``(B, *D)``."""

    @abstractmethod
    def diffusion(self, t: Tensor) -> Tensor:
        """g: of the shape of t, ``(B,)`` or ``()``, and where t is; or, for noise that differs
        between coordinates (diagonal noise), for each time a tensor that broadcasts against one
        sample: ``(B, *S)`` or ``S``."""

    @abstractmethod
    def prior(
        self,
        shape: Sequence[int],
        noise: NoiseSource,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Draw x_T of the given shape ``(B, *D)``."""

    @abstractmethod
    def prior_log_prob(self, x: Tensor) -> Tensor:
        """Log-density of the prior at x of shape ``(B, *D)``: shape ``(B,)``, in nats."""

    def validate(self) -> None:
        """Check the SDE as a whole; called when a reverse SDE is built.

        Raises:
            ArgumentError: unless 0 <= eps < T, and g has one of its shapes.
        """
        if not 0.0 <= self.eps < self.T < math.inf:
            raise ArgumentError("eps", self.eps, f"a time with 0 <= eps < T = {self.T}")
        self._noise_is_sound  # noqa: B018  evaluated once, remembered

    def drift_at(self, x: Tensor, t: float) -> Tensor:
        """f at one time for the whole batch, as solvers ask for it: ``(B, *D)``."""
        # Filled in, not copied: a copy to an accelerator waits for it.
        time = torch.full((), t, dtype=torch.float64, device=x.device)
        return self.drift(x, time).to(x.dtype)

    def diffusion_at(self, t: float) -> float | Tensor:
        """g at one time, as solvers ask for it: a number, or a tensor that broadcasts against one
        sample (diagonal noise)."""
        g = self.diffusion(torch.tensor(t, dtype=torch.float64, device="cpu"))
        return g if g.numel() > 1 else float(g)

    def prepare(self, times: Sequence[float]) -> None:
        """Called with all times of a grid before they are used; a place to tabulate."""

    @cached_property
    def _noise_is_sound(self) -> bool:
        for count in (2, 3):  # of one count alone a constant might have the shape by chance
            g = self.diffusion(
                torch.linspace(self.eps, self.T, count, dtype=torch.float64, device="cpu")
            )
            allowed = f"for {count} times of shape ({count},), or ({count}, *D) for diagonal noise"
            if not isinstance(g, Tensor):
                argument_type("diffusion", g, f"a tensor, {allowed}")
            if g.ndim and len(g) != count and (g.ndim == 1 or len(g) != 1):
                raise ArgumentError(
                    "diffusion", f"a tensor of shape {tuple(g.shape)}", allowed,
                    "beta(t)[..., None] * rates has the rates of the coordinates for each time.",
                )  # fmt: skip
        return True


def _brief(value: object) -> str:
    """A value on a part of a line: tensors by their shape."""
    if isinstance(value, Tensor) and value.ndim:
        return f"<tensor of shape {tuple(value.shape)}>"
    text = repr(value)
    return text if len(text) <= _WIDTH and "\n" not in text else f"<{type(value).__name__}>"


def expand(t: Tensor, x: Tensor) -> Tensor:
    """Give t the rank of x, so that it multiplies row by row.

    Args:
        t: one number for each row, or one tensor that broadcasts against one sample: shape
            ``(B,)`` or ``(B, *S)``; one number for all of them, ``()``, stays as it is.
        x: shape ``(B, *D)``.
    """
    if not t.ndim:
        return t
    return t.reshape(t.shape[:1] + (1,) * (x.ndim - t.ndim) + t.shape[1:])


def fitted(factor: Tensor, x: Tensor) -> Tensor:
    """A tensor that broadcasts against x of shape ``(B, *D)``, in the dtype of x and where x is.

    Raises:
        ArgumentError: if the product with x would not have the shape of x.
    """
    pairs = zip(reversed(factor.shape), reversed(x.shape), strict=False)
    if factor.ndim > x.ndim or any(mine not in (1, its) for mine, its in pairs):
        raise ArgumentError(
            "diffusion", f"a tensor of shape {tuple(factor.shape)}",
            f"one that broadcasts against x of shape {tuple(x.shape)}",
            "One number g(t), or one for each coordinate of a sample.",
        )  # fmt: skip
    return factor.to(x)


def added(x: Tensor, y: Tensor, factor: float | Tensor) -> Tensor:
    """x + factor y, in one pass over the batch where the factor is a number.

    In half precision it takes two: torch would round the factor first.
    """
    if isinstance(factor, Tensor) or x.dtype.itemsize < torch.float32.itemsize:
        return x + factor * y
    return x.add(y, alpha=factor)


def in_float32(x: Tensor) -> Tensor:
    """x as it is computed with: half precision in float32, float32 and float64 as they are.

    The coefficients of a schedule, and the squares of large states, are beyond float16, and
    bfloat16 cannot tell a state from what a short step makes of it.
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))
