"""The comparison: executors change no bit, and what is finished is kept."""

from __future__ import annotations

import json
import multiprocessing
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass

import pytest
import torch
from compare.small import EM, GAUSS, HEUN, RING, Diverging, Recorder, numbers, small

import sdeplug as sp
from sdeplug import VPSDE, LogSNR, OnGrid, solver
from sdeplug.compare import (
    Contender,
)


def test_threads_change_no_bit():
    solvers = {"em": EM, "heun": HEUN, "bad": Diverging()}
    options = {"score_errors": (0.0, 0.1)}
    with ThreadPoolExecutor(4) as pool:
        threaded = small(solvers, executor=pool, **options)
    assert numbers(threaded) == numbers(small(solvers, **options))


@pytest.mark.slow
@pytest.mark.thorough
def test_processes_change_no_bit():
    solvers = {"em": EM, "heun": HEUN}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        apart = small(solvers, GAUSS, executor=pool)
    assert numbers(apart) == numbers(small(solvers, GAUSS))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of the cluster's own packages
def test_a_dask_cluster_changes_no_bit():
    distributed = pytest.importorskip("distributed")
    solvers = {"em": EM, "heun": HEUN}
    with distributed.Client(
        processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None
    ) as client:
        apart = small(solvers, executor=client.get_executor())
    assert numbers(apart) == numbers(small(solvers))


def test_the_number_of_threads_is_as_it_was():
    torch.set_num_threads(2)
    try:
        small({"em": EM}, nfe=(2,))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_an_error_in_a_solver_ends_the_comparison():
    @dataclass(frozen=True)
    class Broken(sp.Integrator):
        claims = sp.Claims(order=1, evaluations=1)

        def integrate(self, reverse, x, t, s, run):
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        small({"broken": Broken()})
    with ThreadPoolExecutor(2) as pool, pytest.raises(RuntimeError, match="a bug"):
        small({"broken": Broken()}, executor=pool)


# What is kept


@pytest.mark.parametrize("threads", [0, 2])
def test_an_interrupted_comparison_loses_nothing(tmp_path, threads):
    solvers, counts = {"rec": Recorder(), "em": EM}, []

    def stop(done, of):
        counts.append((done, of))
        if done == 5:
            raise KeyboardInterrupt

    pool = ThreadPoolExecutor(threads) if threads else None
    with pytest.raises(KeyboardInterrupt):
        small(solvers, resume=tmp_path, on_cell=stop, executor=pool)
    if pool:
        pool.shutdown()
    kept = len(list(tmp_path.glob("*.json")))
    assert kept >= 5
    assert not list(tmp_path.glob(".*"))
    counts.clear()
    Recorder.seen.clear()
    result = small(solvers, resume=tmp_path, on_cell=lambda *each: counts.append(each))
    total = 2 + 2 * 4  # floors, and runs
    assert counts == [(done, total) for done in range(kept, total + 1)]
    again = small(solvers, resume=tmp_path, on_cell=lambda *each: counts.append(each))
    assert counts[-1] == (total, total)
    assert again.to_json() == result.to_json()  # times and all
    assert numbers(again) == numbers(small(solvers))


class Immediate(Executor):
    """Everything is finished before the first outcome is looked at."""

    def submit(self, function, *arguments):
        future = Future()
        future.set_result(function(*arguments))
        return future


def test_what_was_finished_but_not_yet_seen_is_kept_too(tmp_path):
    def stop(done, of):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small({"em": EM}, resume=tmp_path, on_cell=stop, executor=Immediate())
    assert len(list(tmp_path.glob("*.json"))) == 2 + 4


def test_what_is_kept_is_used_for_nothing_else(tmp_path):
    def missing(solvers, **options) -> int:
        counts = []
        small(solvers, resume=tmp_path, on_cell=lambda *each: counts.append(each), **options)
        return counts[-1][1] - counts[0][0]

    base = {"em": EM}
    assert missing(base) == 2 + 4
    assert missing(base) == 0
    assert missing({"another name": EM}) == 0
    assert missing({"em": solver("song/euler-maruyama", reference_steps=1000)}) == 4
    assert missing({"h": OnGrid(EM, LogSNR(4, power=0.9))}) == 2
    assert missing({"l": Contender(EM, 0.5)}) == 4
    assert missing(base, nfe=(4, 9)) == 2
    assert missing(base, seeds=3) == 1 + 2
    assert missing(base, score_errors=(0.1,)) == 4
    assert missing(base, samples=201) == 6
    assert missing(base, metrics=("mode-weights",)) == 6
    near = sp.targets.GaussianMixture(None, RING.means + 1e-9, std=0.1)
    assert missing(base, target=near) == 6
    assert missing(base, sde=VPSDE(beta_max=19.0)) == 6


def test_solvers_of_one_name_from_two_modules_are_told_apart(tmp_path):
    from sdeplug.compare.identity import described

    @dataclass(frozen=True)
    class Heun(sp.Integrator):
        def integrate(self, reverse, x, t, s, run):
            return x

    assert repr(Heun()).endswith(repr(HEUN))
    assert described(Heun()) != described(HEUN)


def test_a_file_that_is_not_whole_is_made_anew(tmp_path):
    first = small({"em": EM}, resume=tmp_path)
    files = sorted(tmp_path.glob("*.json"))
    files[0].write_text(files[0].read_text()[:20])
    files[1].write_text('{"nfe": 3}')
    assert numbers(small({"em": EM}, resume=tmp_path)) == numbers(first)
    assert json.loads(files[0].read_text())["values"]
