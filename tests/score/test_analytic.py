"""The analytic first step: exact where it answers, silent elsewhere, and counted as it costs."""

from __future__ import annotations

import math

import pytest
import torch
from common import GaussianScore, divergence, normal

from sdeplug import (
    VESDE,
    VPSDE,
    AnalyticFirst,
    ArgumentError,
    Bound,
    Chunked,
    CosineVPSDE,
    Counted,
    Denoise,
    InDtype,
    Leg,
    LogSNR,
    OnGrid,
    PairingError,
    Pipeline,
    ReverseSDE,
    ScoreModelError,
    TabulatedSDE,
    solver,
)
from sdeplug.score import asked_rows, error_of, for_rows, sde_of, with_divergence
from sdeplug.targets import GaussianMixture

SDE = VPSDE()
X, T = normal(4, 3), torch.tensor([1.0, 0.3, 0.9, 0.1], dtype=torch.float64)
SEEN = torch.tensor([False, True, False, True])  # at ABOVE
ABOVE = 10.0
close = torch.testing.assert_close


def unasked(x, t):
    raise AssertionError("the network is asked")


def ratio(t):
    return math.exp(-0.5 * SDE.at(t).log_snr)


@pytest.mark.parametrize("sde", [SDE, VESDE(), CosineVPSDE()], ids=lambda sde: type(sde).__name__)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_it_is_the_score_of_a_gaussian(sde, dtype):
    t = torch.full((4,), sde.horizon, dtype=torch.promote_types(dtype, torch.float32))
    ours = AnalyticFirst(unasked, sde, 0.4, 0.5)((sde.prior_std * X).to(dtype), t)
    assert ours.dtype == dtype
    wanted = GaussianScore(sde, 0.4, 0.25).in_float64((sde.prior_std * X).to(dtype), t.double())
    close(ours.double(), wanted, rtol=4 * torch.finfo(dtype).eps, atol=1e-7)


def test_mean_and_deviation_of_each_coordinate_are_those_of_the_data():
    """Of data that are Gaussian in each coordinate it is the score, coordinate by coordinate."""
    data = torch.tensor([[0.0, 1.0, 5.0], [2.0, 1.0, -1.0]], dtype=torch.float64)
    ours = AnalyticFirst.of(unasked, SDE, data, above=ABOVE)
    array = AnalyticFirst.of(unasked, SDE, data.numpy(), above=ABOVE)
    assert torch.equal(torch.as_tensor(array.mean), torch.as_tensor(ours.mean))
    for column, (mean, variance) in enumerate([(1.0, 1.0), (1.0, 0.0), (2.0, 9.0)]):
        wanted = GaussianScore(SDE, mean, variance).in_float64(X, torch.ones(4).double())
        close(ours(X, torch.ones(4).double())[:, column], wanted[:, column])


@pytest.mark.parametrize("t", [T, torch.ones_like(T), 0.1 * torch.ones_like(T)])
def test_its_divergence_is_known_where_that_of_the_model_is(t):
    std = torch.tensor([0.5, 0.0, 1.0], dtype=torch.float64)
    counted = Counted(AnalyticFirst(GaussianMixture(None, X, std=0.3).score(SDE), SDE, 0.4, std,
                                    ABOVE))  # fmt: skip
    found = with_divergence(counted, X, t)
    assert counted.rows == int(counted.asked(t).sum())
    close(found[0], counted(X, t))
    close(found[1], divergence(counted, X, t))
    unknown = with_divergence(AnalyticFirst(GaussianScore(SDE), SDE, 0.4, std, ABOVE), X, t)
    assert (unknown is None) == bool(counted.asked(t).any())


