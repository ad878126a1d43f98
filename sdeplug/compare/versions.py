"""What a comparison ran on."""

from __future__ import annotations

import platform

from sdeplug.registry import installed_version

_PACKAGES = ("sdeplug", "torch", "numpy", "scipy", "torchsde", "torchdiffeq")


def versions() -> dict[str, str]:
    """Versions of what decides the numbers, and the machine."""
    found = {name: installed_version(name) for name in _PACKAGES}
    return {
        "python": platform.python_version(),
        **{name: version for name, version in found.items() if version},
        "machine": f"{platform.system()} {platform.machine()}",
    }
