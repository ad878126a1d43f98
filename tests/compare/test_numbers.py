"""The comparison: common random numbers, exact laws, and the error of the score."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from common import SDES, normal
from compare.small import EM, GAUSS, HEUN, RING, VP, Recorder, numbers, small
from hypothesis import given
from hypothesis import strategies as st

import sdeplug as sp
from sdeplug import Leg, LogSNR, OnGrid, Pipeline, ReverseSDE, solver
from sdeplug.compare import (
    Estimate,
    PerturbedScore,
    compare,
)
from sdeplug.errors import ArgumentError
from sdeplug.metrics import SlicedW2, stream
from sdeplug.testing import exact_law, marginal_law, relative_error, through


def test_all_solvers_of_a_seed_get_the_same_start_noise_and_score_error():
    Recorder.seen.clear()
    solvers = {"a": Recorder(), "b": Recorder()}
    result = small(solvers, nfe=(3,), seeds=(5, 9), score_errors=(0.0, 0.2))
    rows = {(row.solver, row.score_error): row for row in result.rows}
    for error in (0.0, 0.2):
        assert rows["a", error].values == rows["b", error].values
    runs = [Recorder.seen[n : n + 3] for n in range(0, len(Recorder.seen), 3)]
    starts = [run[0][0] for run in runs]
    for start in starts[1:4]:
        assert torch.equal(starts[0], start)
    assert not torch.equal(starts[0], starts[4])
    exact = sp.Truth(RING, VP, VP.T, 5).draws(200, "start").float()
    assert torch.equal(starts[0], exact)


def test_the_numbers_are_those_of_the_same_run_by_hand():
    result = small({"em": EM}, nfe=(6,), seeds=(3,), metrics=("sliced-w2",), score_errors=(0.3,))
    x = sp.Truth(RING, VP, VP.T, 3).draws(200, "start").float()
    scale = float(RING.covariance.diagonal().mean().sqrt())
    score = PerturbedScore(RING.score(VP), VP, 0.3, 3, scale)
    pipeline = Pipeline(ReverseSDE(VP, score), (Leg(VP.eps, OnGrid(EM, LogSNR(6))),))
    out = pipeline.sample(x.shape, x=x, noise=stream(3, "noise")).x
    truth = sp.Truth(RING, VP, VP.eps, 3)
    (row,) = result.rows
    assert row.values["sliced-w2"] == Estimate(SlicedW2().measure(out, truth))
    draws = truth.draws(200, "floor")
    assert row.floor["sliced-w2"] == Estimate(SlicedW2().measure(draws, truth))
    assert torch.equal(row.points((2,)), out[:400])


def test_the_standard_error_is_over_seeds():
    alone = [small({"em": EM}, nfe=(4,), seeds=(seed,)).rows[0] for seed in (0, 1, 2)]
    values = torch.tensor([row.values["sliced-w2"].mean for row in alone]).double()
    together = small({"em": EM}, nfe=(4,), seeds=3).rows[0].values["sliced-w2"]
    assert together.mean == pytest.approx(float(values.mean()))
    assert together.error == pytest.approx(float(values.std()) / math.sqrt(3))
    assert alone[0].values["sliced-w2"].error is None


def test_the_same_seeds_give_the_same_json_and_others_do_not():
    solvers = {"em": EM, "heun": HEUN}
    first = small(solvers, score_errors=(0.0, 0.1))
    assert numbers(first) == numbers(small(solvers, score_errors=(0.0, 0.1)))
    assert numbers(first) != numbers(small(solvers, score_errors=(0.0, 0.1), seeds=(1, 2)))


# Exact laws


def test_the_exact_law_is_that_of_the_harness():
    result = small({"heun": HEUN, "em": EM}, GAUSS, nfe=(8,), score_errors=(0.0, 0.1))
    for row in result.rows:
        if row.score_error:
            assert row.exact is None
            continue
        by = OnGrid(HEUN, LogSNR(4)) if row.solver == "heun" else OnGrid(EM, LogSNR(8))
        pipeline = Pipeline(ReverseSDE(VP, GAUSS.score(VP)), (Leg(VP.eps, by),))
        start, wanted = (marginal_law(GAUSS, VP, t) for t in (VP.T, VP.eps))
        law = exact_law(through(pipeline), start)
        error = float(relative_error(law, wanted).square().mean().sqrt())
        assert row.exact == pytest.approx(error, rel=1e-9)
        assert row.nfe == 8  # the probes are not charged


def test_there_is_no_exact_law_for_mixtures_nor_for_what_is_not_affine():
    assert all(row.exact is None for row in small({"em": EM}).rows)

    @dataclass(frozen=True)
    class Bent(sp.Integrator):
        claims = sp.Claims(order=1, evaluations=1, affine=False)

        def integrate(self, reverse, x, t, s, run):
            return EM.integrate(reverse, x + 0.01 * x.sin(), t, s, run)

    assert [row.exact for row in small({"bent": Bent()}, GAUSS, nfe=(4,)).rows] == [None]


# The error of the score


@given(st.sampled_from(SDES), st.floats(0.05, 0.95), st.integers(1, 5))
def test_the_error_of_the_predicted_noise_has_the_stated_size(sde, part, dimension):
    t = sde.eps + part * (sde.T - sde.eps)
    marginal = sde.at(t)
    x = math.hypot(marginal.alpha, marginal.sigma) * normal(3, dimension)
    times = torch.full((3,), t, dtype=torch.float64)
    errors = []
    for seed in range(60):
        perturbed = PerturbedScore(lambda x, t: -x, sde, 0.25, seed)
        errors.append(marginal.sigma * (perturbed(x, times) + x) / 0.25)
    assert float(torch.stack(errors).square().mean()) == pytest.approx(1.0, abs=0.45)


def test_the_field_is_smooth_and_forgets_in_space_and_in_time():
    def correlation(other, t):
        values = []
        for seed in range(400):
            field = PerturbedScore(RING.score(VP), VP, 1.0, seed).field
            a = field(torch.zeros(1, 2).double(), torch.tensor([0.5]).double())
            b = field(other.expand(1, 2).double(), torch.tensor([t]).double())
            values.append(float((a * b).mean()))
        return sum(values) / len(values)

    near, far = torch.tensor([0.05, 0.0]), torch.tensor([30.0, 0.0])
    assert correlation(near, 0.5) == pytest.approx(1.0, abs=0.15)
    assert correlation(far, 0.5) == pytest.approx(0.0, abs=0.15)
    later = float(VP.time_at(torch.tensor(VP.at(0.5).log_snr + 0.05).double()))
    assert correlation(torch.zeros(2), later) == pytest.approx(1.0, abs=0.15)
    assert correlation(torch.zeros(2), 0.05) == pytest.approx(0.0, abs=0.15)


def test_the_field_is_that_of_its_seed_in_any_batch_and_dtype():
    score = RING.score(VP)
    one, other = PerturbedScore(score, VP, 0.1, 1), PerturbedScore(score, VP, 0.1, 2)
    x, t = normal(6, 2), torch.full((6,), 0.3, dtype=torch.float64)
    assert torch.equal(one(x, t), PerturbedScore(score, VP, 0.1, 1)(x, t))
    torch.testing.assert_close(one(x, t)[2:3], one(x[2:3], t[2:3]))
    torch.testing.assert_close(one(x.float(), t.float()), one(x, t).float(), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(one(x, t), other(x, t))
    assert one.field(normal(2, 1, 4, 4), t[:2]).shape == (2, 1, 4, 4)
    with pytest.raises(ArgumentError, match="at least 0"):
        PerturbedScore(score, VP, -0.1)


@pytest.mark.slow
def test_with_an_error_of_the_score_noise_wins_and_without_it_the_flow_does():
    """The ranking turns: a flow carries the error along, noise forgets it."""
    solvers = {
        "flow": OnGrid(solver("ode/heun"), LogSNR(32)),
        "noise": OnGrid(solver("song/ancestral"), LogSNR(64)),
    }
    result = compare(solvers, RING, VP, seeds=5, samples=2000)
    flow, noise, flow_off, noise_off = (row.values["mode-moments"] for row in result.rows)
    assert flow.mean < 0.8 * noise.mean
    spoiled, kept = (result.at(0.1)[n].values["sliced-w2"] for n in (0, 1))
    assert kept.mean < 0.65 * spoiled.mean
    assert flow_off.mean > flow.mean
    assert noise_off.mean > noise.mean
