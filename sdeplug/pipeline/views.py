"""How pipelines and samples look: on a line, and in a notebook."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from torch import Tensor

from sdeplug.errors import MissingExtraError, brief
from sdeplug.sheet import Sheet

if TYPE_CHECKING:
    from sdeplug.reverse import ReverseSDE


def described(reverse: ReverseSDE) -> str:
    """The reverse SDE on a line; of a network, its class."""
    score, level = brief(reverse.score_model, 300), brief(reverse.stochasticity)
    return f"ReverseSDE({reverse.forward!r}, {score}, stochasticity={level})"


def course_sheet(reverse: ReverseSDE, legs: list[tuple[str, str, str]]) -> Sheet:
    """A table of the legs.

    Args:
        reverse: what is run.
        legs: of each, where it ends, by what, and its stochasticity if it has one.
    """
    levels = any(level for *_, level in legs)
    starts = [f"{reverse.forward.T:g}", *(to for to, *_ in legs)]
    rows = [
        (by, start, to, *((level,) if levels else ()))
        for start, (to, by, level) in zip(starts, legs, strict=False)
    ]
    columns = ("by", "from t", "to t", *(("stochasticity",) if levels else ()))
    return Sheet(described(reverse), columns, tuple(rows))


def samples_line(x: Tensor, t: float, nfe: int, seconds: float) -> str:
    """Shape and cost; the numbers themselves are ``.x``."""
    dtype = str(x.dtype).removeprefix("torch.")
    place = "" if x.device.type == "cpu" else f" on {x.device}"
    return f"x: {tuple(x.shape)} {dtype}{place}, t={t:g}, nfe={nfe}, seconds={seconds:.3g}"


def samples_html(x: Tensor, line: str) -> str:
    """A picture, where matplotlib is there and x is finite, and the line."""
    text = f"<p><code>{escape(line)}</code></p>"
    try:
        from sdeplug.pictures import glance, inline
    except MissingExtraError:
        return text
    if not bool(x.isfinite().all()):
        return text
    return f'<img src="{inline(glance(x))}" alt="samples">\n{text}'
