"""Score models around score models: they tell what the one inside knows."""

from __future__ import annotations

import pytest
import torch
from common import divergence, normal

from sdeplug.compare.cells import _Timed
from sdeplug.compare.perturbed import PerturbedScore
from sdeplug.compare.planner import _Meter
from sdeplug.errors import ArgumentError, PairingError, ScoreModelError
from sdeplug.score import (
    Bound,
    Checkpointed,
    Chunked,
    Counted,
    FromDenoiser,
    InDtype,
    error_of,
    for_rows,
    sde_of,
    with_divergence,
)
from sdeplug.sde import VPSDE
from sdeplug.targets import two_modes

SDE = VPSDE()
X, T = normal(7, 2), torch.linspace(0.2, 0.8, 7, dtype=torch.float64)
LABELS = torch.arange(1, 8)
WRAPPERS = {
    "InDtype": lambda model: InDtype(model, torch.float64),
    "Chunked": lambda model: Chunked(model, 3),
    "Checkpointed": Checkpointed,
    "Counted": Counted,
    "timed": _Timed,
    "metered": lambda model: _Meter(model, 1000),
    "perturbed": lambda model: PerturbedScore(model, SDE, size=0.1),
    "nested": lambda model: Chunked(Counted(InDtype(Chunked(model, 2), torch.float64)), 5),
}


FORMULA = ("InDtype", "Chunked", "Checkpointed", "Counted", "nested")


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("name", WRAPPERS)
def test_a_wrapper_that_leaves_the_score_as_it_is_passes_on_its_divergence(name, grad):
    model, rows = WRAPPERS[name](two_modes().score(SDE)), torch.tensor([6, 2, 3, 0])
    with torch.set_grad_enabled(grad):
        found = with_divergence(model, X, T)
        if name not in FORMULA:
            assert found is None
            return
        some = with_divergence(for_rows(model, rows), X[rows], T[rows])
    wanted = model(X, T), divergence(two_modes().score(SDE), X, T)
    for one, part, other in zip(found, some, wanted, strict=True):
        torch.testing.assert_close(one, other)
        torch.testing.assert_close(part, other[rows])
    assert with_divergence(WRAPPERS[name](lambda x, t: x), X, T) is None


def test_a_divergence_in_half_precision_is_not_known():
    assert with_divergence(InDtype(two_modes().score(SDE), torch.float16), X, T) is None


def test_a_score_with_its_divergence_is_one_evaluation():
    counted = Counted(two_modes().score(SDE))
    with_divergence(counted, X, T)
    with_divergence(for_rows(counted, torch.tensor([1, 2])), X[:2], T[:2])
    assert (counted.nfe, counted.rows) == (2, 9)
    unknown = Counted(lambda x, t: x)
    assert with_divergence(unknown, X, T) is None
    assert unknown.nfe == 0


def labelled(x, t, labels):
    return x * labels[:, None] + t[:, None]


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_a_wrapper_tells_what_the_model_inside_knows(wrap):
    exact = two_modes().score(SDE)
    assert sde_of(wrap(exact)) == SDE
    assert error_of(wrap(exact)) in (0.0, 0.1)
    assert error_of(wrap(lambda x, t: x)) is None
    unknowing = wrap(lambda x, t: x)
    assert sde_of(unknowing) is None or isinstance(unknowing, PerturbedScore)


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_a_wrapper_passes_on_which_rows_are_asked_for(wrap):
    model, rows = wrap(Bound(labelled, labels=LABELS)), torch.tensor([6, 2, 3, 0])
    whole = model(X, T)
    torch.testing.assert_close(for_rows(model, rows)(X[rows], T[rows]), whole[rows])
    torch.testing.assert_close(model(X, T), whole)


@pytest.mark.parametrize("make", [Counted, _Timed, lambda model: _Meter(model, 1000)])
def test_what_keeps_count_counts_the_calls_for_some_rows_too(make):
    counted = make(lambda x, t: x)
    counted(X, T)
    for_rows(counted, torch.tensor([1, 2]))(X[:2], T[:2])
    assert counted.rows == 9
    assert getattr(counted, "nfe", 2) == 2


