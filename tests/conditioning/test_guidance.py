"""Guidance: for mixtures the class is known at every t, and its score with it."""

from __future__ import annotations

import math

import pytest
import torch
from common import divergence, normal

from sdeplug.compose import OnGrid
from sdeplug.conditioning import ClassifierFree, ClassifierGuided
from sdeplug.errors import ArgumentError, PairingError, ScoreModelError
from sdeplug.grid import LogSNR
from sdeplug.noise import SharedNoise
from sdeplug.pipeline import Pipeline, sample, whole_run
from sdeplug.registry import solver
from sdeplug.reverse import ReverseSDE
from sdeplug.score import Bound, Chunked, sde_of, with_divergence
from sdeplug.sde import VESDE, VPSDE
from sdeplug.targets import Gaussian, GaussianMixture, digits

SHARES, MEANS, STDS = (0.3, 0.7), ((-1.0, 0.5), (1.5, 0.0)), (0.5, 0.8)
DATA = GaussianMixture(SHARES, MEANS, std=STDS)
CLASSES = [Gaussian(mean, std=std) for mean, std in zip(MEANS, STDS, strict=True)]
X, T = 2.0 * normal(6, 2), torch.linspace(0.1, 0.9, 6, dtype=torch.float64)


def log_prob(sde, label):
    """log p_t(label | x), exactly, where all rows are at one time."""

    def of_class(x, t, labels=label):
        at = float(t[0])
        joint = torch.stack(
            [
                each.log_prob(x, at, sde) + math.log(w)
                for each, w in zip(CLASSES, SHARES, strict=True)
            ],
            1,
        )
        one = torch.as_tensor(labels).expand(len(x))[:, None]
        return joint.log_softmax(1).gather(1, one)[:, 0]

    return of_class


@pytest.mark.parametrize(("scale", "span"), [(1.0, None), (3.0, None), (3.0, (0.2, 0.6))])
def test_guidance_free_of_classifiers_knows_the_divergence_of_both(scale, span):
    one, all_ = CLASSES[0].score(VPSDE()), DATA.score(VPSDE())
    free = ClassifierFree(one, all_, scale, span)
    found = with_divergence(free, X, T)
    torch.testing.assert_close(found[0], free(X, T))
    torch.testing.assert_close(found[1], divergence(free, X, T))
    assert with_divergence(ClassifierFree(one, lambda x, t: -x, 3.0), X, T) is None
    assert with_divergence(ClassifierFree(lambda x, t: -x, all_, 3.0), X, T) is None
    assert with_divergence(ClassifierGuided(one, log_prob(VPSDE(), 0)), X, T) is None


@pytest.mark.parametrize("label", [0, 1])
def test_with_scale_1_the_score_is_that_of_the_class(any_sde, label):
    guided = ClassifierGuided(DATA.score(any_sde), log_prob(any_sde, label))
    for t in (0.05, 0.4, 0.8):
        times = torch.full((6,), t, dtype=torch.float64)
        wanted = CLASSES[label].score(any_sde)(X, times)
        torch.testing.assert_close(guided(X, times), wanted, rtol=1e-8, atol=1e-10)
    assert sde_of(guided) is any_sde


def test_other_scales_multiply_the_gradient_of_the_classifier():
    sde, times = VPSDE(), torch.full((6,), 0.3, dtype=torch.float64)
    score = DATA.score(sde)
    twice = ClassifierGuided(score, log_prob(sde, 0), 2.0)(X, times)
    pull = CLASSES[0].score(sde)(X, times) - score(X, times)
    torch.testing.assert_close(twice, score(X, times) + 2.0 * pull)


def test_it_acts_in_its_span_row_by_row():
    score = DATA.score(VPSDE())
    guided = ClassifierGuided(score, lambda x, t: -x.sum(1) - 9.0, 1.0, (0.3, 0.6))
    inside = ((T >= 0.3) & (T <= 0.6)).double()[:, None]
    assert 0.0 < float(inside.sum()) < 6.0
    torch.testing.assert_close(guided(X, T), score(X, T) - inside)


