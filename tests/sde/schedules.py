"""Closed forms of the schedules of the core, and a schedule of two functions."""

from __future__ import annotations

import math

import torch

from sdeplug.sde import EDMSDE, VESDE, VPSDE, CosineVPSDE, LinearSDE, SubVPSDE


def integral_of_beta(t: float) -> float:
    return 0.1 * t + 19.9 * t**2 / 2


def cosine(t: float) -> float:
    return math.cos(math.pi / 2 * (t + 0.008) / 1.008)


CLOSED = {  # alpha, sigma^2, a, g^2
    VPSDE: lambda t: (
        math.exp(-integral_of_beta(t) / 2),
        -math.expm1(-integral_of_beta(t)),
        -(0.1 + 19.9 * t) / 2,
        0.1 + 19.9 * t,
    ),
    SubVPSDE: lambda t: (
        math.exp(-integral_of_beta(t) / 2),
        math.expm1(-integral_of_beta(t)) ** 2,
        -(0.1 + 19.9 * t) / 2,
        -(0.1 + 19.9 * t) * math.expm1(-2 * integral_of_beta(t)),
    ),
    VESDE: lambda t: (
        1.0,
        (0.01 * 5000**t) ** 2,
        0.0,
        (0.01 * 5000**t) ** 2 * 2 * math.log(5000),
    ),
    CosineVPSDE: lambda t: (
        cosine(t) / cosine(0),
        1 - (cosine(t) / cosine(0)) ** 2,
        -math.pi / 2.016 * math.tan(math.pi / 2 * (t + 0.008) / 1.008),
        math.pi / 1.008 * math.tan(math.pi / 2 * (t + 0.008) / 1.008),
    ),
    EDMSDE: lambda t: (1.0, t**2, 0.0, 2 * t),
}


class Linear(LinearSDE):
    """The example of LinearSDE's docstring."""

    def log_alpha(self, t):
        return torch.log1p(-t / 2)

    def sigma(self, t):
        return t