class TestInDtype:
    @pytest.mark.parametrize("state", [torch.float64, torch.float32, torch.bfloat16])
    @pytest.mark.parametrize("inside", [torch.float64, torch.float32])
    def test_a_network_that_embeds_time_works_with_any_state(self, state, inside):
        """Where t stayed in the dtype of the state, this raised "Double and Float"."""
        embed = torch.nn.Linear(3, 2).to(inside)

        def network(x, t):
            return embed(torch.cat((x, t[:, None]), dim=1))

        t = T.to(torch.promote_types(state, torch.float32))
        assert InDtype(network, inside)(X.to(state), t).dtype == state

    @pytest.mark.parametrize("state", [torch.float64, torch.float32])
    def test_a_half_network_gets_time_in_float32_or_as_it_asks_for(self, state):
        embed, seen = torch.nn.Linear(1, 2).bfloat16(), []

        def network(x, t):
            seen.append(t)
            return x + embed(t[:, None])

        t = T.to(state)
        half = InDtype(network, torch.bfloat16, time=torch.bfloat16)(X.to(state), t)
        assert (half.dtype, seen.pop().dtype) == (state, torch.bfloat16)
        InDtype(lambda x, t: seen.append(t) or x, torch.bfloat16)(X.to(state), t)
        assert torch.equal(seen.pop(), T.float())

    def test_parts_in_the_wrong_places_are_refused(self):
        with pytest.raises(PairingError, match=r"The order is InDtype\(score_model, dtype\)"):
            InDtype(torch.float16, lambda x, t: x)
        for dtype in ("float16", torch.int64, None):
            with pytest.raises(PairingError, match=r"dtype = .*: must be a floating-point dtype"):
                InDtype(lambda x, t: x, dtype)

    def test_half_precision_is_not_exact(self):
        exact = two_modes().score(SDE)
        assert error_of(InDtype(exact, torch.float32)) == 0.0
        assert error_of(InDtype(exact, torch.float16)) is None


class TestChunked:
    @pytest.mark.parametrize("size", [1, 3, 7, 100])
    def test_it_asks_for_some_rows_at_a_time(self, size):
        sizes = []

        def model(x, t):
            sizes.append((len(x), len(t)))
            return x * t[:, None]

        assert torch.equal(Chunked(model, size)(X, T), X * T[:, None])
        assert sum(rows for rows, _ in sizes) == 7
        assert all(rows == times <= size for rows, times in sizes)

    def test_it_counts_as_one_evaluation(self):
        counted = Counted(Chunked(lambda x, t: x, 2))
        counted(X, T)
        assert (counted.nfe, counted.rows) == (1, 7)

    def test_a_chunk_of_another_shape_is_refused(self):
        with pytest.raises(ScoreModelError, match=r"\(3, 1\).* x of shape \(3, 2\)"):
            Chunked(lambda x, t: x[:, :1], 3)(X, T)

    def test_what_it_cannot_do_is_refused(self):
        with pytest.raises(PairingError, match=r"The order is Chunked\(score_model, size\)"):
            Chunked(3, lambda x, t: x)
        for size in (0, -1, 2.0, True, "3"):
            with pytest.raises(ArgumentError, match="size = "):
                Chunked(lambda x, t: x, size)


class TestCounted:
    def test_a_failure_for_a_part_of_the_batch_names_the_cure(self):
        counted = Counted(lambda x, t: labelled(x, t, LABELS))
        counted(X, T)
        rows = torch.tensor([1, 4])
        counted.select(rows, 7)
        message = r"2 of the 7 rows.*size of tensor.*Bound\(network, labels=labels\).*whole_batch"
        with pytest.raises(ScoreModelError, match=message):
            counted(X[rows], T[rows])

    @pytest.mark.parametrize("error", [ArgumentError("t", 1, "2"), KeyError("a"), MemoryError()])
    def test_other_errors_are_left_as_they_are(self, error):
        def failing(x, t):
            raise error

        counted = Counted(failing)
        counted.select(torch.tensor([0]), 7)
        with pytest.raises(type(error)):
            counted(X[:1], T[:1])

    def test_rows_that_broadcast_are_seen_by_the_check_of_shapes(self):
        score = FromDenoiser(lambda x, t: labelled(x, t, LABELS), SDE)
        with pytest.raises(ScoreModelError, match=r"Bound\(network, labels=labels\)"):
            score(X[:1], T[:1])