def test_two_scores_are_mixed_and_outside_the_span_there_is_the_conditional_one():
    sde = VPSDE()
    by_class, by_none = CLASSES[0].score(sde), DATA.score(sde)
    one, none = by_class(X, T), by_none(X, T)
    torch.testing.assert_close(
        ClassifierFree(by_class, by_none, 3.0)(X, T), none + 3.0 * (one - none)
    )
    spanned = ClassifierFree(by_class, by_none, 0.0, (0.0, 0.5))
    torch.testing.assert_close(spanned(X, T), torch.where((T <= 0.5)[:, None], none, one))


def test_the_unconditional_network_is_spared_where_it_does_not_matter():
    def never(x, t):
        raise AssertionError

    by_class = CLASSES[0].score(VPSDE())
    for free in (
        ClassifierFree(by_class, never, 1.0),
        ClassifierFree(by_class, never, 2.0, (0.95, 1.0)),
    ):
        torch.testing.assert_close(free(X, T), by_class(X, T))


@pytest.mark.parametrize("name", ["song/euler-maruyama", "ode/heun", "exponential/dpmpp-2m"])
def test_the_guided_sampler_returns_what_the_sampler_of_the_class_returns(name):
    """Sample by sample: whatever a solver does with a score, it does with this one."""
    sde = VPSDE()
    guided = ClassifierGuided(DATA.score(sde), log_prob(sde, 1))
    by = OnGrid(solver(name), LogSNR(12))
    found, wanted = (
        sample(ReverseSDE(sde, each), (8, 2), by, seed=1, dtype=torch.float64).x
        for each in (guided, CLASSES[1].score(sde))
    )
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-8)


def test_labels_of_rows_leave_with_them():
    """By an adaptive solver whose rows arrive one by one, and in chunks."""
    sde, labels = VPSDE(), torch.tensor([0, 1, 1, 0, 1])

    def classifier(x, t, labels):
        """A classifier that is not the exact one, at the time of each row."""
        return (
            torch.stack((x[:, 0] - t, -x[:, 1]), 1).log_softmax(1).gather(1, labels[:, None])[:, 0]
        )

    guided = ClassifierGuided(DATA.score(sde), Bound(classifier, labels=labels), 1.5)
    rows = torch.tensor([4, 0])
    assert torch.equal(guided.for_rows(rows)(X[rows], T[rows]), guided(X[:5], T[:5])[rows])
    assert torch.equal(Chunked(guided, 2)(X[:5], T[:5]), guided(X[:5], T[:5]))
    by = solver("adaptive/row-dopri5", rtol=1e-3)
    run = sample(ReverseSDE(sde, guided, 0.0), (5, 2), by, seed=3, dtype=torch.float64)
    assert run.nfe_by_row.unique().numel() > 1
    for row in range(5):
        alone = ClassifierGuided(DATA.score(sde), Bound(classifier, labels=labels[[row]]), 1.5)
        pipeline = Pipeline(ReverseSDE(sde, alone, 0.0), whole_run(sde, by))
        start = sde.prior((5, 2), SharedNoise(3), torch.float64)[[row]]
        torch.testing.assert_close(pipeline.sample(x=start).x[0], run.x[row], rtol=1e-6, atol=1e-8)


def test_bound_networks_of_a_mixed_score_leave_too():
    def network(x, t, labels):
        return labels[:, None] * x

    labels = torch.arange(6.0).double()
    free = ClassifierFree(Bound(network, labels=labels), Bound(network, labels=-labels), 2.0)
    rows = torch.tensor([5, 1])
    assert torch.equal(free.for_rows(rows)(X[rows], T[rows]), free(X, T)[rows])


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_gradients_are_taken_inside_any_mode(mode):
    sde, times = VPSDE(), torch.full((6,), 0.3, dtype=torch.float64)
    with mode():
        x = X.clone()
        found = ClassifierGuided(DATA.score(sde), log_prob(sde, 0))(x, times)
        assert torch.is_grad_enabled() or not found.requires_grad
        torch.testing.assert_close(found.clone(), CLASSES[0].score(sde)(X, times))


