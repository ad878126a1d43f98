"""Every bundled solver still does what it did, to ten digits; see ``golden.py``."""

from __future__ import annotations

import golden
import pytest
import torch

STORED = golden.stored()
HINT = f"If that is meant, run `{golden.COMMAND}` and read the change of {golden.FILE.name}."


def test_every_affine_solver_has_golden_coefficients():
    missing, extra = set(golden.cases()) - set(STORED), set(STORED) - set(golden.cases())
    assert not missing, f"no golden coefficients of {sorted(missing)}: run `{golden.COMMAND}`"
    assert not extra, f"golden coefficients of unknown {sorted(extra)}: run `{golden.COMMAND}`"


@pytest.mark.parametrize("case", sorted(golden.cases()))
def test_coefficients_are_the_golden_ones(case):
    wanted, got = STORED.get(case, {}), golden.measured(golden.cases()[case])
    assert set(got) == set(wanted), HINT
    for setting, answer in got.items():
        for key, values in answer.items():
            old = torch.tensor(wanted[setting][key], dtype=torch.float64)
            new = torch.tensor(values, dtype=torch.float64)
            assert new.shape == old.shape, f"{case} on {setting}: {key} changed shape. {HINT}"
            close = torch.allclose(new, old, rtol=1e-10, atol=1e-13 * float(old.abs().sum()))
            assert close, f"{case} on {setting}: {key} changed. {HINT}"
