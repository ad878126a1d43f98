"""The properties of a linear SDE are those of a table's, too."""

from __future__ import annotations

import pytest
from common import SDES, TABLES


@pytest.fixture(
    scope="session",
    params=[*SDES, *TABLES.values()],
    ids=[*(type(sde).__name__ for sde in SDES), *TABLES],
)
def any_sde(request):
    return request.param
