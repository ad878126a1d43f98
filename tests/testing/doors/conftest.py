"""What the tests of this folder are given."""

from __future__ import annotations

import pytest
from testing.doors.quick import QUICK

from sdeplug.testing.doors import doors as doors_module


@pytest.fixture
def quick(monkeypatch):
    """Only three checks that cost nothing."""
    monkeypatch.setattr(doors_module, "FAST", QUICK)
    monkeypatch.setattr(doors_module, "CHECKS", QUICK)
