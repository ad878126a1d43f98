"""One thread, the same examples on every run; the five SDEs and the command line as fixtures."""

from __future__ import annotations

import sys

import pytest
import torch
from common import SDES
from hypothesis import settings

settings.register_profile("sdeplug", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("sdeplug")
torch.set_num_threads(1)


@pytest.fixture(scope="session", params=SDES, ids=lambda sde: type(sde).__name__)
def any_sde(request):
    return request.param


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """The names that a command remembers are not those of the person who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def sdeplug(monkeypatch, tmp_path, capsys):
    """Run a command in an empty folder: (exit status, standard output, standard error)."""
    from sdeplug.cli.main import main

    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sdeplug", *map(str, words)])
        with pytest.raises(SystemExit) as exit_:
            main()
        return exit_.value.code or 0, *capsys.readouterr()

    return run
