"""Paths are tried before the work, and what was computed is never lost."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sdeplug.cli.work import compare, files, sample
from sdeplug.cli.work.files import UnwrittenError, write, write_text

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")
not_root = pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write")


@pytest.fixture
def nothing_runs(monkeypatch):
    """Whatever is computed fails the test."""
    monkeypatch.setattr(sample.Drawn, "draw", lambda *_: pytest.fail("samples were drawn"))
    monkeypatch.setattr(compare, "compare", lambda *_, **__: pytest.fail("solvers were run"))
    monkeypatch.setattr("sdeplug.cli.work.check.check_solver", lambda *_, **__: pytest.fail("ran"))


@pytest.mark.parametrize("out", [".", "", "folder", "folder/", "gone/x", "npz", "png", "file/x"])
def test_sample_tries_its_paths_first(sdeplug, nothing_runs, tmp_path, out):
    for folder in ("folder", "npz.npz", "png.png"):
        (tmp_path / folder).mkdir()
    (tmp_path / "file").write_text("")
    status, _, err = sdeplug("sample", "--out", out)
    assert status == 2
    assert err.startswith("sdeplug: --out = ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["compare"], "--plot"),
        (["compare"], "--html"),
        (["compare"], "--json"),
        (["check", "ode/heun"], "--json"),
        (["check", "ode/heun"], "--picture"),
    ],
)
@pytest.mark.parametrize("path", ["", ".", "folder", "folder/", "gone/x.png"])
def test_every_other_command_does_too(sdeplug, nothing_runs, tmp_path, words, flag, path):
    (tmp_path / "folder").mkdir()
    status, _, err = sdeplug(*words, flag, path)
    assert status == 2
    assert err.startswith(f"sdeplug: {flag} = ")


@not_root
def test_a_folder_that_may_not_be_written_is_refused_first(sdeplug, nothing_runs, tmp_path):
    (tmp_path / "mine").mkdir(mode=0o500)
    status, _, err = sdeplug("sample", "--out", "mine/x")
    assert status == 2
    assert "may write" in err


@needs_full
def test_samples_that_cannot_be_written_are_somewhere_else(sdeplug, tmp_path):
    (tmp_path / "samples.npz").symlink_to(FULL)
    status, out, err = sdeplug("sample", "-n", 5, "--steps", 8)
    assert status == 1
    assert "wrote" not in out
    assert err.count("\n") == 1
    assert "No space left" in err
    place = re.search(r"its content is in (.*)\.\n", err)[1]
    with np.load(place) as file:
        assert file["x"].shape == (5, 2)


@needs_full
def test_other_files_are_kept_in_the_same_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnwrittenError, match="its content is in"):
        write_text(FULL, "all that was measured")
    assert next(tmp_path.iterdir()).read_text() == "all that was measured\n"


def test_half_a_file_is_removed_and_an_old_one_stays(tmp_path, monkeypatch):
    def broken(path: Path) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnwrittenError, match="nor could any other file"):
        write(tmp_path / "x.txt", broken)
    assert not list(tmp_path.iterdir())


@needs_full
@pytest.mark.parametrize("words", ["--version", "list --help"])
def test_a_full_disk_under_the_output_is_one_line(words):
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "sdeplug", *words.split()],
            stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "No space left" in done.stderr


def test_a_reader_that_leaves_is_no_fault():
    with subprocess.Popen(
        [sys.executable, "-m", "sdeplug", "list", "--help"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        process.stdout.close()
        assert process.stderr.read() == b""


def stop(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_in_a_comparison_says_how_to_go_on(sdeplug, monkeypatch):
    monkeypatch.setattr(compare, "compare", stop)
    status, _, err = sdeplug("compare", "ode/heun", "--resume", "kept")
    assert status == 130
    assert "--resume kept" in err
    status, _, err = sdeplug("compare", "ode/heun")
    assert status == 130
    assert "With --resume DIR" in err


def test_ctrl_c_elsewhere_is_one_line(sdeplug, monkeypatch):
    monkeypatch.setattr(sample.Drawn, "draw", stop)
    status, _, err = sdeplug("sample")
    assert status == 130
    assert err.strip() == "sdeplug: stopped."


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="groups of processes are a matter of POSIX")
@pytest.mark.thorough
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_leaves_no_process_and_no_traceback(tmp_path, jobs):
    words = ["compare", "ode/heun", "song/ancestral", "--nfe", "100,200,400", "--seeds", "50"]
    with subprocess.Popen(
        [sys.executable, "-c", HEARS_CTRL_C, *words, "--resume", "kept", "--jobs", jobs],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            wait_until(lambda: list(tmp_path.glob("kept/*.json")))
            os.killpg(process.pid, signal.SIGINT)
            _, err = process.communicate(timeout=PATIENCE)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "--resume kept" in err
    wait_until(lambda: not members(process.pid))  # the last needs a moment


HEARS_CTRL_C = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is deaf to it
if __name__ == "__main__":
    runpy.run_module("sdeplug", run_name="__main__")
"""
PATIENCE = 180.0  # seconds; a machine may have other work


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it has not come true"
        time.sleep(0.1)


def members(group: int) -> list[str]:
    """What still runs in a group of processes."""
    words = ["ps", "-A", "-o", "pgid=,stat=,args="]
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    alive = [line for line in lines if not line.split()[1].startswith("Z")]
    return [line for line in alive if line.split()[0] == str(group)]
