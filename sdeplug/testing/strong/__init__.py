"""Strong order: on one Brownian path, path by path."""

from sdeplug.testing.strong.paths import Paths as Paths
from sdeplug.testing.strong.paths import check_strong_limit as check_strong_limit
from sdeplug.testing.strong.paths import check_strong_order as check_strong_order
