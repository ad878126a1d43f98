"""The network from elsewhere in the guide, where its file is."""

from __future__ import annotations

import gzip
import os
import re
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from sdeplug import ReverseSDE, SharedNoise, TabulatedSDE, sample

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "bring-a-network.md"
FOLDER = Path(os.environ.get("SDEPLUG_NETWORKS", "none"))
pytestmark = pytest.mark.skipif(
    not (FOLDER / "vp-mnist.pth").is_file(),
    reason="SDEPLUG_NETWORKS names no folder with vp-mnist.pth, a network of a third party",
)
MEASURED = {20: 0.093, 100: 0.042, 300: 0.023, 500: 0.0052, 800: 0.0006}


@pytest.fixture(scope="module")
def model():
    """What the block of the guide makes."""
    code = re.search(r'```py title="digits.py"\n(.*?)```', PAGE.read_text(), re.DOTALL)[1]
    page, here = types.ModuleType("digits"), Path.cwd()
    try:
        os.chdir(FOLDER)
        exec(compile(code, "digits.py", "exec"), vars(page))
    finally:
        os.chdir(here)
    return page.model


def test_it_has_the_error_that_was_measured_of_it(model):
    file = FOLDER.parent / "mnist" / "t10k-images-idx3-ubyte.gz"
    if not file.is_file():
        pytest.skip(f"{file} is not there")
    pixels = np.frombuffer(gzip.decompress(file.read_bytes()), np.uint8, offset=16)
    data = torch.tensor(pixels.reshape(-1, 1, 28, 28)[:64] / 255.0 - 0.5, dtype=torch.float32)
    assert isinstance(model.sde, TabulatedSDE)
    for level, wanted in MEASURED.items():
        t = torch.full((len(data),), model.sde.time_of(level))
        x = model.sde.perturb(data, t, SharedNoise(level))
        epsilon = SharedNoise(level).stream("perturb").normal(data)
        with torch.no_grad():
            error = float((model.network(x, t) - epsilon).square().mean())
        assert error == pytest.approx(wanted, rel=0.25)


def test_it_draws_digits(model):
    with torch.no_grad():
        out = sample(ReverseSDE(model.sde, model.score), (4, 1, 28, 28), seed=0)
    dark = out.x.clamp(-0.5, 0.5).flatten(1).lt(-0.4).float().mean(1)
    assert float(dark.mean()) == pytest.approx(0.8, abs=0.12)
