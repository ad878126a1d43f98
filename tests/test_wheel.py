"""What is shipped: the wheel and the sdist hold core and plugins, and work where they land."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PARTS = (
    "sdeplug/__init__.py",
    "sdeplug/py.typed",
    "sdeplug/targets/named.py",
    "sdeplug/testing/doors/checks.py",
    "sdeplug/cli/work/templates/demo.html",
    "sdeplug_song/langevin.py",
    "sdeplug_ode/adams.py",
    "sdeplug/registry/templates/README.md.txt",
    "sdeplug_diffusers/scheduler.py",
    "sdeplug_foreign/from_azula.py",
    "sdeplug_pytest.py",
)

pytestmark = pytest.mark.slow


def run(*words: object, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("sdist")
    run("-m", "hatchling", "build", "-t", "sdist", "-d", out, cwd=ROOT)
    return next(out.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory) -> Path:
    """Built from the sdist, as an installer would when there is no wheel."""
    out = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(out, filter="data")
    source = next(path for path in out.iterdir() if path.is_dir())
    run("-m", "hatchling", "build", "-t", "wheel", "-d", out, cwd=source)
    return next(out.glob("*.whl"))


def test_the_wheel_holds_core_and_plugins_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert set(PARTS) <= set(names)
    tops = {name.split("/")[0] for name in names}
    assert tops == {
        "sdeplug", "sdeplug_song", "sdeplug_ode", "sdeplug_exponential", "sdeplug_foreign",
        "sdeplug_adaptive", "sdeplug_diffusers", "sdeplug_torchdiffeq", "sdeplug_torchsde",
        "sdeplug_pytest.py", "sdeplug-0.1.0.dist-info",
    }  # fmt: skip


@pytest.mark.thorough
def test_the_installed_wheel_finds_its_plugins_and_samples(wheel, tmp_path):
    site = tmp_path / "site"
    run(
        "-m", "pip", "install", "--no-deps", "--no-index", "--no-compile", "--target", site, wheel,
        cwd=tmp_path,
    )  # fmt: skip
    here = run("-c", "import sdeplug; print(sdeplug.__file__)", cwd=tmp_path, PYTHONPATH=str(site))
    assert Path(here.strip()).is_relative_to(site)
    listed = run("-m", "sdeplug", "solvers", cwd=tmp_path, PYTHONPATH=str(site))
    assert "song/langevin" in listed
    assert "ode/rk4" in listed
    run("-m", "sdeplug", "sample", "-n", 5, "--steps", 3, cwd=tmp_path, PYTHONPATH=str(site))
    assert (tmp_path / "samples.npz").exists()
    assert (tmp_path / "samples.png").exists()
