"""A training that was cut off goes on as if it had not been: to the same bits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset
from training.nets import Net, same

from sdeplug import VPSDE, ArgumentError
from sdeplug.training import Cosine, DenoisingLoss, Journal, Trainer, WarmUp, checkpoint

pytest.importorskip("accelerate")

LOSS = DenoisingLoss(VPSDE())
DATA = 0.5 * torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
CLASSES = torch.arange(50) % 3
TRAINER = Trainer(LOSS, ema=(0.9, 0.5), batch=16, rate=WarmUp(8))


class Noisy(TensorDataset):
    """Every row is another one each time it is read."""

    def __getitem__(self, index):
        return tuple(each + 0.01 * torch.randn(each.shape) for each in super().__getitem__(index))


FORMS = {
    "tensor": (DATA, CLASSES),
    "loader": DataLoader(Noisy(DATA), batch_size=16, shuffle=True),
    "list": [*DATA.split(16)],
}


class CutOff(Exception):
    pass


def cut(at: int):
    def observer(moment):
        if moment.mark.step == at:
            raise CutOff

    return observer


@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("at", [2, 6])  # within the first pass, and in the second
def test_it_goes_on_to_the_same_bits(tmp_path, data, at):
    whole = TRAINER.fit(Net(dropout=0.4), data, 10, DATA, Journal(every=2))
    with pytest.raises(CutOff):
        TRAINER.fit(
            Net(dropout=0.4), data, 10, DATA, Journal(tmp_path, every=2, observers=(cut(at),))
        )
    torch.manual_seed(99)
    rest = TRAINER.fit(Net(dropout=0.4, seed=5), data, 10, DATA, Journal(tmp_path, every=2))
    assert same(rest.network, whole.network)
    assert all(same(*pair) for pair in zip(rest.averages, whole.averages, strict=True))
    assert rest.history == whole.history
    state = checkpoint.read(tmp_path)["optimiser"]["state"]
    assert {int(each["step"]) for each in state.values()} == {10}


def test_the_optimiser_goes_on_too(tmp_path):
    """One step more after a resume is that of a run that was never cut."""
    TRAINER.fit(Net(), DATA, 4, journal=Journal(tmp_path / "two"))
    more = TRAINER.fit(Net(), DATA, 5, journal=Journal(tmp_path / "two"))
    TRAINER.fit(Net(), DATA, 5, journal=Journal(tmp_path / "one"))
    assert same(more.network, TRAINER.fit(Net(), DATA, 5).network)
    states = [checkpoint.read(tmp_path / each)["optimiser"]["state"] for each in ("one", "two")]
    for one, two in zip(*(state.values() for state in states), strict=True):
        assert all(torch.equal(one[key], two[key]) for key in one)


def test_a_rate_may_be_planned_anew_after_the_steps_that_are_done(tmp_path):
    """Two stretches of a cosine are one training, cut off between them and within the second."""
    one, both = Cosine(4, warm_up=2), Cosine(9, warm_up=2, restarts=(4,))
    whole = replace(TRAINER, rate=both).fit(Net(), DATA, 9)
    replace(TRAINER, rate=one).fit(Net(), DATA, 4, journal=Journal(tmp_path))
    for steps in (6, 9):
        rest = replace(TRAINER, rate=both).fit(Net(), DATA, steps, journal=Journal(tmp_path))
    assert same(rest.network, whole.network)
    with pytest.raises(ArgumentError, match="rate = Cosine"):
        replace(TRAINER, rate=one).fit(Net(), DATA, 10, journal=Journal(tmp_path))


def test_a_cosine_begins_anew_at_its_restarts():
    plain, anew = Cosine(10, warm_up=3), Cosine(30, warm_up=3, restarts=(10, 20))
    rates = [plain(step) for step in range(10)]
    assert [anew(step) for step in range(30)] == 3 * rates
    assert anew(31) == pytest.approx(0.0)
    for wrong in ((30,), (5, 5), (9, 2)):
        with pytest.raises(ArgumentError, match=r"restarts = .*rising, and below 30"):
            Cosine(30, restarts=wrong)


def test_what_is_done_is_given_back(tmp_path):
    done = TRAINER.fit(Net(), DATA, 4, journal=Journal(tmp_path))
    again = TRAINER.fit(Net(seed=3), DATA, 4, journal=Journal(tmp_path))
    assert same(again.network, done.network)
    assert again.history == done.history


def test_a_write_that_is_cut_off_leaves_the_one_before(tmp_path, monkeypatch):
    TRAINER.fit(Net(), DATA, 2, journal=Journal(tmp_path))

    def torn(state, file):
        file.write(b"half of it")
        raise CutOff

    monkeypatch.setattr(torch, "save", torn)
    with pytest.raises(CutOff):
        TRAINER.fit(Net(), DATA, 4, journal=Journal(tmp_path))
    monkeypatch.undo()
    assert checkpoint.read(tmp_path)["steps"] == 2
    rest = TRAINER.fit(Net(), DATA, 4, journal=Journal(tmp_path))
    assert same(rest.network, TRAINER.fit(Net(), DATA, 4).network)


@pytest.mark.parametrize(
    ("trainer", "network", "message"),
    [
        (replace(TRAINER, batch=8), Net(), "with batch = 8. .*There it was 16"),
        (replace(TRAINER, loss=DenoisingLoss(VPSDE(beta_max=10.0))), Net(), "loss = Denoising"),
        (replace(TRAINER, optimiser=torch.optim.SGD), Net(), r"optimiser = SGD.*Adam.lr=0\.0002"),
        (replace(TRAINER, rate=WarmUp(4)), Net(), r"rate = WarmUp\(steps=4\).*steps=8"),
        (TRAINER, Net(3), r"classes.weight has shape \(4, 2\) and not \(4, 3\)"),
        (TRAINER, torch.nn.Linear(2, 2), "bias has shape None"),
    ],
)
def test_the_training_of_another_is_refused(tmp_path, trainer, network, message):
    TRAINER.fit(Net(), DATA, 2, journal=Journal(tmp_path))
    before = [each.clone() for each in network.parameters()]
    with pytest.raises(ArgumentError, match=f"(?s){message}"):
        trainer.fit(network, DATA, 4, journal=Journal(tmp_path))
    assert all(map(torch.equal, network.parameters(), before))


class Hostile:
    def __reduce__(self):
        return os.system, ("touch executed",)


DAMAGED = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-200]),
    "something else": lambda path: path.write_bytes(b"not a file of torch"),
    "hostile": lambda path: torch.save({"version": 1, "network": Hostile()}, path),
    "another version": lambda path: torch.save({"version": 99}, path),
    "no training": lambda path: torch.save([1, 2], path),
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_named_and_executes_nothing(tmp_path, monkeypatch, damage):
    monkeypatch.chdir(tmp_path)
    TRAINER.fit(Net(), DATA, 2, journal=Journal(tmp_path))
    damage(tmp_path / checkpoint.NAME)
    with pytest.raises(ArgumentError, match=r"folder = .*training\.pt"):
        TRAINER.fit(Net(), DATA, 4, journal=Journal(tmp_path))
    assert not (tmp_path / "executed").exists()


STEPS = 400
PROGRAM = """
import sys, torch
from training.test_resume import train
torch.set_num_threads(1)
torch.save(train(sys.argv[1]), sys.argv[1] + "/end.pt")
"""


def train(folder: str | Path) -> list:
    tell = lambda moment: print(moment.mark.step, flush=True)  # noqa: E731
    journal = Journal(folder, every=3, observers=(tell,))
    trained = TRAINER.fit(Net(dropout=0.4), DATA, STEPS, journal=journal)
    return [each.state_dict() for each in (trained.network, *trained.averages)]


def begin(folder: Path) -> subprocess.Popen:
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
@pytest.mark.thorough
def test_a_process_that_is_killed_at_any_moment_goes_on_to_the_same_bits(tmp_path):
    """Killed again and again, after some milliseconds that differ: in a step, or while writing."""
    whole, killed = train(tmp_path / "whole"), 0
    for wait in (0.311, 0.017):
        with begin(tmp_path / "cut") as process:
            assert process.stdout.readline()  # it has begun to train
            time.sleep(wait)
            process.send_signal(signal.SIGKILL)
        killed += process.returncode == -signal.SIGKILL
    assert killed
    with begin(tmp_path / "cut") as process:
        assert "400" in process.stdout.read().split()
    assert process.returncode == 0
    cut = torch.load(tmp_path / "cut" / "end.pt", weights_only=True)
    for one, two in zip(whole, cut, strict=True):
        assert all(torch.equal(one[key], two[key]) for key in one)