def test_it_is_differentiable_itself():
    """In x, for likelihoods, and in the parameters of the classifier."""
    sde, times = VPSDE(), torch.full((6,), 0.3, dtype=torch.float64)
    x, slope = X.clone().requires_grad_(), torch.tensor(0.7).double().requires_grad_()
    guided = ClassifierGuided(DATA.score(sde), log_prob(sde, 0))
    grad = torch.autograd.grad(guided(x, times).square().sum(), x)[0]
    wanted = torch.autograd.grad(CLASSES[0].score(sde)(x, times).square().sum(), x)[0]
    torch.testing.assert_close(grad, wanted)
    bent = ClassifierGuided(DATA.score(sde), lambda x, t: -slope * x.square().sum(1))
    (found,) = torch.autograd.grad(bent(X, times).sum(), slope)
    torch.testing.assert_close(found, -2.0 * X.sum())


SCORE = DATA.score(VPSDE())


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: ClassifierGuided(None, len), ArgumentError, "score = None"),
        (lambda: ClassifierGuided(SCORE, None), ArgumentError, "log_prob = None"),
        (lambda: ClassifierGuided(SCORE, len, -1.0), ArgumentError, "scale = -1.0"),
        (lambda: ClassifierGuided(SCORE, len, 1.0, (0.5, 0.2)), ArgumentError, "two times"),
        (lambda: ClassifierFree(SCORE, SCORE, 1.0, (0.5,)), ArgumentError, "two times"),
        (lambda: ClassifierFree(SCORE, DATA.score(VESDE()), 1.0), PairingError, "the same SDE"),
    ],
)
def test_what_cannot_be_guided_is_refused_when_it_is_built(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize(
    ("log_prob", "words"),
    [
        (lambda x, t: x.softmax(1)[:, 0], "as probabilities are"),
        (lambda x, t: x.log_softmax(1), r"shape \(6, 2\): .*\[:, label\]"),
        (lambda x, t: 0.5, "returned float"),
        (lambda x, t: x.argmax(1), "returned torch.int64"),
        (lambda x, t: -x.detach().square().sum(1), "no gradient in x"),
    ],
)
def test_what_is_no_log_probability_is_refused(log_prob, words):
    with pytest.raises(ScoreModelError, match=words):
        ClassifierGuided(SCORE, log_prob)(X, T)


def test_a_certain_class_is_allowed():
    """Its log-probability is 0 in floating point, and its gradient with it."""
    certain = ClassifierGuided(SCORE, lambda x, t: 0.0 * x.sum(1))
    torch.testing.assert_close(certain(X, T), SCORE(X, T))


def test_inpainting_by_exact_scores_returns_members_of_the_data_that_agree():
    """p_t(y | x) of a data set is known, and guidance by it leaves the members that fit y."""
    pytest.importorskip("sklearn")
    sde, data = VPSDE(), digits()
    known, members = torch.arange(64).reshape(1, 8, 8) < 24, data.means
    images = members[[3, 124, 170, 1200]]

    def agreeing(x, t):
        misfit = torch.cdist(images[:, known], members[:, known]).square() / (2.0 * 0.1**2)
        likely = data.responsibilities(x, float(t[0]), sde)
        return (likely.clamp(min=1e-200).log() - misfit).logsumexp(1)

    guided = ClassifierGuided(data.score(sde), agreeing)
    by = OnGrid(solver("song/ancestral"), LogSNR(40))
    found = sample(ReverseSDE(sde, guided), (4, 1, 8, 8), by, seed=2).x.double()
    nearest = torch.cdist(found.flatten(1), members.flatten(1)).argmin(1)
    torch.testing.assert_close(found, members[nearest], rtol=0.0, atol=0.01)
    assert float((members[nearest] - images)[:, known].abs().max()) <= 0.25
