"""A fitted solver: as a file, by name, and with the network that it belongs to."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tuning.fitted import RING, SDE, normal, on_ring, reverse_of

from sdeplug import (
    VPSDE,
    ArgumentError,
    Integrator,
    Leg,
    PairingError,
    Pipeline,
    ReverseSDE,
    UnknownNameError,
    from_spec,
    solver,
    targets,
)
from sdeplug.registry import named, read_spec, write_spec
from sdeplug.tuning import Calibrated


def test_it_is_data_to_the_bit(tmp_path):
    file = tmp_path / "new" / "folder" / "ring.json"
    on_ring().save(file)
    again = Calibrated.load(file)
    assert again == on_ring()
    assert hash(again) == hash(on_ring())
    assert {on_ring(): 1}[again] == 1
    assert "nfe=3, from 1 to 0, shape=(2,), error=" in repr(again)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "must be a readable file"),
        ("[]", r"must be a file that Calibrated.save\(\) has written"),
        ("{}", r"must be a file that Calibrated.save\(\) has written"),
        ('{"file": "other.json"}', r"must be a file that Calibrated.save\(\) has written"),
        ('{"times": [1, 0]}', "number of levels = 0"),
        ('{"times": [0, 1]}', "times = .0, 1.: must be falling"),
        ('{"times": [1, 0], "levels": [[1], [1]], "weights": [[1, 1]], "shape": [2]}', "levels"),
        ('{"times": [1, 0], "levels": [[1, 1], [1, 1]], "weights": [[]], "shape": [2]}', "weights"),
        ('{"times": [1, 0], "levels": [], "weights": [[1, 1]], "shape": [2]}', "number of levels"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, text, says):
    file = tmp_path / "none.json"
    file.write_text(text)
    with pytest.raises(ArgumentError, match=says):
        Calibrated.load(file)
    with pytest.raises(ArgumentError, match="must be a readable file"):
        Calibrated.load(tmp_path / "absent.json")


class Wider:
    """The score of a target, too large by a part: another network."""

    def __init__(self, part):
        self.score, self.part, self.calls = RING.score(SDE), part, 0

    def __call__(self, x, t):
        self.calls += 1
        return self.score(x, t) * (1.0 + self.part)


def test_another_network_is_refused_and_its_own_is_asked_once():
    with pytest.raises(PairingError, match="belongs to another network"):
        Pipeline(ReverseSDE(SDE, Wider(0.02)), Leg(0.0, on_ring())).sample((2, 2))
    own = Wider(0.0)
    pipeline = Pipeline(ReverseSDE(SDE, own), Leg(0.0, on_ring()))
    assert [pipeline.sample((2, 2)).nfe for _ in range(2)] == [3, 3]
    assert own.calls == 2 + 3 + 3
    anyone = replace(on_ring(), network=())
    assert Pipeline(ReverseSDE(SDE, Wider(0.5)), Leg(0.0, anyone)).sample((2, 2)).nfe == 3


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_network_is_known_in_other_dtypes(dtype):
    assert Pipeline(reverse_of(RING), Leg(0.0, on_ring())).sample((2, 2), dtype=dtype).nfe == 3


@pytest.mark.parametrize(
    ("error", "says", "run"),
    [
        (ArgumentError, "span", lambda by: to_eps(reverse_of(RING), by)),
        (ArgumentError, "span", lambda by: whole(reverse_of(RING), by, x=normal(2), t=0.5)),
        (ArgumentError, "shape = ", lambda by: whole(reverse_of(RING), by, shape=(2, 3))),
        (PairingError, "another forward SDE", lambda by: whole(reverse_of(RING, FAST), by, (2, 2))),
    ],
)
def test_what_it_does_not_belong_to_is_refused(error, says, run):
    with pytest.raises(error, match=says):
        run(on_ring())


FAST = VPSDE(beta_max=20.1)


@pytest.mark.parametrize("name", ["calibrated", "core/calibrated"])
def test_by_name_it_is_its_file_and_in_a_pipeline_its_numbers(tmp_path, name):
    on_ring().save(tmp_path / "ring.json")
    file = str(tmp_path / "ring.json")
    assert solver(name, file=file) == named("solvers", f"{name}:file={file}") == on_ring()
    assert from_spec({"name": name, "file": file}, Integrator) == on_ring()
    pipeline = Pipeline(reverse_of(RING), Leg(0.0, on_ring()))
    for ending in ("json", "toml"):
        write_spec(pipeline.to_spec(), tmp_path / f"whole.{ending}")
        again = Pipeline.from_spec(read_spec(tmp_path / f"whole.{ending}"), RING.score)
        assert again.legs == pipeline.legs
        assert torch.equal(again.sample((2, 2)).x, pipeline.sample((2, 2)).x)
    other = Pipeline.from_spec(pipeline.to_spec(), targets.two_modes().score)
    with pytest.raises(PairingError, match="another network"):
        other.sample((2, 2))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"file": "absent.json"}, "file = 'absent.json': must be a readable file"),
        ({}, "times = .*given with levels, weights and shape, or all of them as a file"),
        ({"file": "ring.json", "std": 0.5}, "file = 'ring.json': must be given without std"),
        ({"fil": "ring.json"}, "option of core/calibrated = 'fil'.*Did you mean 'file'"),
    ],
)
def test_a_name_without_its_numbers_says_what_is_missing(tmp_path, monkeypatch, options, says):
    monkeypatch.chdir(tmp_path)
    on_ring().save("ring.json")
    with pytest.raises(ArgumentError, match=says):
        solver("calibrated", **options)


def test_a_name_that_is_near_is_told():
    with pytest.raises(UnknownNameError, match="'core/calibrated'"):
        solver("calibratd")


def to_eps(reverse, by):
    return Pipeline(reverse, Leg(SDE.eps, by)).sample((2, 2))


def whole(reverse, by, shape=None, **start):
    return Pipeline(reverse, Leg(0.0, by)).sample(shape, **start)
