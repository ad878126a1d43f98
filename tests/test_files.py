"""What is written is there whole or not at all, and what cannot be written is one sentence."""

from __future__ import annotations

import errno
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch

from sdeplug import VPSDE, FromNoise, UnwrittenError, networks, write_spec
from sdeplug.compare import Work
from sdeplug.compare.cells import Outcome
from sdeplug.compare.work import Store
from sdeplug.errors import whole, write_text
from sdeplug.pictures import blank_figure
from sdeplug.pictures import save as save_picture
from sdeplug.training import checkpoint
from sdeplug.tuning import kept
from sdeplug.tuning.rounds import Rounds

OUTCOME = Outcome(values={}, nfe=1.0, seconds=0.0, scoring=0.0, measuring=0.0)

WRITERS = {
    "a spec": (lambda path: write_spec({"name": "x"}, path), "path"),
    "a picture": (lambda path: save_picture(blank_figure(1.0, 1.0), path), "path"),
    "a training": (lambda path: checkpoint.write(path, {}), "journal"),
    "features": (lambda path: kept.write(path, torch.zeros(2)), "resume"),
    "a run": (lambda path: Store(path).put("name", OUTCOME), "resume"),
    "a network": (
        lambda path: networks.save(path, networks.ResidualMLP(2, 8, 1), VPSDE(), FromNoise),
        "folder",
    ),
}
FILES = {"a spec": "x.toml", "a picture": "x.png", "features": "x.npy"}


@pytest.mark.parametrize("what", WRITERS)
def test_an_impossible_place_is_one_sentence(what, tmp_path):
    write, argument = WRITERS[what]
    (tmp_path / "file").write_text("mine")
    kept = "goes on from it" if argument in ("journal", "resume") else "nothing is lost, write"
    with pytest.raises(UnwrittenError, match=rf"^{argument} = '.* could .*\(.*\): .*{kept}"):
        write(tmp_path / "file" / FILES.get(what, "under"))
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("what", FILES)
def test_a_folder_is_no_file_and_a_missing_one_is_made(what, tmp_path):
    write, name = WRITERS[what][0], FILES[what]
    write(tmp_path / "new" / "er" / name)
    assert (tmp_path / "new" / "er" / name).stat().st_size
    (tmp_path / name).mkdir()
    with pytest.raises(UnwrittenError, match="Is a directory"):
        write(tmp_path / name)


@pytest.mark.parametrize("what", WRITERS)
def test_a_full_disk_leaves_what_was_there(what, tmp_path, monkeypatch):
    write, place = WRITERS[what][0], tmp_path / FILES.get(what, "folder")
    write(place)
    before = {each: each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()}

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UnwrittenError, match="No space left on device"):
        write(place)
    assert before == {each: each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()}


def test_an_error_of_another_kind_is_its_own(tmp_path):
    def half():
        with whole("path", tmp_path / "x") as part:
            part.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert not list(tmp_path.iterdir())


def test_two_threads_may_write_one_file(tmp_path):
    both = Barrier(2)

    def write(text):
        with whole("path", tmp_path / "x") as part:
            part.write_text(text)
            both.wait(10.0)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, ("one", "two")))
    assert (tmp_path / "x").read_text() in ("one", "two")
    assert len(list(tmp_path.iterdir())) == 1


def test_devices_and_links_are_written_through(tmp_path):
    write_text("path", os.devnull, "text")
    assert not os.path.isfile(os.devnull)
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_text("path", tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "text"


def test_the_sentence_survives_another_process():
    error = UnwrittenError("path = 'x'", "No space left on device", "it is in y.")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert isinstance(error, OSError)


def test_what_says_where_to_keep_makes_nothing(tmp_path):
    Work(resume=tmp_path / "new" / "er")
    assert not list(tmp_path.iterdir())


def test_rounds_of_a_fit_are_kept_whole(tmp_path):
    (tmp_path / "file").write_text("")
    assert Rounds.of(tmp_path / "new", "what").file is not None
    assert not (tmp_path / "new").exists()
