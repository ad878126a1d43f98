"""Foreign distributions made on the fly."""

from __future__ import annotations

from pathlib import Path

from sdeplug.registry import Registry

HEAD = """
from abc import ABC
from dataclasses import dataclass
from sdeplug import Corrector, ForwardSDE, Integrator, hookimpl

@dataclass(frozen=True)
class Mine(Integrator):
    size: float = 1.0
    def integrate(self, reverse, x, t, s, run):
        return x
"""
SOUND = """
@hookimpl
def sdeplug_solvers():
    return {"mine": Mine}
"""


class Site:
    """A folder on sys.path into which distributions are put, as an installer would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(
        self,
        plugin: str,
        code: str = HEAD + SOUND,
        *,
        distribution: str | None = None,
        version: str = "1.0",
    ) -> str:
        """Returns the name of the module."""
        distribution = distribution or f"dist-{plugin}"
        module = f"foreign_{distribution}_{plugin}_{version}".translate(str.maketrans("-.", "__"))
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        self.folder.joinpath(f"{module}.py").write_text(code)
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        info.joinpath("METADATA").write_text(metadata)
        info.joinpath("entry_points.txt").write_text(f"[sdeplug]\n{plugin} = {module}\n")
        info.joinpath("RECORD").write_text("")
        info.joinpath("INSTALLER").write_text("test\n")
        return module


def fresh(**environment: str) -> Registry:
    return Registry(environment=environment)
