"""``sdeplug demo``: the page, and what is measured for it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from sdeplug import targets

pytest.importorskip("accelerate")
pytest.importorskip("matplotlib")
sklearn = pytest.importorskip("sklearn.datasets")

from sdeplug.cli.work.demo import judging, run  # noqa: E402
from sdeplug.cli.work.demo.drawing import Drawn  # noqa: E402
from sdeplug.cli.work.demo.page import formulas  # noqa: E402
from sdeplug.cli.work.demo.study import Study, digit_rows  # noqa: E402
from sdeplug.cli.work.small import SDE, Settings, divided  # noqa: E402
from sdeplug.networks import Model  # noqa: E402
from sdeplug.score import FromScore  # noqa: E402

TINY = Settings(steps=30, width=8, batch=32, held_out=0.25)


def exact_model() -> Model:
    """A network that is the exact score of the learned digits, whatever the class."""
    data = divided(digit_rows(), TINY)
    score = targets.GaussianMixture(None, data.learned.x, std=0.05).score(SDE)
    return Model(lambda x, t, labels=None: score(x, t), SDE, FromScore)


@pytest.fixture(scope="module")
def study():
    return Study(divided(digit_rows(), TINY), exact_model(), seed=0)


def drawn(x: torch.Tensor) -> list[Drawn]:
    return 2 * [Drawn("some", x, None, 0.0)]  # type: ignore[list-item]


def numbers(text: str) -> list[float]:
    words = (word.strip("%,.;") for word in text.split())
    return [float(word) for word in words if word.replace(".", "", 1).isdigit()]


def test_the_digits_and_their_labels_are_those_of_scikit_learn():
    known, rows = sklearn.load_digits(), digit_rows()
    assert (rows.x == known.images).all()
    assert rows.labels is not None
    assert (rows.labels == known.target).all()
    assert rows.classes == tuple("0123456789")
    assert torch.equal(targets.digit_labels(), torch.from_numpy(known.target))


def test_no_digit_is_both_learned_and_held_out(study):
    both = torch.cat((study.learned, study.held_out)).flatten(1)
    wanted = targets.digits().means.float().flatten(1)
    assert len(study.held_out) == 449
    assert sorted(map(tuple, both.tolist())) == sorted(map(tuple, wanted.tolist()))


def test_the_gaussian_has_the_moments_of_the_learned_digits(study):
    flat = study.blurred(study.learned, "fit").flatten(1)
    torch.testing.assert_close(study.gaussian.mean, flat.mean(0))
    torch.testing.assert_close(study.gaussian.covariance, flat.T.cov())
    moved = (flat - study.learned.flatten(1)) / study.data.units.level
    assert float(moved.abs().max()) <= 0.5
    assert abs(float(moved.square().mean()) - 1 / 12) < 5 * math.sqrt(1 / 180 / moved.numel())


def test_samples_become_digits_at_the_nearest_level(study):
    x = study.learned[:5]
    assert torch.equal(study.pixels(x + 0.06), study.pixels(x + 0.0).clamp(max=1.0))
    assert float(study.pixels(torch.full_like(x, 7.0)).max()) == 1.0


@pytest.mark.slow
def test_the_features_tell_digits_from_a_gaussian_with_their_moments(study):
    assert study.frechet(study.held_out) < 1e-6
    real = study.frechet(study.learned)
    gaussian = study.frechet(study.drawn(study.gaussian, "gaussian"))
    assert gaussian > 4.0 * real  # 92 and 12
    right = study.features.read(study.held_out) == study.data.held_out.labels
    assert float(right.double().mean()) > 0.95


def test_a_network_that_copies_is_told_from_one_that_does_not(study, tmp_path):
    copies = judging.memory(study, drawn(study.learned), tmp_path).seen
    fresh = judging.memory(study, drawn(study.held_out), tmp_path).seen
    assert f"{len(study.learned)} of {len(study.learned)} are copies" in copies
    assert "0 of 449 are copies" in fresh or "1 of 449 are copies" in fresh
    assert numbers(copies)[0] > 50.0  # the halves are as large, and one holds a third of them
    assert numbers(fresh)[0] == 0.0


def test_distances_are_from_the_nearest_of_the_data():
    data = torch.zeros(2, 1, 2, 2)
    data[1] = 1.0
    x = torch.stack((torch.full((1, 2, 2), 0.9), torch.full((1, 2, 2), 0.2)))
    torch.testing.assert_close(
        judging.nearest(x, data), torch.tensor((0.1, 0.2), dtype=torch.float64)
    )


def test_bits_are_those_of_the_exact_density(study, tmp_path):
    """Of a Gaussian, whose density is known, in the place of the network."""
    law = study.gaussian
    score = law.score(SDE)
    shape = study.held_out.shape[1:]

    def network(x, t, labels=None):
        return score(x.flatten(1), t).reshape(-1, *shape)

    fake = replace(study, model=Model(network, SDE, FromScore))
    found = numbers(judging.likelihood(fake, tmp_path).seen)
    mine, kernel, gaussian, none, error = found[:5]
    assert none == 4.09
    assert 0.0 < error < 0.1
    assert abs(mine - gaussian) < 0.03  # the noise at eps, and one probe for each digit
    assert gaussian < kernel < none


@pytest.mark.thorough
@pytest.mark.slow
def test_demo_makes_a_page_with_its_pictures(tmp_path, capsys):
    run(tmp_path, 0, TINY)
    out = capsys.readouterr().out
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    for picture in (
        "learning", "new-digits", "distances", "bits", "memory", "classes", "inpainting",
        "digits", "ring", "two-modes",
    ):  # fmt: skip
        assert (tmp_path / f"{picture}.png").stat().st_size > 5_000
        assert f"{picture}.png" in page
    assert "Known pixels are off by at most 0 at the end" in page
    assert "the samples are the data: 100 of 100" in page
    assert "<msub><mi>p</mi><mi>t</mi></msub>" in page
    assert "p_t" not in page
    plain, annealed = (
        float(out.split(f"{word}")[1].split("%")[0].split()[-1])
        for word in ("plain Langevin gives it", "annealed Langevin")
    )
    assert 40.0 < plain < 60.0  # the basins are equal, whatever the weights
    assert 14.0 < annealed < 26.0  # 20 %, with five standard errors of 1000 draws


def test_the_demo_page_shows_formulas():
    page = formulas("p_t at t = 0.001 <b> on [-8, 8]^2 of 8x8, from sigma = 20, VE(sigma_max=20)")
    assert "<msub><mi>p</mi><mi>t</mi></msub>" in page
    assert "<mi>t</mi><mo>=</mo><mn>0.001</mn>" in page
    assert "<mi>&sigma;</mi><mo>=</mo><mn>20</mn>" in page
    assert "<mn>8</mn><mo>&times;</mo><mn>8</mn>" in page
    assert "&lt;b&gt;" in page
    assert "VE(sigma_max=20)" in page
    assert "p_t" not in page
    assert "^2" not in page


def test_a_stopped_demo_says_how_to_go_on(sdeplug, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("sdeplug.cli.work.demo.run", stopped)
    status, _, err = sdeplug("demo")
    assert status == 130
    assert "goes on where it was" in err
