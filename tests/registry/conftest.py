"""What the tests of this folder are given."""

from __future__ import annotations

import sys

import pytest
from registry.sites import Site


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    yield Site(folder)
    for name in [each for each in sys.modules if each.startswith("foreign_")]:
        del sys.modules[name]
