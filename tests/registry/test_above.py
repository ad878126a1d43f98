"""Names of what stands above the registry: they lead there, and back."""

from __future__ import annotations

import pytest

from sdeplug.conditioning import DPS
from sdeplug.registry import names_above, registry
from sdeplug.registry.above import above, name_above
from sdeplug.registry.loading import KINDS

NAMES = [(kind, name) for kind in KINDS for name in names_above(kind)]


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_a_name_leads_to_its_class_and_back(kind, name):
    entry = above(kind, name)
    assert (entry.name, name_above(entry.obj)) == (name, name)
    assert above(kind, entry.short) == registry().find(kind, entry.short) == entry
    assert above("metrics", name) is None


def test_methods_of_conditioning_are_among_the_scores():
    assert registry().find("scores", "dps").obj is DPS
    assert above("scores", "mine/dps") is None
