"""The forward SDE and the claims of most tests of the exact tier."""

from __future__ import annotations

from sdeplug import (
    VPSDE,
    Claims,
)

VP = VPSDE()
ONE = Claims(order=1, evaluations=1)