@pytest.mark.parametrize("t", [0.9, 0.5, 0.2])
def test_the_model_is_asked_below_the_ratio_alone(t):
    """Just above and just below the time of a ratio, in single precision as well."""
    ours = AnalyticFirst(lambda x, t: 0.0 * x, SDE, 0.4, 0.5, above=ratio(t))
    for dtype in (torch.float64, torch.float32):
        times = torch.tensor([1.0, t + 1e-4, t - 1e-4, 0.0], dtype=dtype)
        assert ours.asked(times).tolist() == [False, False, True, True]
        assert (ours(X, times) == 0.0).all(1).tolist() == [False, False, True, True]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(
    "sde",
    [VPSDE(T=0.7), VESDE(), CosineVPSDE(), TabulatedSDE(betas=torch.linspace(1e-4, 0.02, 1000))],
)
def test_without_a_ratio_it_is_the_first_evaluation_of_a_run_alone(sde, dtype):
    times = torch.tensor([sde.T, sde.horizon, 0.999 * sde.horizon, sde.eps], dtype=dtype)
    largest = math.exp(-0.5 * sde.at(sde.horizon).log_snr)
    for above in (None, largest):
        ours = AnalyticFirst(unasked, sde, 0.0, 1.0, above)
        assert ours.asked(times).tolist() == [False, False, True, True]


def labelled(x, t, labels):
    return x * labels[:, None] + t[:, None]


def test_only_the_rows_that_see_the_data_are_asked_for():
    labels, sizes = torch.arange(1.0, 5.0, dtype=torch.float64), []

    def network(x, t, labels):
        sizes.append(len(x))
        return labelled(x, t, labels)

    ours = AnalyticFirst(Bound(network, labels=labels), SDE, 0.4, 0.5, ABOVE)
    wanted = torch.where(
        SEEN[:, None], labelled(X, T, labels), GaussianScore(SDE, 0.4, 0.25).in_float64(X, T)
    )
    close(ours(X, T), wanted)
    rows = torch.tensor([3, 2, 0])
    close(for_rows(ours, rows)(X[rows], T[rows]), wanted[rows])
    close(Chunked(ours, 3)(X, T), wanted)
    assert sizes == [2, 1, 1, 1]


def test_what_the_network_returns_is_checked_where_rows_are_missing():
    with pytest.raises(ScoreModelError, match=r"\(2, 1\).* x of shape \(2, 3\)"):
        AnalyticFirst(lambda x, t: x[:, :1], SDE, 0.0, 1.0, ABOVE)(X, T)


def test_the_gradient_goes_through_both_kinds_of_rows():
    x = X.clone().requires_grad_()
    AnalyticFirst(lambda x, t: x**2, SDE, 0.4, 0.5, ABOVE)(x, T).sum().backward()
    alpha, sigma = SDE.alpha(T), SDE.sigma(T)
    gaussian = -1.0 / (alpha**2 * 0.25 + sigma**2)
    close(x.grad, torch.where(SEEN[:, None], 2.0 * X, gaussian[:, None]))


def test_it_tells_what_it_is():
    ours = AnalyticFirst(lambda x, t: x, SDE, 0.0, 1.0)
    assert (sde_of(ours), error_of(ours)) == (SDE, None)

    class Known:
        error = 0.05

        def __call__(self, x, t):
            return x

    model = Known()
    assert error_of(AnalyticFirst(model, SDE, 0.0, 1.0)) == 0.05
    model.error = 0.0  # a Gaussian is not what an exact score is
    assert error_of(AnalyticFirst(model, SDE, 0.0, 1.0)) is None


