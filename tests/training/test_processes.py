"""Two processes train as one: their gradients are averaged, their weights stay the same."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from training.nets import Net

from sdeplug import VPSDE, SharedNoise
from sdeplug.training import DenoisingLoss, Trainer, WarmUp

pytest.importorskip("accelerate")

TRAINER = Trainer(DenoisingLoss(VPSDE()), ema=(0.9,), batch=16, rate=WarmUp(3))
DATA = 0.5 * torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
CLASSES = torch.arange(50) % 3
PROGRAM = """
import os, sys, torch
from accelerate import Accelerator
from training.nets import Net
from training.test_processes import CLASSES, DATA, TRAINER
from sdeplug.training import Journal
torch.set_num_threads(1)
for steps in (4, 6):  # cut off after 4 and gone on
    network, journal = Net(seed=int(os.environ["RANK"])), Journal(sys.argv[1], every=2)
    given = dict(journal=journal, accelerator=Accelerator(cpu=True))
    trained = TRAINER.fit(network, (DATA, CLASSES), steps, **given)
both = [trained.network.state_dict(), trained.average.state_dict(), trained.history]
torch.save(both, f"{sys.argv[1]}/rank-{os.environ['RANK']}.pt")
"""


def by_hand(steps: int):
    """What two processes do, in one: the mean of their gradients."""
    network = Net(seed=0)
    average, parameters = copy.deepcopy(network), list(network.parameters())
    optimiser = torch.optim.Adam(parameters, lr=2e-4)
    order = []
    for number in range(3):
        seed = SharedNoise(0).stream(f"order of pass {number}").seed
        order += torch.randperm(50, generator=torch.Generator().manual_seed(seed)).tolist()
    for step in range(steps):
        optimiser.zero_grad()
        for rank in range(2):
            first = 16 * step + 8 * rank
            noise = SharedNoise(0).stream(f"step {step} of process {rank}")
            rows = order[first : first + 8]
            bound = TRAINER.labels.bind(network, CLASSES[rows], noise.stream("labels"))
            rows = TRAINER.loss(bound, DATA[rows], noise)
            (0.5 * rows.mean()).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.param_groups[0]["lr"] = 2e-4 * TRAINER.rate(step)
        optimiser.step()
        with torch.no_grad():
            for mine, its in zip(average.parameters(), parameters, strict=True):
                mine.lerp_(its, 1.0 - min(0.9, (1 + step) / (10 + step)))
    return network, average


@pytest.mark.slow
@pytest.mark.thorough
def test_two_processes_under_torchrun_do_what_one_does(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*run, str(program), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ranks = [torch.load(tmp_path / f"rank-{rank}.pt", weights_only=False) for rank in (0, 1)]
    network, average = by_hand(6)
    for number, wanted in enumerate((network, average)):
        for name, value in wanted.state_dict().items():
            found = [each[number][name] for each in ranks]
            assert torch.equal(*found), name
            assert torch.allclose(found[0], value, rtol=0.0, atol=1e-6), name
    assert ranks[0][2] == ranks[1][2]
    assert [mark.step for mark in ranks[0][2]] == [2, 4, 6]


def test_a_batch_is_a_multiple_of_the_processes():
    """As data see it: without a second process."""
    from types import SimpleNamespace

    from sdeplug import ArgumentError
    from sdeplug.training.data import batches

    two = [
        SimpleNamespace(num_processes=2, process_index=rank, device=torch.device("cpu"))
        for rank in (0, 1)
    ]
    for trainer, data in ((TRAINER, DATA), (TRAINER, [*DATA.split(8)])):
        alone = batches(
            data, trainer, 0, SimpleNamespace(num_processes=1, process_index=0, device=DATA.device)
        )
        shared = [batches(data, trainer, 0, each) for each in two]
        for _ in range(9):
            halves = torch.cat([next(each).x0 for each in shared])
            whole = next(alone).x0
            whole = whole if isinstance(data, torch.Tensor) else torch.cat((whole, next(alone).x0))
            assert torch.equal(halves, whole)
    with pytest.raises(ArgumentError, match="batch = 9: must be a multiple of the 2 processes"):
        next(batches(DATA, Trainer(TRAINER.loss, batch=9), 0, two[0]))
