"""What a network is told of the time."""

from __future__ import annotations

import math

import pytest
import torch
from common import TABLES, normal

from sdeplug import (
    EDMSDE,
    VPSDE,
    Labelled,
    LevelLabel,
    LogSigmaLabel,
    LogSNRLabel,
    PairingError,
    SigmaLabel,
    TimeLabel,
)

X = normal(2, 3, dtype=torch.float32)


LABELS = {
    "time": (TimeLabel(999.0), lambda sde, t: 999.0 * t),
    "sigma": (SigmaLabel(), lambda sde, t: sde.at(t).sigma),
    "log-sigma": (LogSigmaLabel(0.25), lambda sde, t: math.log(sde.at(t).sigma) / 4.0),
    "log-snr": (LogSNRLabel(), lambda sde, t: -2.0 * math.log(sde.at(t).sigma)),
}


@pytest.mark.parametrize("name", LABELS)
def test_a_network_is_told_its_label(name):
    label, wanted = LABELS[name]
    told = []
    timed = Labelled(lambda x, label: told.append(label) or x, EDMSDE(), label)
    times = torch.tensor([0.5, 20.0], dtype=torch.float32)
    timed(X, times)
    assert told[0].dtype == torch.float32
    assert told[0].tolist() == pytest.approx([wanted(EDMSDE(), t) for t in (0.5, 20.0)], rel=1e-6)


def test_a_network_is_told_the_level_of_its_table():
    sde, told = TABLES["betas"], []
    for whole in (False, True):
        timed = Labelled(lambda x, label: told.append(label) or x, sde, LevelLabel(whole))
        timed(X, torch.tensor([0.0012, 1.0]))
    assert told[0].tolist() == pytest.approx([0.2, 999.0], abs=1e-4)
    assert (told[1].dtype, told[1].tolist()) == (torch.int64, [0, 999])
    with pytest.raises(PairingError, match=r"VPSDE.*must be a TabulatedSDE.*TimeLabel\(999\)"):
        Labelled(lambda x, label: x, VPSDE(), LevelLabel())


def test_parts_in_another_order_are_refused():
    for parts, match in (
        ((VPSDE(), X.new_tensor, TimeLabel()), r"network = .*must be a callable \(x, label\)"),
        ((X.new_tensor, TimeLabel(), VPSDE()), r"sde = TimeLabel.*must be a LinearSDE"),
        ((X.new_tensor, VPSDE(), "time"), r"label = 'time': must be a Label"),
    ):
        with pytest.raises(PairingError, match=match):
            Labelled(*parts)
