"""Law by sampling: right solvers pass, wrong ones fail, seeds do not matter."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from testing.law.unsteady import Unsteady

from sdeplug import (
    Claims,
    Denoise,
    LogSNR,
    NoiseSource,
    OnGrid,
    Uniform,
)
from sdeplug.testing import (
    CheckFailed,
    NotApplicable,
)
from sdeplug.testing.law import check_law_by_sampling
from sdeplug_exponential import SDEDPM
from sdeplug_ode import Euler
from sdeplug_song import (
    Ancestral,
    EulerMaruyama,
    Hold,
    Langevin,
)


@pytest.mark.slow  # solvers of the song plugin, correctors too, pass it in its own tests
@pytest.mark.parametrize(
    "solver",
    [
        pytest.param(SDEDPM(), marks=pytest.mark.thorough),
        OnGrid(Ancestral(), LogSNR(200)),
    ],
    ids=repr,
)
def test_right_solvers_pass(solver):
    finding = check_law_by_sampling(solver)
    assert "let pass" in finding.text
    assert "floor" in finding.text


class Again(NoiseSource):
    """The same draw, again and again."""

    def __init__(self, source):
        self.source, self.first = source, None

    def normal(self, like):
        if self.first is None or self.first.shape != like.shape:
            self.first = self.source.normal(like)
        return self.first


class Paired(NoiseSource):
    """Row 2i + 1 gets the noise of row 2i, negated."""

    def __init__(self, source):
        self.source = source

    def normal(self, like):
        z = self.source.normal(like)
        z[1::2] = -z[: len(z) // 2 * 2 : 2]
        return z


@dataclass(frozen=True)
class Heard(Ancestral):
    """Ancestral sampling that does something to its noise."""

    claims = Claims(order=1, evaluations=1)
    through: type = Paired

    def begin(self, reverse, run):
        noisy = replace(run, noise=self.through(run.noise))
        return lambda x, t, s: Ancestral.integrate(self, reverse, x, t, s, noisy)


@dataclass(frozen=True)
class Narrow(Ancestral):
    """Claims to be affine and is, but for what lies far out: one mode is never reached."""

    claims = Claims(order=1, evaluations=1)

    def integrate(self, reverse, x, t, s, run):
        flat = x.flatten(1)
        mirrored = torch.where(flat[:, :1] < -0.85, -flat, flat) if t < 0.1 else flat
        return super().integrate(reverse, mirrored.reshape(x.shape), t, s, run)


@dataclass(frozen=True)
class Loud(EulerMaruyama):
    """A quarter too much noise."""

    claims = Claims(order=1, evaluations=1)

    def integrate(self, reverse, x, t, s, run):
        noise = replace(run, noise=_Louder(run.noise))
        return super().integrate(reverse, x, t, s, noise)


class _Louder(NoiseSource):
    def __init__(self, source):
        self.source = source

    def normal(self, like):
        return 1.25 * self.source.normal(like)


@pytest.mark.slow
@pytest.mark.parametrize(
    "solver",
    [
        pytest.param(Heard(through=Again), marks=pytest.mark.thorough),
        pytest.param(Heard(through=Paired), marks=pytest.mark.thorough),
        pytest.param(Narrow(), marks=pytest.mark.thorough),
        pytest.param(Loud(), marks=pytest.mark.thorough),
        Unsteady(0.9),
    ],
    ids=["same noise", "antithetic", "a mode lost", "loud", "quiet"],
)
def test_wrong_solvers_fail(solver):
    with pytest.raises(CheckFailed, match="statistic"):
        check_law_by_sampling(solver)


@pytest.mark.slow
def test_a_corrector_with_the_right_noise_passes():
    check_law_by_sampling(Unsteady(1.0))


@pytest.mark.parametrize(
    ("solver", "why"),
    [
        (Hold(), "no consistency"),
        (Denoise(), "posterior mean"),
        (EulerMaruyama(reference_steps=100), "not adaptive"),
        (Langevin(snr=1.5), "no consistency"),
        (Langevin(snr=0.5), "above 15%"),
        (OnGrid(Euler(), Uniform(3)), "above 15%"),
    ],
    ids=["hold", "denoise", "reference", "diverging", "large floor", "coarse"],
)
def test_where_it_does_not_apply_it_says_why(solver, why):
    with pytest.raises(NotApplicable, match=why):
        check_law_by_sampling(solver)
