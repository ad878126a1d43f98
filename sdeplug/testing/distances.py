"""Distances between samples and exact draws, for the eye: reported, never tested on."""

from __future__ import annotations

from sdeplug.distances import energy_distance as energy_distance
from sdeplug.distances import sliced_w2 as sliced_w2
