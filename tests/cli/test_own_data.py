"""Data from files: what is read, what is refused, and that the units lead there and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sdeplug import ArgumentError
from sdeplug.cli.work.data.read import Source, read
from sdeplug.cli.work.data.rows import Rows
from sdeplug.cli.work.data.units import Units

Image = pytest.importorskip("PIL.Image")

TABLE = "height,kind,weight\n" + "".join(f"{i}.5,{'ba'[i % 2]},{2 * i}\n" for i in range(12))


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Twelve grey images of two classes."""
    for i, image in enumerate(pixels(12, 5, 6)):
        place = tmp_path / "images" / f"class-{i % 2}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{i:02}.png")
    return tmp_path / "images"


def test_a_table_has_numbers_classes_and_names(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text(TABLE)
    for column in ("kind", "2"):
        rows, left = read(Source(file, labels=column))
        np.testing.assert_array_equal(rows.x[:, 0], np.arange(12) + 0.5)
        np.testing.assert_array_equal(rows.x[:, 1], 2 * np.arange(12))
        assert rows.classes == ("a", "b")
        assert rows.labels is not None
        np.testing.assert_array_equal(rows.labels, [1, 0] * 6)
        assert rows.columns == ("height", "weight")
        assert left == ()


@pytest.mark.parametrize("between", [";", "\t"])
def test_a_table_without_names_and_with_other_separators(tmp_path, between):
    file = tmp_path / "t.csv"
    file.write_text("\n".join(f"{i}{between}{i * i}" for i in range(10)))
    rows, _ = read(Source(file))
    assert rows.x.shape == (10, 2)
    assert rows.columns == ("column 1", "column 2")


def test_classes_are_counted_as_people_do(tmp_path):
    """2 before 10, though "10" comes before "2" in a dictionary."""
    kinds = [10, 9, 2, 10] * 5
    file = tmp_path / "t.csv"
    file.write_text("".join(f"{i}.5,{kind}\n" for i, kind in enumerate(kinds)))
    rows, _ = read(Source(file, labels="2"))
    assert rows.classes == ("2", "9", "10")
    assert rows.labels is not None
    np.testing.assert_array_equal(rows.labels, [2, 1, 0, 2] * 5)
    np.savez(tmp_path / "a.npz", x=pixels(20, 3), y=np.array(kinds))
    again, _ = read(Source(tmp_path / "a.npz"))
    assert again.labels is not None
    np.testing.assert_array_equal(again.labels, rows.labels)


def test_a_folder_of_images_is_its_pixels_and_its_folders(folder):
    rows, _ = read(Source(folder))
    assert rows.classes == ("class-0", "class-1")
    wanted = pixels(12, 5, 6)
    assert rows.labels is not None
    for label in (0, 1):
        np.testing.assert_array_equal(rows.x[rows.labels == label], wanted[label::2])


def test_colours_stay_and_sizes_change(tmp_path):
    for i, image in enumerate(pixels(10, 9, 12, 3)):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    rows, _ = read(Source(tmp_path))
    np.testing.assert_array_equal(rows.x, pixels(10, 9, 12, 3))
    small, _ = read(Source(tmp_path, size=4))
    assert small.x.shape == (10, 4, 4, 3)
    assert abs(float(small.x.mean()) - float(rows.x.mean())) < 10.0


def test_one_unreadable_image_is_named_and_left_out_where_that_is_asked_for(folder):
    (folder / "class-1" / "bad.png").write_bytes(b"no image")
    with pytest.raises(ArgumentError, match=r"bad\.png.*--skip"):
        read(Source(folder))
    rows, left = read(Source(folder, skip=True))
    assert len(rows.x) == 12
    assert len(left) == 1
    assert "bad.png" in left[0]


def test_rows_that_are_not_finite_are_named_and_left_out_where_that_is_asked_for(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text(TABLE + "n/a,a,7\n")
    with pytest.raises(ArgumentError, match=r"1 of 13 rows.*row 12, at height.*--skip"):
        read(Source(file, labels="kind"))
    rows, left = read(Source(file, labels="kind", skip=True))
    assert len(rows.x) == 12
    assert "the first 12" in left[0]


@pytest.mark.parametrize(
    ("arrays", "source", "said"),
    [
        ({"x": np.zeros(20)}, {}, r"x\[:, None\]"),
        ({"x": np.zeros((20, 2, 2, 2, 2))}, {}, "grey images"),
        ({"x": np.zeros((20, 2, 9, 9))}, {}, "1 or 3 channels"),
        ({"x": np.zeros((20, 99, 99))}, {}, "4 to 64 pixels"),
        ({"x": np.zeros((0, 3))}, {}, r"\(0, 3\)"),
        ({"x": np.eye(3)}, {}, "at least 10 rows"),
        ({"x": np.ones((20, 3))}, {}, "different numbers"),
        ({"x": np.array([["a"]] * 20)}, {}, "numbers"),
        ({"a": np.zeros(3), "b": np.ones(3)}, {}, r"It has a \(3,\), b \(3,\)"),
        ({"x": pixels(20, 3), "y": np.eye(20)}, {}, r"argmax\(1\)"),
        ({"x": pixels(20, 3), "y": np.arange(20)}, {}, "20 different ones"),
        ({"x": pixels(20, 3)}, {"labels": "kind"}, "kind"),
        ({"x": pixels(20, 3)}, {"size": 8}, "left out"),
        ({"x": np.array([{}] * 20)}, {}, "whole file"),
    ],
)
def test_arrays_that_no_network_learns_are_refused(tmp_path, arrays, source, said):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ArgumentError, match=said):
        read(Source(tmp_path / "a.npz", **source))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.npz", b"PK no zip", "whole file"),
        ("a.npy", b"", "whole file"),
        ("a.csv", b"", "It is empty"),
        ("a.csv", b"a,b\n", "a first line alone"),
        ("a.csv", b"1,2\n3\n", "line 2"),
        ("a.csv", b"a,b\n1,2\n1,two\n", "b = 'two'.*line 3"),
        ("a.csv", b"\xff\xfe\x00", "UTF-8"),
        ("a.docx", b"", r"\.npz"),
        ("a/none.txt", b"", r"\.png"),
    ],
)
def test_files_that_are_none_are_refused(tmp_path, name, content, said):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    with pytest.raises(ArgumentError, match=said):
        read(Source(file if file.parent == tmp_path else file.parent))


