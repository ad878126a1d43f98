r"""The log-density of data under a reverse SDE, along its probability flow.

.. math:: \log p_t(x) = \log p_T(x_T) + \int_t^T \nabla \cdot v(x_u, u)\,du.

Reference: Song et al., arXiv 2011.13456, section 4.3 and appendix D.2.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError, NonFiniteError, PairingError, brief, warn
from sdeplug.likelihood.arguments import (
    checked_data,
    checked_noise,
    checked_time,
)
from sdeplug.likelihood.longer import Densities, Longer, Seen
from sdeplug.likelihood.transport import carried, flow_solver, last_seen, stretch
from sdeplug.noise import NoiseSource, SharedNoise
from sdeplug.observers import Guard
from sdeplug.pipeline import last_time
from sdeplug.reverse import ReverseSDE, Time, checked_reverse
from sdeplug.run import Run
from sdeplug.score import Counted, Exact, Trace, network_of
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Integrator

_FEW, _LARGE = 64, 1.6  # numbers; latents over noise: 0.5 to 1.2 of networks that are right
_ABOVE = 1.001  # of a time: where what begins there to be no number is seen


@dataclass(frozen=True, eq=False, repr=False)
class Likelihood:
    """The log-density of each row, and what it is made of.

    Attributes:
        log_prob: log p_t(x) in nats, shape ``(B,)``: ``prior`` plus ``flow``.
        std_error: standard error of ``log_prob`` over the probes, ``(B,)``; None where the
            divergence is exact, or one probe tells of none.
        latent: where the flow carries x, at T: shape ``(B, *D)``.
        prior: log-density of the latent under the prior, in nats, ``(B,)``.
        flow: integral of the divergence from t to T, in nats, ``(B,)``.
        t: the time of x.
        nfe: score evaluations of the whole batch, counted at the score.
        products: vector-Jacobian products of the whole batch.
        seconds: wall time.
    """

    log_prob: Tensor
    std_error: Tensor | None
    latent: Tensor
    prior: Tensor
    flow: Tensor
    t: float
    nfe: int
    products: int
    seconds: float

    def __repr__(self) -> str:
        mean = float(self.log_prob.detach().mean())
        return (
            f"Likelihood({len(self.log_prob)} rows, mean log p = {mean:.6g} nats, t={self.t:g}, "
            f"nfe={self.nfe}, products={self.products}, seconds={self.seconds:.3g})"
        )


def log_likelihood(
    reverse: ReverseSDE,
    x: Tensor,
    by: Integrator | None = None,
    *,
    divergence: Trace = Exact(),  # noqa: B008  a frozen value
    t: float | None = None,
    noise: NoiseSource | None = None,
    chunk: int | None = None,
    gradients: bool = False,
) -> Likelihood:
    """The log-density log p_t(x), in nats, of what the probability flow makes of the prior.

    Args:
        reverse: the reverse SDE; its stochasticity does not matter.
        x: data, shape ``(B, *D)``, of any rank; taken as states at time t.
        by: any flow integrator: one that chooses its steps, or one on a grid, from T to t, which
            is run from its end to its start.  None: ``adaptive/row-tsit5`` at a tolerance of 1e-6.
        divergence: :class:`Exact`, :class:`Hutchinson` or :class:`Hutch`.
        t: the time of the density; None: eps, where sampling ends.
        noise: where the probes come from; None: ``SharedNoise(0)``.
        chunk: vector-Jacobian products that are computed at once; None: as many as make some
            millions of numbers.
        gradients: whether the result can be differentiated in x and in the network's parameters;
            memory then grows with the steps.

    Raises:
        ArgumentError: for x or t that do not fit, before anything is computed.
        PairingError: for a solver that cannot carry the longer state, or a network that hides its
            derivative.
        NonFiniteError: if a term is not finite; it says which, where and when.
        StepError: if an adaptive solver finds no step.
    """
    forward = checked_reverse(reverse).forward
    probes = checked_noise(noise).stream("probes")
    _check_parts(divergence, chunk)
    start = checked_time(t, forward, last_time(forward))
    solver = flow_solver(by, forward, start)
    if gradients and not solver.claims.differentiable:
        raise PairingError(f"by = {solver!r}: must be one that gradients go through.")
    began = time.perf_counter()
    with torch.inference_mode(False), torch.set_grad_enabled(gradients):
        x = checked_data(x)
        counted = Counted(Seen(reverse.score_model))
        field = Densities(
            replace(reverse, score_model=counted), x, divergence,
            divergence.directions(x.detach(), probes), chunk, gradients,
        )  # fmt: skip
        y = _carried_up(solver, field, field.begin(x), start, counted)
        z, flow = field.end(y)
        ratio = stretch(forward)
        terms = _Terms(z * ratio, flow + field.size * math.log(ratio), forward.T)
        prior = terms.finite("prior", forward.prior_log_prob(terms.latent))
        total = terms.finite("flow", terms.flow.mean(0))
    _look(reverse, terms.latent)
    return Likelihood(
        prior + total, _std_error(terms.flow), terms.latent, prior, total, start,
        counted.nfe, field.products, time.perf_counter() - began,
    )  # fmt: skip


@torch.no_grad()
def _look(reverse: ReverseSDE, latent: Tensor) -> None:
    """Warn if a network makes no noise of the data, as one that is told another time."""
    forward, given = reverse.forward, network_of(reverse.score_model)
    if given is None or latent.numel() < _FEW or not isinstance(forward, LinearSDE):
        return
    size = float(latent.square().mean().sqrt()) / forward.at(forward.T).sigma
    if size > _LARGE:
        warn(
            f"{brief(given, 200)}: what it makes of these data is {size:.2g} times as large as "
            "noise. Are they in its units, is it told the time as in its training, and does it "
            "predict what is said? diagnose(reverse, data) says more."
        )


@dataclass(frozen=True)
class _Terms:
    """What the flow gave, and the check that it is a number."""

    latent: Tensor
    flow: Tensor
    t: float

    def finite(self, name: str, value: Tensor) -> Tensor:
        bad = ~value.detach().isfinite()
        if bool(bad.any()):
            row = int(bad.nonzero()[0])
            raise NonFiniteError(
                f"row {row}: the term {name!r} of its log-density is not finite at t = {self.t:g}.",
                t=self.t, row=row, last=self.latent.detach(), last_t=self.t,
            )  # fmt: skip
        return value


def _check_parts(divergence: object, chunk: object) -> None:
    if not isinstance(divergence, Trace):
        raise PairingError(
            f"divergence = {brief(divergence)}: must be Exact(), Hutchinson(probes) or "
            "Hutch(probes)."
        )
    if chunk is not None and (isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1):
        raise ArgumentError("chunk", chunk, "a whole number of products, at least 1")


def _carried_up(by: Integrator, field: Densities, y: Tensor, t: float, counted: Counted) -> Tensor:
    reverse, guard = field.reverse, Guard()
    end = last_seen(reverse.forward)

    def select(rows: Tensor | None, batch: int) -> None:
        field.select(rows)
        counted.select(rows, batch)

    run = Run(SharedNoise(0), count=lambda: counted.nfe, select=select, guard=guard.pass_by)
    longer = Longer(reverse.forward, reverse.score_model, field=field)
    try:
        guard.look(t, y.detach())
        moved = carried(by, longer, y, t, end, run)
        guard.look(end, moved.detach())
    except NonFiniteError as error:
        raise _located(error, by, field) from None
    return moved


def _located(error: NonFiniteError, by: Integrator, field: Densities) -> NonFiniteError:
    """The same error, with the term that is to blame."""
    x = None if error.last is None else field.end(error.last)[0]
    return NonFiniteError(
        f"{by!r}: {error.message} {_term(error, field)}",
        t=error.t, row=error.row, last=x, last_t=error.last_t, times=error.times,
        step=error.step, solver=repr(by),
    )  # fmt: skip


def _term(error: NonFiniteError, field: Densities) -> str:
    """Which term is not finite near the last state that was."""
    if error.last is None or error.last_t is None:
        return ""
    field.select(None)
    for t in _near(error, error.last_t, field.reverse.forward.T):
        velocity, divergence = field.parts(error.last, t)
        parts = {"velocity of the flow": velocity.flatten(1), "divergence": divergence.T}
        for name, part in parts.items():
            if not bool(part[error.row].isfinite().all()):
                return f"The {name} is not finite there."
    return "Velocity and divergence are finite at the last finite state: use smaller steps."


def _near(error: NonFiniteError, last: float, end: float) -> Sequence[Time]:
    """Times between the last finite state and the first that is not, or just above."""
    if error.times is not None:
        return error.times, (error.times * _ABOVE).clamp(max=end)
    return last, 0.5 * (last + error.t), error.t, min(error.t * _ABOVE, end)


def _std_error(flow: Tensor) -> Tensor | None:
    """Standard error of the mean of K estimates, ``(K, B)``."""
    return flow.std(0) / math.sqrt(len(flow)) if len(flow) > 1 else None
