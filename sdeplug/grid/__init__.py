"""Time grids: where the steps of a fixed-step solver end."""

from collections.abc import Mapping

from sdeplug.grid.base import TimeGrid as TimeGrid
from sdeplug.grid.base import checked_times as checked_times
from sdeplug.grid.curves import Beta as Beta
from sdeplug.grid.curves import BongTangent as BongTangent
from sdeplug.grid.curves import LinearQuadratic as LinearQuadratic
from sdeplug.grid.levels import Focus as Focus
from sdeplug.grid.levels import Karras as Karras
from sdeplug.grid.levels import LogSNR as LogSNR
from sdeplug.grid.optimal import AlignYourSteps as AlignYourSteps
from sdeplug.grid.optimal import KLOptimal as KLOptimal
from sdeplug.grid.plain import At as At
from sdeplug.grid.plain import Quadratic as Quadratic
from sdeplug.grid.plain import Uniform as Uniform
from sdeplug.grid.shifted import Shifted as Shifted

GRIDS: Mapping[str, type[TimeGrid]] = {
    "uniform": Uniform,
    "quadratic": Quadratic,
    "log-snr": LogSNR,
    "karras": Karras,
    "focus": Focus,
    "kl-optimal": KLOptimal,
    "align-your-steps": AlignYourSteps,
    "beta": Beta,
    "linear-quadratic": LinearQuadratic,
    "bong-tangent": BongTangent,
    "shifted": Shifted,
    "at": At,
}
"""The grids by name, for plain data and the command line."""
