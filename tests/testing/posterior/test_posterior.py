"""The verdict on methods for posteriors: exact ones pass, and each kind of error is seen."""

from __future__ import annotations

import pytest
import torch

from sdeplug.conditioning import exact_posterior
from sdeplug.errors import PairingError
from sdeplug.sde import VPSDE, expand
from sdeplug.solvers import Corrector
from sdeplug.testing import check_posterior, posterior_errors, posterior_problems
from sdeplug.testing.posterior.errors import PosteriorBench
from sdeplug.testing.posterior.problems import mixture_of_25

GAUSSIAN, MIXTURE = posterior_problems(measured=(2,), noise_stds=(0.3,))
BENCH = PosteriorBench(steps=60, cases=32)


class Exact:
    """The exact score of each row's posterior, off as the options say."""

    def __init__(self, problem, known, shift=0.0, width=1.0, forgetful=False):
        rows = known.y[:: BENCH.samples]
        self.laws = [problem.posterior(row[None]) for row in rows]
        self.shift, self.width, self.forgetful, self.sde = shift, width, forgetful, VPSDE()

    def __call__(self, x, t):
        one = t.double()
        alpha, sigma = self.sde.log_alpha(one).exp(), self.sde.sigma(one)
        parts = zip(x.split(BENCH.samples), alpha.split(BENCH.samples),
                    sigma.split(BENCH.samples), self.laws, strict=True)  # fmt: skip
        scores = [law.score_at(x - expand(self.shift * a, x), a, s) for x, a, s, law in parts]
        return torch.cat(scores) * self.width


def errors(problem, **options):
    return posterior_errors(lambda score, known: Exact(problem, known, **options), problem, BENCH)


@pytest.mark.parametrize("problem", [GAUSSIAN, MIXTURE], ids=["gaussian", "mixture"])
def test_the_exact_posterior_passes(problem):
    report = check_posterior(lambda score, known: Exact(problem, known), [problem], BENCH)
    assert report.passed, str(report)


def test_what_is_too_narrow_is_over_confident():
    seen = errors(MIXTURE, width=1.5)
    assert seen.spread[0] < -4.0 * seen.spread[1]
    assert seen.coverage[0] < -0.05


def test_what_is_off_is_off_in_its_mean():
    seen = errors(GAUSSIAN, shift=0.1)
    assert seen.mean[0] > 5.0 * seen.mean[1]
    assert abs(seen.spread[0]) < 0.15


def test_the_prior_covers_and_is_no_posterior():
    """It is as often right as it says, and knows nothing: coverage alone would let it pass."""
    seen = posterior_errors(lambda score, known: score, MIXTURE, BENCH)
    assert abs(seen.coverage[0]) < 5.0 * seen.coverage[1]
    assert seen.spread[0] > 0.1
    assert seen.modes[0] > 0.1
    assert seen.nfe == BENCH.steps
    report = check_posterior(lambda score, known: score, [MIXTURE], BENCH)
    assert not report.passed
    assert "off in" in report.failures[0].reason


class Nothing(Corrector):
    def correct(self, reverse, x, t, run):
        return x


def test_a_corrector_runs_beside_the_ancestral_sampler():
    known = posterior_errors(lambda score, known: Nothing(), MIXTURE, BENCH)
    plain = posterior_errors(lambda score, known: score, MIXTURE, BENCH)
    assert known.spread == plain.spread


def test_what_is_no_method_is_refused():
    with pytest.raises(PairingError, match="make returned 3"):
        posterior_errors(lambda score, known: 3, GAUSSIAN, BENCH)


def test_the_mixture_of_the_literature():
    """Variance 1 in each coordinate, 25 modes, and no mode is within 5 of its own deviations."""
    law = mixture_of_25(80)
    torch.testing.assert_close(law.covariance.diagonal(), torch.ones(80, dtype=torch.float64))
    assert len(law.weights) == 25
    gap = torch.pdist(law.means).min() * 129**0.5
    assert float(gap) > 5.0


def test_the_problems_have_the_posterior_that_they_measure():
    truth, y = MIXTURE.drawn(2)
    assert torch.equal(MIXTURE.drawn(2)[1], y)
    law = MIXTURE.posterior(y[:1])
    assert law == exact_posterior(MIXTURE.prior, MIXTURE.measurement(y[:1]))
    assert truth.shape == (2, 8)