WRAPPED = {
    "alone": lambda model: model,
    "in a dtype": lambda model: InDtype(model, torch.float32),
    "in chunks": lambda model: Chunked(model, 2),
    "twice": lambda model: AnalyticFirst(model, SDE, 0.0, 1.0),
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_what_asks_no_network_is_not_counted(wrap):
    counted = Counted(wrap(AnalyticFirst(lambda x, t: -x, SDE, 0.0, 1.0, ABOVE)))
    counted(X, torch.ones(4))
    assert (counted.nfe, counted.rows) == (0, 0)
    counted(X, T)
    counted(X, torch.full((4,), 0.1))
    assert (counted.nfe, counted.rows) == (2, 6)
    assert counted.by_row(4).tolist() == [1, 2, 1, 2]
    assert asked_rows(counted, T).tolist() == SEEN.tolist()


def test_the_rows_of_a_part_of_the_batch_are_counted_as_they_cost():
    counted = Counted(AnalyticFirst(lambda x, t: -x, SDE, 0.0, 1.0, ABOVE))
    counted(X, T)
    rows = torch.tensor([3, 2, 0])
    counted.select(rows, 4)
    counted(X[rows], T[rows])
    counted(X[rows], torch.full((3,), 0.1))
    assert counted.by_row(4).tolist() == [1, 1, 1, 3]
    assert (counted.nfe, counted.rows) == (3, 2 + 1 + 3)


@pytest.mark.parametrize(("above", "spared"), [(None, 1), (ABOVE, 4)])
def test_every_sampler_has_more_steps_for_its_evaluations(above, spared):
    """On 12 equal steps in log-SNR, four of which begin at a ratio of ABOVE and more."""
    grid = LogSNR(12)
    ratios = [ratio(t) for t in grid.times(SDE.T, SDE.eps, SDE)[:-1]]
    assert sum(each >= (above or ratios[0]) for each in ratios) == spared
    score = AnalyticFirst(GaussianScore(SDE, 0.4, 0.25), SDE, 0.4, 0.5, above)
    legs = (Leg(SDE.eps, OnGrid(solver("exponential/ddim"), grid)), Leg(0.0, Denoise()))
    found, plain = (
        Pipeline(ReverseSDE(SDE, model, 0.0), legs).sample((5, 2), seed=0)
        for model in (score, score.score_model)
    )
    assert (found.nfe, plain.nfe) == (13 - spared, 13)
    assert found.nfe_by_row.tolist() == [13 - spared] * 5
    close(found.x, plain.x)


REFUSED = {
    "model": (lambda: AnalyticFirst(SDE, lambda x, t: x, 0.0, 1.0), PairingError, "The order is"),
    "sde": (lambda: AnalyticFirst(unasked, None, 0.0, 1.0), PairingError, "sde = None: must be"),
    "another sde": (
        lambda: AnalyticFirst(GaussianScore(VESDE()), SDE, 0.0, 1.0), PairingError, "the same SDE"
    ),
    "mean": (lambda: AnalyticFirst(unasked, SDE, "0", 1.0), ArgumentError, "mean = '0'.*from data"),
    "mean nan": (lambda: AnalyticFirst(unasked, SDE, X / 0.0, 1.0), ArgumentError, "mean = "),
    "std": (lambda: AnalyticFirst(unasked, SDE, 0.0, -1.0), ArgumentError, "std = -1.*at least 0"),
    "std tensor": (lambda: AnalyticFirst(unasked, SDE, 0.0, X), ArgumentError, "std = .*least 0"),
    "integers": (
        lambda: AnalyticFirst(unasked, SDE, torch.ones(2).long(), 1.0), ArgumentError, "mean = "
    ),
    "above": (lambda: AnalyticFirst(unasked, SDE, 0.0, 1.0, 200.0), ArgumentError, "most 152"),
    "above 0": (lambda: AnalyticFirst(unasked, SDE, 0.0, 1.0, 0.0), ArgumentError, "above = 0"),
    "above word": (lambda: AnalyticFirst(unasked, SDE, 0.0, 1.0, "T"), ArgumentError, "above = "),
    "images": (
        lambda: AnalyticFirst.of(unasked, SDE, torch.ones(2, 3, dtype=torch.uint8)),
        ArgumentError, "data = .*uint8.*range",
    ),
    "no rows": (
        lambda: AnalyticFirst.of(unasked, SDE, torch.ones(0, 3)),
        ArgumentError,
        r"data = '\(0, 3\), torch.float32'.*N above 0",
    ),
    "a gap": (
        lambda: AnalyticFirst.of(unasked, SDE, torch.tensor([[1.0], [math.nan]])),
        ArgumentError,
        "data = .*all finite",
    ),
    "no data": (lambda: AnalyticFirst.of(unasked, SDE, 0.3), ArgumentError, "data = 0.3"),
    "shape": (
        lambda: AnalyticFirst(unasked, SDE, torch.ones(2), 1.0)(X, torch.ones(4)),
        ArgumentError, r"mean = .*\(2,\).*one sample, of shape \(3,\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "error", "words"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused_in_words(make, error, words):
    with pytest.raises(error, match=words):
        make()
