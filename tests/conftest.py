"""One thread, the same examples on every run; the five SDEs and the command line as fixtures."""

from __future__ import annotations

import gc
import sys

import pytest
import torch
from common import SDES
from hypothesis import settings

from sdeplug.sde import EDMSDE, CosineVPSDE

settings.register_profile("sdeplug", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("sdeplug")
torch.set_num_threads(1)
gc.disable()  # until all tests are collected: each of the passes would look at every one of them


def pytest_collection_finish():
    gc.freeze()
    gc.enable()


def of_another(sde):
    """An SDE that is like another to whatever is not its own formula."""
    return pytest.param(sde, marks=pytest.mark.thorough)


SOME_SDES = [of_another(each) if isinstance(each, (CosineVPSDE, EDMSDE)) else each for each in SDES]


@pytest.fixture(scope="session", params=SOME_SDES, ids=lambda sde: type(sde).__name__)
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
