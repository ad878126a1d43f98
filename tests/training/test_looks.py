"""The trainer: who looks on."""

from __future__ import annotations

import numpy as np
import pytest
from training.nets import Net
from training.quick import DATA, LOSS, QUICK, Watch

from sdeplug.training import (
    Journal,
    LossBar,
    Pictures,
    Trainer,
)  # fmt: skip

pytest.importorskip("accelerate")


def test_observers_see_every_look_and_the_end():
    watch = Watch()
    trained = QUICK.fit(Net(), DATA, 5, journal=Journal(every=2, observers=(watch,)))
    assert [each.mark for each in watch.moments] == list(trained.history)
    assert [each.mark.step for each in watch.moments] == [2, 4, 5]
    assert watch.moments[0].network is trained.average
    assert (watch.moments[0].steps, watch.over) == (5, 1)


def test_the_loss_that_is_shown_is_the_mean_since_the_last_look():
    rows = []

    def loss(network, x0, noise):
        rows.append(LOSS(network, x0, noise))
        return rows[-1]

    trained = Trainer(loss, batch=16, ema=()).fit(Net(), DATA, 5, journal=Journal(every=2))
    means = [float(each.detach().mean()) for each in rows]
    wanted = [(means[0] + means[1]) / 2, (means[2] + means[3]) / 2, means[4]]
    assert np.allclose([mark.loss for mark in trained.history], wanted, rtol=1e-6)


def test_pictures_are_written_on_the_way(tmp_path):
    pytest.importorskip("matplotlib")
    pictures = Pictures(tmp_path / "seen", lambda network: network(DATA, DATA[:, 0]), every=4)
    QUICK.fit(Net(), DATA, 10, journal=Journal(every=2, observers=(pictures,)))
    names = sorted(each.name for each in (tmp_path / "seen").iterdir())
    assert names == ["samples-000004.png", "samples-000008.png", "samples-000010.png"]


def test_the_bar_shows_its_title_and_both_losses(capsys):
    with LossBar("[mine] {of}") as bar:
        QUICK.fit(Net(), DATA, 4, DATA, Journal(every=2, observers=(bar,)))
    shown = capsys.readouterr().err
    assert "[mine] {of}" in shown
    assert "4/4" in shown
    assert "held out" in shown
