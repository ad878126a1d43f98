"""Every solver on a GPU: the numbers of the CPU, and no step that waits for it.

Skipped where there is none.
"""

from __future__ import annotations

import pytest
import torch
from test_defaults import LOOSE, NAMES

from sdeplug import (
    VPSDE,
    Corrected,
    Corrector,
    FromNoise,
    Leg,
    LevelLabel,
    LogSNR,
    NonFiniteError,
    OnGrid,
    PerSampleNoise,
    Pipeline,
    ReverseSDE,
    Run,
    SharedNoise,
    TabulatedSDE,
    networks,
    sample,
    solver,
)
from sdeplug.targets import two_modes

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

SDE = VPSDE(beta_max=19.5)
WRAPPED = ("torchdiffeq/", "torchsde/")  # whose own loops wait
STEADY = [
    name
    for name in NAMES
    if not name.startswith(WRAPPED) and solver(name).claims.evaluations is not None
]
SOURCES = {"shared": lambda: SharedNoise(1), "by row": lambda: PerSampleNoise(1, range(3))}


def made(name):
    by = solver(name, **LOOSE.get(name, {}))
    if isinstance(by, Corrector):
        by = Corrected(solver("song/euler-maruyama"), by)
    return OnGrid(by, LogSNR(4)) if by.needs_grid else by


@pytest.fixture
def strict():
    """Whatever waits for the device raises."""
    yield lambda: torch.cuda.set_sync_debug_mode("error")
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.filterwarnings("ignore:Functional iteration")
@pytest.mark.parametrize("name", NAMES)
def test_samples_are_those_of_the_cpu(name):
    pipeline = Pipeline(ReverseSDE(SDE, two_modes().score(SDE)), (Leg(0.5, made(name)),))
    there, here = (
        pipeline.sample((3, 2), seed=[1, 2, 3], dtype=torch.float64, device=device)
        for device in ("cuda", "cpu")
    )
    assert there.x.device.type == "cuda"
    assert there.nfe == here.nfe
    torch.testing.assert_close(there.x.cpu(), here.x, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", STEADY)
def test_no_step_waits_for_the_device(name, source, strict):
    reverse = ReverseSDE(SDE, lambda x, t: -x)
    x, noise = torch.randn(3, 2, device="cuda"), SOURCES[source]()
    by = made(name).settled(reverse, x, 1.0, 0.5)
    by.integrate(reverse, x, 1.0, 0.5, Run(noise))  # tables are copied once
    strict()
    by.integrate(reverse, x, 1.0, 0.5, Run(noise))


def network():
    return torch.nn.Conv2d(1, 1, 3, padding=1).cuda().requires_grad_(False)


class Labelled(torch.nn.Module):
    """A network that is told a level."""

    def __init__(self):
        super().__init__()
        self.inner = network()

    def forward(self, x, level):
        return self.inner(x) + level[:, None, None, None] / 1000


def test_no_step_with_a_network_waits_for_the_device(strict):
    table = TabulatedSDE(betas=torch.linspace(1e-4, 0.02, 1000).tolist())
    model = networks.from_module(Labelled(), table, predicts=FromNoise, labels=LevelLabel())
    reverse = ReverseSDE(table, model.score)
    x, noise = torch.randn(2, 1, 8, 8, device="cuda"), SharedNoise(0)
    by = OnGrid(solver("exponential/dpmpp-2m-sde"), LogSNR(30))
    by.integrate(reverse, x, table.T, table.eps, Run(noise))
    strict()
    by.integrate(reverse, x, table.T, table.eps, Run(noise))


@pytest.mark.parametrize("steps", [5, 200])
def test_a_state_that_is_not_finite_is_told(steps):
    def score(x, t):
        return torch.where(t[:, None] < 0.6, torch.nan, -x)

    by = OnGrid(solver("song/euler-maruyama"), LogSNR(steps))
    with pytest.raises(NonFiniteError) as caught:
        sample(ReverseSDE(SDE, score), (3, 2), by=by, device="cuda")
    assert caught.value.t < 0.6
    assert caught.value.last.device.type == "cuda"
    assert caught.value.last.isfinite().all()