@pytest.mark.parametrize(
    "shape", [(3,), (5, 6), (1, 5, 6), (3, 5, 6), (5, 6, 3), (5, 6, 1), (3, 5, 3)]
)
def test_the_units_lead_there_and_back(tmp_path, shape):
    x = pixels(30, *shape)
    units = Units.of(Rows(x))
    inside = units.inward(x)
    assert inside.shape == (30, *units.inside)
    np.testing.assert_allclose(units.outward(inside), x, atol=1e-4)
    if len(shape) == 1:
        torch.testing.assert_close(inside.mean(0), torch.zeros(3), atol=1e-5, rtol=0.0)
        torch.testing.assert_close(inside.std(0, unbiased=False), torch.ones(3))
    else:
        assert float(inside.min()) == -1.0
        assert float(inside.max()) == 1.0
        assert units.inside[0] in (1, 3)
        steps = (inside - inside.flatten()[0]) / units.level
        torch.testing.assert_close(steps, steps.round(), atol=1e-2, rtol=0.0)
    units.save(tmp_path)
    assert Units.load(tmp_path) == units


def test_pixels_stay_where_they_are_in_an_image_with_channels_last():
    x = pixels(10, 5, 6, 3)
    inside = Units.of(Rows(x)).inward(x)
    scaled = (inside + 1.0) * 127.5
    np.testing.assert_allclose(scaled[4, 2].numpy(), x[4, :, :, 2], atol=2.0)


def test_images_are_given_back_as_whole_numbers_in_their_range():
    x = pixels(10, 5, 6)
    units = Units.of(Rows(x))
    given = units.outward(torch.full((1, 1, 5, 6), 1.7))
    assert (given == x.max()).all()
    half = units.outward(torch.full((1, 1, 5, 6), 0.01234))
    assert (half == np.round(half)).all()


def test_a_column_without_spread_is_no_division_by_0():
    x = np.array([[i, 7.0] for i in range(10)])
    assert torch.isfinite(Units.of(Rows(x)).inward(x)).all()
