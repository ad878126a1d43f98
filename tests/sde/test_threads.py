"""One SDE, one solver and one pipeline in several threads."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from sdeplug import Bound, Leg, Pipeline, ReverseSDE, solver
from sdeplug.compose import OnGrid
from sdeplug.grid import LogSNR
from sdeplug.registry import Registry
from sdeplug.sde import VPSDE, linear
from sdeplug.targets import two_modes

THREADS, ROUNDS = 4, 6


@pytest.fixture
def hasty():
    """Threads that take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def together(work, count: int = THREADS):
    with ThreadPoolExecutor(count) as pool:
        return [each.result() for each in [pool.submit(work, k) for k in range(count)]]


class Cleared(dict):
    """A memo that another thread clears after every look at it and every entry."""

    def __setitem__(self, key, value):
        self.clear()

    def update(self, *entries):
        self.clear()


def test_a_memo_that_is_cleared_between_two_lines_does_not_matter():
    """Deterministic: it raised KeyError once in a million times."""
    sde = VPSDE()
    vars(sde)["_memo"] = Cleared()
    sde.prepare((0.2, 0.3))
    assert [sde.at(t) for t in (0.2, 0.3, 0.5)] == [VPSDE().at(t) for t in (0.2, 0.3, 0.5)]


def test_one_sde_in_several_threads(monkeypatch, hasty):
    monkeypatch.setattr(linear, "_MEMO_SIZE", 3)
    sde, times = VPSDE(), [k / 16 for k in range(1, 17)]
    wanted = [VPSDE().at(t) for t in times]

    def look(k: int):
        turned = times[k:] + times[:k]
        sde.prepare(turned[:4])
        found = {t: sde.at(t) for t in turned}
        return [found[t] for t in times]

    for _ in range(ROUNDS):
        assert together(look) == [wanted] * THREADS


@pytest.mark.parametrize("name", ["ode/heun", "song/ancestral", "row-adams", "unipc"])
def test_one_pipeline_in_several_threads(name, monkeypatch, hasty):
    """What a run counts, remembers and leaves out is its own; labels are not mixed up."""
    monkeypatch.setattr(linear, "_MEMO_SIZE", 5)
    sde, exact = VPSDE(), two_modes().score(VPSDE())
    labels = torch.linspace(-1.0, 1.0, 6)
    score = Bound(lambda x, t, labels: exact(x - labels[:, None], t), labels=labels)
    by = solver(name)
    by = OnGrid(by, LogSNR(5)) if by.needs_grid else by
    shared = Pipeline(ReverseSDE(sde, score), (Leg(0.1, by),))

    def run(k: int):
        out = shared.sample((6, 2), seed=k)
        return out.x, out.nfe, out.nfe_by_row

    alone = [run(k) for k in range(THREADS)]
    for (x, nfe, by_row), (x1, nfe1, by_row1) in zip(together(run), alone, strict=True):
        assert torch.equal(x, x1)
        assert torch.equal(by_row, by_row1)
        assert nfe == nfe1


def test_one_registry_in_several_threads(hasty):
    registry = Registry()
    found = together(lambda k: dict(registry.solvers()))
    assert all(each == found[0] and len(each) > 20 for each in found)
