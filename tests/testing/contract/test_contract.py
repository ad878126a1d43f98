"""Tier 0 of the harness: each check fails the solver that is wrong, and passes those that are
right."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from types import ModuleType

import numpy as np
import pytest
import torch

import sdeplug as sp
from sdeplug import Claims, Corrector, FlowIntegrator, Integrator, LinearSDE, option
from sdeplug.testing import CHECKS, CheckFailed, NotApplicable
from sdeplug.testing.contract import halves, sizes
from sdeplug.testing.doors import CONTRACT

BY_NAME = {check.__name__: check for check in CONTRACT}
EM = sp.solver("song/euler-maruyama")
LANGEVIN = sp.solver("song/langevin")


@dataclass(frozen=True)
class Right(Integrator):
    """Euler-Maruyama: what every wrong solver below is but for one thing."""

    claims = Claims(order=1, evaluations=1)

    def integrate(self, reverse, x, t, s, run):
        h = t - s
        return self.noisy(reverse, x - h * reverse.drift(x, t), t, s, run)

    def noisy(self, reverse, x, t, s, run):
        scale = math.sqrt(t - s) * reverse.diffusion(t)
        return x + scale * run.noise.normal(x) if scale else x


def wrong(body: Callable, base: type = Right, **more: object) -> Integrator:
    """A solver like ``base`` whose step is ``body(right_step, self, reverse, x, t, s, run)``."""

    def integrate(self, reverse, x, t, s, run):
        def right(x, t=t, s=s):
            return super(cls, self).integrate(reverse, x, t, s, run)

        return body(right, reverse, x, t, s, run)

    cls = dataclass(frozen=True)(type("Wrong", (base,), {"integrate": integrate, **more}))
    return cls()


# Values


@dataclass
class Mutable(Integrator):
    size: float = 1.0

    def integrate(self, reverse, x, t, s, run):
        return x


@dataclass(frozen=True, eq=False)
class ByIdentity(Integrator):
    def integrate(self, reverse, x, t, s, run):
        return x


@dataclass(frozen=True, eq=False)
class EqualToAll(Right):
    def __eq__(self, other):
        return True

    def __hash__(self):
        return 0


@dataclass(frozen=True, repr=False)
class Nameless(Right):
    size: float = option(1.0, help="anything")

    def __repr__(self):
        return "Nameless()"


@dataclass(frozen=True)
class Unchecked(Right):
    size: float = option(1.0, help="anything", gt=0.0)

    def __post_init__(self):
        pass


@dataclass(frozen=True)
class CheckedLate(Right):
    size: float = option(1.0, help="anything", gt=0.0)

    def __post_init__(self):
        math.log(self.size)
        super().__post_init__()


@dataclass(frozen=True)
class Stages(Right):
    """Claims the same cost whatever the option."""

    stages: int = option(1, help="steps inside", ge=1)

    def integrate(self, reverse, x, t, s, run):
        for k in range(self.stages):
            late, early = (t + (s - t) * n / self.stages for n in (k, k + 1))
            x = super().integrate(reverse, x, late, s if k + 1 == self.stages else early, run)
        return x


@dataclass(frozen=True)
class Doubling(Right):
    size: float = option(1.0, help="doubled when built")

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "size", 2.0 * self.size)


@dataclass(frozen=True)
class WithFunction(Right):
    shape: Callable[[float], float] = option(math.sin, help="of the noise")


# Memory between steps


@dataclass(frozen=True)
class RemembersOnItself(Right):
    """A multistep method that keeps its last slope on the solver."""

    claims = Claims(order=1, evaluations=1, stochastic=False)

    def begin(self, reverse, run):
        object.__setattr__(self, "last", None)

        def advance(x, t, s):
            slope = reverse.flow(x, t)
            last = vars(self)["last"]
            object.__setattr__(self, "last", slope)
            return x + (s - t) * (slope if last is None else 1.5 * slope - 0.5 * last)

        return advance

    def integrate(self, reverse, x, t, s, run):
        return self.begin(reverse, run)(x, t, s)


@dataclass(frozen=True)
class Warming(Right):
    """Its first step is half of what ``integrate()`` does."""

    def begin(self, reverse, run):
        return lambda x, t, s: self.integrate(reverse, x, t, 0.5 * (t + s), run)


COUNTER = count()


@dataclass(frozen=True)
class CountsSequences(Right):
    """Every second sequence of steps runs backwards in its noise."""

    def begin(self, reverse, run):
        sign = 1.0 if next(COUNTER) % 2 else -1.0
        return lambda x, t, s: sign * self.integrate(reverse, x, t, s, run)


# Flows


@dataclass(frozen=True)
class DownOnly(FlowIntegrator):
    claims = Claims(order=1, stochastic=False, evaluations=1)

    def flow(self, field, y, t, s, run):
        return y - abs(t - s) * field(y, t)


@dataclass(frozen=True)
class AsksAhead(DownOnly):
    def flow(self, field, y, t, s, run):
        return y + (s - t) * field(y, max(s + (s - t), 0.0) if s > 0.0 else t)


# Correctors


@dataclass(frozen=True)
class Wanders(Corrector):
    """Asks for the score at another time than its own."""

    claims = Claims(evaluations=1, floor=math.inf)

    def correct(self, reverse, x, t, run):
        return x + 1e-3 * reverse.score(x, 0.9 * t) + 0.01 * run.noise.normal(x)


BUFFER: dict[tuple[int, ...], torch.Tensor] = {}


def _into_buffer(right, reverse, x, t, s, run):
    out = right(x)
    kept = BUFFER.setdefault((*x.shape, out.element_size()), torch.empty_like(out))
    return kept.copy_(out)


def _raw_score(right, reverse, x, t, s, run):
    reverse.score_model(x, torch.tensor(t))
    return right(x)


def _in_place(right, reverse, x, t, s, run):
    x *= 1.0
    return right(x.add_(0.5).clone())


def _globally(right, reverse, x, t, s, run):
    return right(x) + 0.0 * torch.randn(())


def _numpy(right, reverse, x, t, s, run):
    return right(x) + 0.0 * np.random.rand()


def _python(right, reverse, x, t, s, run):
    return right(x) + 0.0 * random.random()


def _entropy(right, reverse, x, t, s, run):
    return right(x) + 1e-3 * np.random.default_rng().normal()


def _always_noisy(right, reverse, x, t, s, run):
    return right(x) + 0.1 * run.noise.normal(x)


def _no_grad(right, reverse, x, t, s, run):
    with torch.no_grad():
        return right(x)


def _partly_detached(right, reverse, x, t, s, run):
    return right(x) + 0.1 * x.detach().square()


def _mean_noise(right, reverse, x, t, s, run):
    g = torch.as_tensor(reverse.diffusion(t, x)).mean()
    return x - (t - s) * reverse.drift(x, t) + math.sqrt(t - s) * g * run.noise.normal(x)


def _needs_alpha(right, reverse, x, t, s, run):
    return right(x) * (reverse.linear.at(s).alpha / reverse.linear.at(s).alpha)


def _twice(right, reverse, x, t, s, run):
    reverse.score(x, t)
    return right(x)


def _late_score(right, reverse, x, t, s, run):
    reverse.score(x, max(s - 1e-6, 0.0))
    return right(x)


def _by_place(right, reverse, x, t, s, run):
    places = torch.arange(len(x), dtype=x.dtype).reshape(-1, *(1,) * (x.ndim - 1))
    return right(x) + 1e-3 * places


def _unbounded(right, reverse, x, t, s, run):
    return right(x) * math.sqrt(abs(t - s) / (s - reverse.forward.eps) if s else 1.0)


def _raw_log(right, reverse, x, t, s, run):
    return right(x) + 1e-9 * torch.tensor(s - reverse.forward.eps, dtype=x.dtype).log()


def _longer(right, reverse, x, t, s, run):
    return right(x, t, s - 1e-3 if s > 1e-3 else s)


def _in_half(right, reverse, x, t, s, run):
    return right(x.half().to(x.dtype) if x.dtype == torch.float32 else x)


def _differences(right, reverse, x, t, s, run):
    """A step of higher order, by the slope of the score in time."""
    early, slope = t - 1e-3 * (t - s), reverse.score(x, t)
    slope = (slope - reverse.score(x, early)) / (t - early) if t > s else slope
    return right(x) - (t - s) ** 2 * reverse.diffusion(t) ** 2 * slope


EVALUATIONS_2 = {"claims": Claims(order=1, evaluations=2)}
WRONG = [
    ("check_value", Mutable(), "frozen=True"),
    ("check_value", ByIdentity(), "differs from it"),
    ("check_value", EqualToAll(), "equals everything"),
    ("check_value", WithFunction(lambda t: t), "pickled"),
    ("check_representation", Nameless(), "size="),
    ("check_options", Unchecked(), "accepted"),
    ("check_options", CheckedLate(), "not an ArgumentError"),
    ("check_other_options", Stages(), "make claims a property"),
    ("check_claims", wrong(_needs_alpha), "needs=LinearSDE"),
    ("check_claims", wrong(_mean_noise), "neighbours with other noise"),
    ("check_claims", wrong(lambda right, r, x, *_: right(x), claims={"order": 1}), "Claims"),
    ("check_shapes_and_dtypes", wrong(lambda f, r, x, *_: f(x).flatten(1)), "x became shape"),
    ("check_shapes_and_dtypes", wrong(lambda f, r, x, *_: f(x).double()), "float64"),
    ("check_shapes_and_dtypes", wrong(lambda f, r, x, *_: f(x) * math.nan), "not finite"),
    ("check_shapes_and_dtypes", wrong(lambda f, r, x, *_: f(x).tolist()), "became list"),
    ("check_memory", wrong(_in_place), "was written to"),
    ("check_memory", wrong(_into_buffer), "output of the first"),
    ("check_memory", wrong(lambda f, r, x, *_: x[:]), "view of x"),
    ("check_score_times", wrong(_late_score), "outside"),
    ("check_score_times", Wanders(), "outside"),
    ("check_score_inputs", wrong(_raw_score), "reverse.score"),
    ("check_score_inputs", wrong(lambda f, r, x, t, *_: f(x) + r.score(x / 0.0, t)), "finite"),
    ("check_evaluations", wrong(_twice), "made 2"),
    ("check_evaluations", wrong(lambda f, r, x, *_: f(x), **EVALUATIONS_2), "made 1"),
    ("check_affine", wrong(lambda f, r, x, *_: f(x).clamp(-1.0, 1.0)), "affine=False"),
    ("check_randomness", wrong(_globally), "global generator"),
    ("check_randomness", wrong(_numpy), "global generator"),
    ("check_randomness", wrong(_python), "global generator"),
    ("check_randomness", wrong(_entropy), "another result"),
    ("check_stochastic_claim", wrong(lambda f, r, x, t, s, run: x), "stochastic=True"),
    (
        "check_stochastic_claim",
        wrong(lambda f, r, x, *_: f(x), claims=Claims(stochastic=False)),
        "drew noise 1",
    ),
    ("check_stochasticity", wrong(_always_noisy), "stochasticity 0"),
    ("check_batch_independence", wrong(lambda f, r, x, *_: f(x) - x.mean()), "neighbours"),
    ("check_permutation", wrong(_by_place), "order changed"),
    ("check_near_eps", wrong(_unbounded), "ZeroDivisionError"),
    ("check_near_eps", wrong(_raw_log), "not finite"),
    ("check_short_span", wrong(_longer), "x moved"),
    ("check_first_step", Warming(), "differ by"),
    ("check_split", CountsSequences(), "closure"),
    ("check_interleaved", RemembersOnItself(), "not onto the solver"),
    ("check_directions", DownOnly(), "up in time"),
    ("check_directions", AsksAhead(), "asked for at"),
    ("check_precision", wrong(_in_half), "float32"),
    ("check_half_precision", wrong(_differences), "differences of scores"),
    ("check_gradient", wrong(_no_grad), "no gradient"),
    ("check_gradient", wrong(_partly_detached), "detached"),
]


@pytest.mark.parametrize(
    ("check", "solver", "says"),
    WRONG,
    ids=[f"{check}-{type(solver).__name__}-{n}" for n, (check, solver, _) in enumerate(WRONG)],
)
def test_a_wrong_solver_fails_the_check_that_is_made_for_it(check, solver, says):
    with pytest.raises(CheckFailed, match=says):
        BY_NAME[check](solver)


def _single(right, reverse, x, t, s, run):
    return right(x.float().double())  # differences of this are those of its rounding


def _lost(right, reverse, x, t, s, run):
    return right(x) * float("nan")


def test_gradients_can_be_claimed_away():
    blunt = wrong(_no_grad, claims=replace(Right.claims, differentiable=False))
    with pytest.raises(NotApplicable, match="no gradients"):
        BY_NAME["check_gradient"](blunt)


@pytest.mark.parametrize("body", [_single, _lost])
def test_the_gradient_is_not_blamed_for_what_is_wrong_with_the_value(body):
    BY_NAME["check_gradient"](wrong(body))
    named = "check_precision" if body is _lost else "check_affine"
    with pytest.raises(CheckFailed):
        BY_NAME[named](wrong(body))


def test_every_check_has_a_solver_that_fails_it():
    elsewhere = {"check_spec", "check_device"}  # below; and where there is an accelerator
    elsewhere |= {each.__name__ for each in (*halves.CHECKS, *sizes.CHECKS)}  # files of their own
    assert {check for check, *_ in WRONG} | elsewhere == set(BY_NAME)


def outcome(check, solver) -> str:
    try:
        check(solver)
    except NotApplicable as reason:
        return f"not applicable: {reason}"
    return "passed"


def outcomes(solver) -> dict[str, str]:
    return {check.__name__: outcome(check, solver) for check in CONTRACT}


RIGHT = [
    Right(),
    EM,
    sp.solver("song/reverse-diffusion"),
    sp.solver("song/ancestral"),
    sp.solver("song/ancestral", large_variance=True),
    sp.solver("song/hold"),
    LANGEVIN,
    sp.solver("song/langevin", batch_mean=True),
    sp.solver("song/annealed-langevin"),
    sp.solver("ode/euler"),
    sp.solver("ode/heun"),
    sp.solver("ode/rk4"),
    sp.solver("ode/adams-bashforth", order=4),
    sp.Corrected(EM, LANGEVIN),
    sp.Corrected(sp.solver("ode/adams-bashforth"), LANGEVIN, before=True),
    sp.OnGrid(sp.solver("ode/heun"), sp.At((0.5, 0.3))),
    sp.OnGrid(sp.Corrected(EM, LANGEVIN), sp.Uniform(2), noiseless_last=True),
    sp.Denoise(),
    sp.OnGrid(sp.Denoise(), sp.Uniform(1)),
    sp.solver("song/euler-maruyama", reference_steps=1000),
    sp.solver("song/ancestral", reference_steps=1000),
    pytest.param(sp.OnGrid(EM, sp.LogSNR(4)), marks=pytest.mark.slow),
]


@pytest.mark.parametrize("solver", RIGHT, ids=lambda solver: repr(solver)[:60])
@pytest.mark.thorough
def test_a_right_solver_passes_every_check(solver):
    found = outcomes(solver)
    assert found["check_randomness"] == "passed"
    assert all(len(said) > len("not applicable: ") or said == "passed" for said in found.values())


def test_what_does_not_apply_says_so():
    applies = {name for name, said in outcomes(LANGEVIN).items() if said == "passed"}
    steps = {"check_first_step", "check_split", "check_interleaved", "check_short_span"}
    assert not applies & (steps | {"check_directions", "check_affine", "check_stochasticity"})
    assert {"check_options", "check_spec", "check_evaluations", "check_gradient"} <= applies


@pytest.mark.parametrize(("name", "says"), [("check_spec", "no plugin"), ("check_options", "no o")])
def test_what_cannot_be_checked_gives_the_reason(name, says):
    with pytest.raises(NotApplicable, match=says):
        BY_NAME[name](Right())


def test_an_option_that_is_a_function_has_no_plain_form(registered):
    registered(WithFunction)
    with pytest.raises(NotApplicable, match="plain form"):
        BY_NAME["check_spec"](WithFunction(math.cos))


def test_a_spec_that_comes_back_different_fails(registered):
    registered(Doubling)
    with pytest.raises(CheckFailed, match="came back as"):
        BY_NAME["check_spec"](Doubling(3.0))


@pytest.fixture
def registered(monkeypatch):
    from sdeplug.registry import Registry, spec

    def offer(cls: type) -> None:
        module = ModuleType("mine")
        module.sdeplug_solvers = sp.hookimpl(lambda: {"mine": cls})  # type: ignore[attr-defined]
        module.sdeplug_solvers.__name__ = "sdeplug_solvers"
        mine = Registry()
        mine.register(module, "mine")
        monkeypatch.setattr(spec, "registry", lambda: mine)

    return offer


def test_a_solver_for_an_sde_of_its_own_is_told_that_nothing_applies():
    class Special(LinearSDE):
        pass

    solver = wrong(lambda f, r, x, *_: f(x), claims=Claims(needs=Special))
    with pytest.raises(NotApplicable, match="none of VPSDE"):
        BY_NAME["check_memory"](solver)


def test_a_failure_names_the_simplest_call():
    solver = wrong(lambda f, r, x, *_: f(x) + (1e-3 if x[0].numel() > 2 else 0.0) * x.mean())
    with pytest.raises(CheckFailed, match=r"x of shape \(2, \d") as failure:
        BY_NAME["check_batch_independence"](solver)
    assert "seed=0" in str(failure.value)


def test_an_error_inside_a_solver_is_the_cause_of_the_failure():
    with pytest.raises(CheckFailed, match="RuntimeError: oh dear") as failure:
        BY_NAME["check_memory"](wrong(_raises))
    assert isinstance(failure.value.__cause__, RuntimeError)


def _raises(right, reverse, x, t, s, run):
    raise RuntimeError("oh dear")


def test_the_checks_leave_the_global_generators_as_they_were():
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    for name in ("check_randomness", "check_memory"):
        BY_NAME[name](EM)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert random.getstate() == before[2]


def test_names_of_checks_are_unique_and_every_check_says_what_it_checks():
    assert len({check.__name__ for check in CHECKS}) == len(CHECKS)
    assert all(check.__name__.startswith("check_") and check.__doc__ for check in CHECKS)
