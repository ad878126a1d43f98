"""What a diagnosis sees in networks that are wrong on purpose, and what it refuses."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from wrong_networks import EXACT, LINE, NETWORKS, SMALL, TABLE, data, diagnosed

from sdeplug import (
    VPSDE,
    Bound,
    FromDenoiser,
    FromFlow,
    FromNoise,
    FromScore,
    FromVelocity,
    ReverseSDE,
    SharedNoise,
    targets,
)
from sdeplug.compare import Estimate, PerturbedScore
from sdeplug.errors import ArgumentError, PairingError, ScoreModelError
from sdeplug.tuning import Effort, Laws, diagnose
from sdeplug.tuning.advice import Case, advice
from sdeplug.tuning.fitted import gaussian
from sdeplug.tuning.held import in_two
from sdeplug.tuning.jackknife import difference, estimate, without_each
from sdeplug.tuning.told import predicted_noise, retold


def rules(found):
    return {each.rule for each in found.advice}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_that_is_wrong_on_purpose_is_told_so(name):
    assert name in rules(diagnosed(name))


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("nothing", {"flow-serves"}),
        ("misread", {"flow-ran-away"}),
        ("labels-off", {"flow-serves"}),
        ("scale", {"flow-serves"}),
        ("high-noise", {"flow-serves"}),
        ("bias", {"flow-serves"}),
    ],
)
def test_and_of_nothing_else(name, others):
    assert rules(diagnosed(name)) - {name} <= others


def test_how_it_is_read_rightly_is_told():
    (text,) = [each.text for each in diagnosed("misread").advice if each.rule == "misread"]
    assert "predicts=FromNoise, labels=LevelLabel(whole=False))" in text


def test_labels_are_off_by_what_they_are_off():
    (text,) = [each.text for each in diagnosed("labels-off").advice if each.rule == "labels-off"]
    assert "earlier" in text
    assert 0.8 < float(text.split(", ")[1].split()[0]) < 1.2


def test_data_of_another_range_are_not_those_of_the_network():
    law = targets.eight_gaussians()
    reverse = ReverseSDE(VPSDE(), law.score(VPSDE()))
    points = 4.0 * law.sample(300, noise=SharedNoise(0)) + 2.0
    assert "not-these-data" in rules(diagnose(reverse, points, effort=SMALL))


def test_of_an_exact_score_nothing_is_wrong_and_the_loss_is_irreducible():
    found = diagnose(ReverseSDE(TABLE, EXACT), LINE, effort=SMALL)
    assert found.exact
    assert found.error == 0.0
    assert all(each.loss == each.irreducible for each in found.levels)


def test_the_error_of_a_perturbed_score_is_its_size():
    law = targets.eight_gaussians()
    score = PerturbedScore(law.score(VPSDE()), VPSDE(), 0.1, scale=0.7)
    found = diagnose(ReverseSDE(VPSDE(), score), law, effort=SMALL)
    assert 0.06 < found.error < 0.14


def test_the_error_seen_in_data_is_no_more_than_the_true_one_and_most_of_one_of_scale():
    of_law = diagnose(ReverseSDE(TABLE, NETWORKS["scale"]), LINE, effort=SMALL)
    of_data = diagnosed("scale")
    assert 0.8 * of_law.error < of_data.error < 1.1 * of_law.error


def test_a_score_that_is_smaller_has_a_larger_scale_to_the_bit_of_a_float():
    """Of the same rows and noise, as the seed is the same."""
    for right, small in zip(diagnosed("nothing").levels, diagnosed("scale").levels, strict=True):
        assert small.slope.mean == pytest.approx(right.slope.mean / 0.9, rel=1e-5)


@pytest.mark.parametrize(
    ("flow", "noisy", "gain", "rule"),
    [
        (Estimate(0.5, 0.1), Estimate(0.1, 0.02), Estimate(0.4, 0.1), {"noise-mends"}),
        (Estimate(0.1, 0.01), Estimate(0.4, 0.02), Estimate(-0.3, 0.1), {"flow-serves"}),
        (Estimate(0.5, 0.1), Estimate(0.4, 0.02), Estimate(0.1, 0.1), set()),
        (Estimate(0.01, 0.1), Estimate(0.4, 0.02), Estimate(-0.4, 0.1), {"flow-serves"}),
        (Estimate(math.inf), Estimate(0.4, 0.02), Estimate(math.inf), {"flow-ran-away"}),
        (Estimate(1e9), Estimate(0.4, 0.02), Estimate(1e9, 1.0), {"flow-ran-away"}),
    ],
)
def test_the_two_laws_decide_about_noise(flow, noisy, gain, rule):
    last = Laws(0.001, 9.2, flow, noisy, gain, Estimate(0.0, 0.02))
    case = Case(diagnosed("nothing").levels, (last,), TABLE, 0.7)
    assert {each.rule for each in advice(case)} - {"nothing"} == rule


def test_a_flow_that_runs_away_ends_no_diagnosis():
    def score(x, t):
        return EXACT(x, t) + torch.where((t < 0.5)[:, None], 1e6 * x.abs() * x, 0.0)

    found = diagnose(ReverseSDE(TABLE, score), data(), effort=SMALL)
    assert found.laws[-1].flow.mean == math.inf
    assert "flow-ran-away" in rules(found)


TINY = Effort(levels=4, rows=16, paths=16, steps=4)


def tiny(rows, **options):
    return diagnose(ReverseSDE(TABLE, EXACT), rows, effort=TINY, **options)


def test_what_it_costs_is_what_it_says():
    found, seen = tiny(data()), []
    assert found.nfe == 5 * 4 - 2 + 2 * 4
    assert found.rows == found.nfe * 16
    again = tiny(np.asarray(data()), on_part=lambda *part: seen.append(part))
    assert [e.loss.mean for e in again.levels] == pytest.approx([e.loss.mean for e in found.levels])
    assert [e.flow.mean for e in again.laws] == pytest.approx([e.flow.mean for e in found.laws])
    assert seen == [(n, 5) for n in range(6)]
    assert tiny(data(), seed=1).levels[0].loss != found.levels[0].loss


def test_the_gain_of_noise_is_what_the_flow_is_farther():
    for each in diagnosed("size").laws:
        assert each.gain.mean == pytest.approx(each.flow.mean - each.noisy.mean)
        assert each.gain.mean != 0.0


def test_it_shows_itself():
    found = diagnosed("high-noise")
    text = str(found)
    assert "AnalyticFirst(score, sde, mean, std, above=" in text
    assert f"{found.levels[0].t:.3g}" in text
    assert "error, at least" in text
    assert "high-noise" in repr(found)
    pytest.importorskip("matplotlib")
    assert len(found.plot().axes) == 3
    assert "data:image/png" in found._repr_html_()


def needs_labels(x, t, labels):
    return x


def of_four(x, t):
    return torch.nn.functional.linear(x, torch.zeros(4, 4, dtype=x.dtype, device=x.device))


@pytest.mark.parametrize(
    ("network", "rows", "error", "words"),
    [
        (FromNoise(needs_labels, TABLE), data(), PairingError, "Bound(network, labels=labels)"),
        (FromNoise(of_four, TABLE), data(), PairingError, "data of shape (32,)"),
        (lambda x, t: x * math.nan, data(), ScoreModelError, "not finite"),
        (EXACT, data()[:31], ArgumentError, "32 rows at least"),
        (EXACT, data().int(), ArgumentError, "data.float() / 127.5 - 1"),
        (EXACT, data()[:, 0], ArgumentError, "shape (n, *D)"),
        (EXACT, data() / 0.0, ArgumentError, "row 0 is not finite"),
        (EXACT, 255.0 * data().abs(), ArgumentError, "Images from 0 to 255 are data / 127.5 - 1"),
        (EXACT, "digits", ArgumentError, "data = 'str'"),
        (EXACT, np.full((40, 32), "1"), ArgumentError, "data = 'array of <U1'"),
        (
            FromNoise(Bound(needs_labels, labels=torch.zeros(5, dtype=torch.int64)), TABLE),
            data(), ArgumentError, "labels",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_before_the_run(network, rows, error, words):
    with pytest.raises(error) as caught:
        diagnose(ReverseSDE(TABLE, network), rows, effort=SMALL)
    assert words in str(caught.value)


def test_an_array_may_lie_in_memory_as_it_likes():
    rows = data().numpy()
    usual = in_two(rows, 0).known
    for each in (np.ascontiguousarray(rows[::-1])[::-1], rows.astype(rows.dtype.newbyteorder())):
        assert in_two(each, 0).known.equal(usual)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"effort": 10}, "Effort(levels=20)"),
        ({"seed": -1}, "seed = -1"),
        ({"on_part": 3}, "on_part = 3"),
    ],
)
def test_other_arguments_are_named(change, words):
    with pytest.raises(ArgumentError, match="must be") as caught:
        diagnose(ReverseSDE(TABLE, EXACT), data(), **change)
    assert words in str(caught.value)


def test_no_reverse_sde_is_no_network():
    with pytest.raises(PairingError, match=r"ReverseSDE\(model.sde, model.score\)"):
        diagnose(EXACT, data())


@pytest.mark.parametrize("kind", [FromNoise, FromDenoiser, FromVelocity, FromScore, FromFlow])
def test_a_network_told_another_time_says_what_it_would_say(kind):
    """Whatever it predicts: as if its label were another, and all else the same."""
    x, sde = data().double()[:3], VPSDE()

    def network(x, t):
        return torch.sin(x) + t.to(x)[:, None]

    (moved,) = retold(ReverseSDE(sde, kind(network, sde)), x, 0.3, 0.5)
    honest = kind(lambda x, t: network(x, 0.5 + 0.0 * t), sde)
    assert torch.allclose(moved, predicted_noise(ReverseSDE(sde, honest), x, 0.3), rtol=1e-10)


def test_the_jackknife_of_a_mean_is_its_standard_error():
    """Efron & Tibshirani, equation 11.5, where each group is one row."""
    rows = torch.tensor([1.0, 2.0, 4.0, 8.0, 9.0, 3.0, 5.0, 7.0], dtype=torch.float64)
    values = without_each(lambda which: float(rows[which].mean()), 8)
    assert estimate(values).mean == rows.mean()
    assert estimate(values).error == pytest.approx(float(rows.std()) / math.sqrt(8.0))
    shifted = [each + 0.25 for each in values]
    assert difference(shifted, values) == Estimate(0.25, 0.0)


def test_a_covariance_is_shrunk_where_rows_are_few_and_keeps_its_trace():
    spread = torch.linspace(0.1, 2.0, 16, dtype=torch.float64)
    law = targets.Gaussian(torch.zeros(16, dtype=torch.float64), covariance=spread.square().diag())
    few, many = (law.sample(n, noise=SharedNoise(0), dtype=torch.float64) for n in (8, 4000))
    for rows in (few, many):
        got = gaussian(rows)
        sample = (rows - rows.mean(0)).square().mean(0).sum()
        assert float(got.covariance.trace()) == pytest.approx(float(sample), rel=1e-6)
        assert torch.allclose(got.mean, rows.mean(0))
    assert float(torch.linalg.eigvalsh(gaussian(few).covariance)[0]) > 0.05
    assert torch.allclose(gaussian(many).covariance, many.T.cov(correction=0), atol=0.02)


def test_levels_reach_from_noise_to_where_runs_end():
    levels = diagnosed("nothing").levels
    assert levels[-1].t == TABLE.eps
    assert levels[0].t > 0.95
    assert [each.t for each in levels] == sorted((each.t for each in levels), reverse=True)


def test_small_samples_are_looked_at_in_greater_number():
    assert dataclasses.astuple(Effort().for_size(2))[1:3] == (2048, 512)
    assert dataclasses.astuple(Effort().for_size(784))[1:3] == (256, 128)
    assert Effort(rows=20, paths=30).for_size(2).rows == 20
