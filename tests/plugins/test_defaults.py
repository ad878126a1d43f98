"""torch's default device and default dtype: nothing that sdeplug computes depends on them."""

from __future__ import annotations

import pytest
import torch

from sdeplug import (
    VPSDE,
    Corrected,
    Corrector,
    Leg,
    LogSNR,
    OnGrid,
    Pipeline,
    ReverseSDE,
    solver,
)
from sdeplug.registry import registry
from sdeplug.targets import two_modes

NAMES = [
    name
    for name, entry in registry().solvers().items()
    if entry.provenance.startswith("sdeplug") and not name.startswith("foreign/")
]  # what other libraries make of the defaults is theirs
# "meta" stands for "cuda": the same two devices meet, and no value can be read by mistake.
# Each setting has an SDE of its own, so that no table is there from another.
SETTINGS = {
    "device": (lambda: torch.set_default_device("meta"), VPSDE(beta_max=20.5)),
    "dtype": (lambda: torch.set_default_dtype(torch.float64), VPSDE(beta_max=21.0)),
}


LOOSE = {  # as they are they take long
    "adaptive/row-improved-euler": {"rtol": 0.3, "atol": 0.1},
    "torchdiffeq/adaptive-heun": {"rtol": 0.01, "atol": 0.01},
}


@pytest.fixture
def defaults():
    yield
    torch.set_default_device(None)
    torch.set_default_dtype(torch.float32)


def sampled(name, sde, dtype):
    by = solver(name, **LOOSE.get(name, {}))
    if isinstance(by, Corrector):
        by = Corrected(solver("song/euler-maruyama"), by)
    by = OnGrid(by, LogSNR(3)) if by.needs_grid else by
    pipeline = Pipeline(ReverseSDE(sde, two_modes().score(sde)), (Leg(0.7, by),))
    out = pipeline.sample((3, 2), seed=[1, 2, 3], dtype=dtype, device="cpu")
    return out.x, out.nfe_by_row


@pytest.mark.filterwarnings("ignore:Functional iteration")  # implicit-adams: few steps do here
@pytest.mark.parametrize("setting", ["device", pytest.param("dtype", marks=pytest.mark.thorough)])
@pytest.mark.parametrize("name", NAMES)
def test_samples_do_not_depend_on_the_defaults(name, setting, defaults):
    change, sde = SETTINGS[setting]
    dtype = torch.float32
    change()
    x, by_row = sampled(name, sde, dtype)
    assert x.device.type == by_row.device.type == "cpu"
    assert x.dtype == dtype
    torch.set_default_device(None)
    torch.set_default_dtype(torch.float32)
    plain, plain_by_row = sampled(name, sde, dtype)
    assert torch.equal(x, plain)
    assert torch.equal(by_row, plain_by_row)
