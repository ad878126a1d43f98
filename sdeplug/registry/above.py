"""What rooms above this one have that has a name, but no value without numbers or a model.

They are opened when the name is used, so that files, the command line and ``solver()`` know them
although nothing here imports what stands above.  They are in no listing: of a name in a listing,
something can be built with nothing said.
"""

from __future__ import annotations

from collections.abc import Mapping
from pkgutil import resolve_name

from sdeplug.registry.discovery import BUNDLED, CORE, Entry, Kind, installed_version

_PLACES: Mapping[str, Mapping[str, str]] = {
    "solvers": {"calibrated": "sdeplug.tuning.calibrated:Calibrated"},
    "scores": {
        "classifier-guided": "sdeplug.conditioning.guidance:ClassifierGuided",
        "classifier-free": "sdeplug.conditioning.guidance:ClassifierFree",
        "local-score": "sdeplug.conditioning.posterior:LocalScore",
        "dps": "sdeplug.conditioning.posterior:DPS",
        "pigdm": "sdeplug.conditioning.posterior:PiGDM",
        "moment-matching": "sdeplug.conditioning.posterior:MomentMatching",
    },
}


def above(kind: Kind, name: str) -> Entry | None:
    """What has a name, full or short, in a room above; None if nothing has."""
    plugin, _, short = name.rpartition("/")
    place = _PLACES.get(kind, {}).get(short)
    if place is None or plugin not in ("", CORE):
        return None
    version = installed_version(BUNDLED)
    return Entry(CORE, BUNDLED, version, f"{CORE}/{short}", resolve_name(place))


def name_above(cls: type) -> str | None:
    """The full name of a class of a room above; None if it has none."""
    here = f"{cls.__module__}:{cls.__qualname__}"
    known = (each for places in _PLACES.values() for each in places.items())
    return next((f"{CORE}/{short}" for short, place in known if place == here), None)


def names_above(kind: str) -> tuple[str, ...]:
    """Full names of a kind."""
    return tuple(f"{CORE}/{short}" for short in _PLACES.get(kind, {}))
