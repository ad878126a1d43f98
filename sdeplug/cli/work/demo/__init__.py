"""The ``demo`` command: a network learns real digits, and exact scores show what samplers do."""

from sdeplug.cli.work.demo.exact import ring as ring
from sdeplug.cli.work.demo.page import formulas as formulas
from sdeplug.cli.work.demo.run import run as run
