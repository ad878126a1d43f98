"""Parity with the reference implementation of Song et al., written out from its tables.

The right-hand sides below share no code with the library: explicit tables (linspace, cumprod), the
SDEs by their formulas, and loops; both sides get the same noise, a script.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from common import normal
from probing import Script
from torch import Tensor

from sdeplug import (
    VESDE,
    VPSDE,
    ArgumentError,
    At,
    Corrected,
    CosineVPSDE,
    OnGrid,
    PairingError,
    ReverseSDE,
    Run,
    SubVPSDE,
    Trajectory,
)
from sdeplug_song import (
    Ancestral,
    AnnealedLangevin,
    EulerMaruyama,
    Hold,
    Langevin,
    ReverseDiffusion,
)

N = 14
SHAPE = (5, 2, 3)
SDES = {"vp": VPSDE(0.2, 9.0), "sub-vp": SubVPSDE(0.2, 9.0), "ve": VESDE(0.02, 30.0)}
EPS = {"vp": 1e-3, "sub-vp": 1e-3, "ve": 1e-5}
EXACT = {"rtol": 1e-12, "atol": 1e-12}
close = torch.testing.assert_close


def score(x: Tensor, t: Tensor) -> Tensor:
    return -(x + 0.3 * torch.sin(x)) / (0.2 + t.reshape(-1, 1, 1))


@dataclass(frozen=True)
class Reference:
    """The reference implementation with N table entries; the time is a number in [0, 1]."""

    kind: str
    flow: bool = False  # probability flow

    @property
    def times(self) -> list[float]:
        return torch.linspace(1.0, EPS[self.kind], N, dtype=torch.float64).tolist()

    @property
    def more_times(self) -> list[float]:
        return [*self.times, *torch.linspace(0.99, 0.013, 31, dtype=torch.float64).tolist()]

    def k(self, t: float) -> int:
        return int(torch.tensor(t * (N - 1), dtype=torch.float64).long())

    @property
    def betas(self) -> Tensor:
        return torch.linspace(0.2 / N, 9.0 / N, N, dtype=torch.float64)

    @property
    def sigmas(self) -> Tensor:
        ends = torch.tensor([0.02, 30.0], dtype=torch.float64).log()
        return torch.exp(torch.linspace(ends[0], ends[1], N, dtype=torch.float64))

    def s(self, x: Tensor, t: float) -> Tensor:
        return score(x, torch.full((len(x),), t, dtype=torch.float64))

    def std(self, t: float) -> Tensor:
        t = torch.tensor(t, dtype=torch.float64)
        log_mean = -0.25 * t**2 * (9.0 - 0.2) - 0.5 * t * 0.2
        return {
            "vp": torch.sqrt(1.0 - torch.exp(2.0 * log_mean)),
            "sub-vp": 1.0 - torch.exp(2.0 * log_mean),
            "ve": 0.02 * (30.0 / 0.02) ** t,
        }[self.kind]

    def sde(self, x: Tensor, t: float) -> tuple[Tensor, Tensor]:
        t = torch.tensor(t, dtype=torch.float64)
        beta = 0.2 + t * (9.0 - 0.2)
        discount = 1.0 - torch.exp(-2.0 * 0.2 * t - (9.0 - 0.2) * t**2)
        log_ratio = torch.tensor(30.0 / 0.02, dtype=torch.float64).log()
        return {
            "vp": (-0.5 * beta * x, torch.sqrt(beta)),
            "sub-vp": (-0.5 * beta * x, torch.sqrt(beta * discount)),
            "ve": (0.0 * x, 0.02 * (30.0 / 0.02) ** t * torch.sqrt(2.0 * log_ratio)),
        }[self.kind]

    def discretize(self, x: Tensor, t: float) -> tuple[Tensor, Tensor]:
        k = self.k(t)
        if self.kind == "vp":
            return torch.sqrt(1.0 - self.betas[k]) * x - x, torch.sqrt(self.betas[k])
        if self.kind == "ve":
            return 0.0 * x, torch.sqrt(self.sigmas[k] ** 2 - self.below(k) ** 2)
        f, g = self.sde(x, t)
        return f / N, g * (1.0 / N) ** 0.5

    def below(self, k: int) -> Tensor:
        return self.sigmas[k - 1] if k > 0 else torch.zeros((), dtype=torch.float64)

    # Predictors: (mean, factor of the noise).

    def euler_maruyama(self, x: Tensor, t: float) -> tuple[Tensor, Tensor]:
        f, g = self.sde(x, t)
        drift = f - (0.5 if self.flow else 1.0) * g**2 * self.s(x, t)
        return x + drift * (-1.0 / N), (0.0 if self.flow else 1.0) * g * (1.0 / N) ** 0.5

    def reverse_diffusion(self, x: Tensor, t: float) -> tuple[Tensor, Tensor]:
        f, g = self.discretize(x, t)
        rev_f = f - (0.5 if self.flow else 1.0) * g**2 * self.s(x, t)
        return x - rev_f, (0.0 if self.flow else 1.0) * g

    def ancestral(self, x: Tensor, t: float) -> tuple[Tensor, Tensor]:
        k = self.k(t)
        if self.kind == "vp":
            beta = self.betas[k]
            return (x + beta * self.s(x, t)) / torch.sqrt(1.0 - beta), torch.sqrt(beta)
        now, below = self.sigmas[k] ** 2, self.below(k) ** 2
        return x + (now - below) * self.s(x, t), torch.sqrt(below * (now - below) / now)

    def none(self, x: Tensor, t: float) -> tuple[Tensor, Tensor]:
        return x, torch.zeros(())

    # Correctors: the state after all inner steps; each takes its draw after the score.

    def alpha(self, t: float) -> float | Tensor:
        return 1.0 if self.kind == "ve" else 1.0 - self.betas[self.k(t)]

    def langevin(self, x: Tensor, t: float, snr: float, steps: int, draws: list[Tensor]) -> Tensor:
        for _ in range(steps):
            grad, noise = self.s(x, t), draws.pop(0)
            grad_norm = torch.norm(grad.reshape(len(x), -1), dim=-1).mean()
            noise_norm = torch.norm(noise.reshape(len(x), -1), dim=-1).mean()
            step = (snr * noise_norm / grad_norm) ** 2 * 2.0 * self.alpha(t)
            x = x + step * grad + torch.sqrt(step * 2.0) * noise
        return x

    def ald(self, x: Tensor, t: float, snr: float, steps: int, draws: list[Tensor]) -> Tensor:
        for _ in range(steps):
            step = (snr * self.std(t)) ** 2 * 2.0 * self.alpha(t)
            x = x + step * self.s(x, t) + torch.sqrt(step * 2.0) * draws.pop(0)
        return x


PREDICTORS = [
    (kind, method, solver, flow)
    for kind in SDES
    for method, solver in (
        ("euler_maruyama", EulerMaruyama(reference_steps=N)),
        ("reverse_diffusion", ReverseDiffusion(reference_steps=N)),
        ("ancestral", Ancestral(reference_steps=N, large_variance=kind == "vp")),
    )
    for flow in (False, True)
    if not (method == "ancestral" and (flow or kind == "sub-vp"))
]


@pytest.mark.parametrize(("kind", "method", "solver", "flow"), PREDICTORS)
def test_predictors(kind, method, solver, flow):
    reference = Reference(kind, flow)
    reverse = ReverseSDE(SDES[kind], score, 0.0 if flow else 1.0)
    x, z = normal(*SHAPE), normal(*SHAPE, seed=1)
    for t in reference.more_times:
        mean, std = getattr(reference, method)(x, t)
        script = Script([] if flow else [z, z])
        # The step has one length, wherever it ends.
        for s in (0.0, 0.9 * t):
            close(solver.integrate(reverse, x, t, s, Run(script)), mean + std * z, **EXACT)
        # Where the factor is 0 no noise need be drawn.
        assert len(script.left) in ((0,) if std > 0.0 else (0, 2))


def test_sub_vp_has_no_chain_of_its_own():
    reverse, x, z = ReverseSDE(SDES["sub-vp"], score), normal(*SHAPE), normal(*SHAPE, seed=1)
    one, other = (
        by.integrate(reverse, x, 0.6, 0.5, Run(Script([z])))
        for by in (EulerMaruyama(reference_steps=N), ReverseDiffusion(reference_steps=N))
    )
    close(one, other, **EXACT)


@pytest.mark.parametrize("sde", [SubVPSDE(), CosineVPSDE()])
def test_ancestral_needs_a_discrete_chain(sde):
    with pytest.raises(PairingError, match="VPSDE or VESDE"):
        Ancestral(reference_steps=N).integrate(
            ReverseSDE(sde, score), normal(*SHAPE), 0.6, 0.5, Run(Script([]))
        )


@pytest.mark.parametrize(
    "solver", [ReverseDiffusion(reference_steps=9), Ancestral(reference_steps=9)]
)
def test_a_table_with_a_beta_of_one_is_refused(solver):
    with pytest.raises(ArgumentError, match="above beta_max = 9"):
        solver.integrate(ReverseSDE(SDES["vp"], score), normal(*SHAPE), 0.6, 0.5, Run(Script([])))


@pytest.mark.parametrize("level", [0.0, 0.5, lambda t: 0.9])
def test_ancestral_tables_are_those_of_stochasticity_one(level):
    with pytest.raises(ArgumentError, match="reference_steps"):
        Ancestral(reference_steps=N).integrate(
            ReverseSDE(VPSDE(), score, level), normal(*SHAPE), 0.6, 0.5, Run(Script([]))
        )


def test_ancestral_of_the_vp_chain_with_the_variance_of_the_posterior():
    """DDPM, arXiv 2006.11239, equation 7: beta (1 - alpha_bar before) / (1 - alpha_bar)."""
    reference, x, z = Reference("vp"), normal(*SHAPE), normal(*SHAPE, seed=1)
    bars = torch.cumprod(1.0 - reference.betas, 0)
    for t in reference.more_times:
        k = reference.k(t)
        before = bars[k - 1] if k else torch.ones((), dtype=torch.float64)
        mean, large = reference.ancestral(x, t)
        std = large * torch.sqrt((1.0 - before) / (1.0 - bars[k]))
        got = Ancestral(reference_steps=N).integrate(
            ReverseSDE(SDES["vp"], score), x, t, 0.0, Run(Script([z]))
        )
        close(got, mean + std * z, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("kind", SDES)
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("method", ["langevin", "ald"])
def test_correctors(kind, steps, method):
    reference, reverse, x = Reference(kind), ReverseSDE(SDES[kind], score), normal(*SHAPE)
    corrector = {
        "langevin": Langevin(0.2, steps, batch_mean=True, reference_steps=N),
        "ald": AnnealedLangevin(0.2, steps, reference_steps=N),
    }[method]
    draws = [normal(*SHAPE, seed=seed) for seed in range(1, 1 + steps)]
    for t in reference.more_times:
        script = Script(draws)
        wanted = getattr(reference, method)(x, t, 0.2, steps, list(draws))
        close(corrector.correct(reverse, x, t, Run(script)), wanted, **EXACT)
        assert not script.left


LOOPS = [
    ("vp", "reverse_diffusion", ReverseDiffusion(reference_steps=N), "langevin", 1),
    ("vp", "ancestral", Ancestral(True, reference_steps=N), "ald", 2),
    ("sub-vp", "euler_maruyama", EulerMaruyama(reference_steps=N), "langevin", 2),
    ("ve", "reverse_diffusion", ReverseDiffusion(reference_steps=N), "langevin", 2),
    ("ve", "ancestral", Ancestral(reference_steps=N), "langevin", 1),
    ("ve", "none", Hold(), "ald", 3),
]


@pytest.mark.parametrize("denoise", [True, False])
@pytest.mark.parametrize(("kind", "method", "predictor", "correction", "steps"), LOOPS)
def test_the_whole_predictor_corrector_loop(kind, method, predictor, correction, steps, denoise):
    """Corrector, then predictor, both at each t_i of linspace(T, eps, N); the last mean."""
    reference, snr = Reference(kind), 0.16
    start = normal(*SHAPE) * (30.0 if kind == "ve" else 1.0)
    draws = [normal(*SHAPE, seed=seed) for seed in range(1, 1 + N * (steps + 1))]
    x, left, states = start, list(draws), []
    for t in reference.times:
        x = getattr(reference, correction)(x, t, snr, steps, left)
        mean, std = getattr(reference, method)(x, t)
        x = mean if method == "none" else mean + std * left.pop(0)
        states.append(x)
    corrector = (
        Langevin(snr, steps, batch_mean=True, reference_steps=N)
        if correction == "langevin"
        else AnnealedLangevin(snr, steps, reference_steps=N)
    )
    # The last step starts at eps; where it ends does not matter to a step of fixed length.
    by = OnGrid(
        Corrected(predictor, corrector, before=True), At(tuple(reference.times[1:])), denoise
    )
    seen = Trajectory()
    reverse = ReverseSDE(SDES[kind], score)
    out = by.integrate(reverse, start, 1.0, 0.0, Run(Script(draws), (seen,)))
    scale = float(start.abs().max())
    assert seen.times == reference.times[1:]
    for got, wanted in zip(seen.states, states[:-1], strict=True):
        close(got, wanted, rtol=1e-11, atol=1e-12 * scale)
    close(out, mean if denoise else x, rtol=1e-11, atol=1e-12 * scale)
