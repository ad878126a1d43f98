"""Laws to measure against."""

from __future__ import annotations

from sdeplug import VPSDE, Truth, targets

VP = VPSDE()
RING = Truth(targets.eight_gaussians(), VP, VP.eps)
PLAIN = Truth(targets.Gaussian([0.5, -1.0], [[1.0, 0.3], [0.3, 0.5]]), VP, VP.eps)
