"""One thread, examples that are the same on every run, and the five SDEs as a fixture."""

from __future__ import annotations

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
