"""The page of the demo: its sections, and the formulas in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import jinja2
import torch
from markupsafe import Markup, escape

from sdeplug.registry import installed_version

_FORMULAS = (
    (r"\bp_t\b", "<msub><mi>p</mi><mi>t</mi></msub>"),
    (r"\bt = ([\d.e-]*\d)", r"<mi>t</mi><mo>=</mo><mn>\1</mn>"),
    (r"\bsigma = (\d+)", r"<mi>&sigma;</mi><mo>=</mo><mn>\1</mn>"),
    (r"\[-(\d), \1\]\^2", r"<msup><mrow><mo>[</mo><mo>-</mo><mn>\1</mn><mo>,</mo><mn>\1</mn>"
     r"<mo>]</mo></mrow><mn>2</mn></msup>"),
    (r"\b(\d+)x(\d+)\b", r"<mn>\1</mn><mo>&times;</mo><mn>\2</mn>"),
)  # fmt: skip


@dataclass(frozen=True)
class Section:
    """One experiment on the page.

    Attributes:
        title: headline.
        run: what was run, in words and numbers.
        seen: what is to be seen, in words and measured numbers.
        picture: file name of its picture, in the folder of the page.
        nfe: score evaluations of the whole batch; 0 where none are counted.
        seconds: wall time.
    """

    title: str
    run: str
    seen: str
    picture: str
    nfe: int
    seconds: float

    @property
    def cost(self) -> str:
        """What it took, in words."""
        evaluations = f"{self.nfe} score evaluations of the whole batch, " if self.nfe else ""
        return f"{evaluations}{self.seconds:.1f} s"


@dataclass(frozen=True)
class Chapter:
    """Sections that belong together.

    Attributes:
        title: headline.
        words: what they share.
        sections: the experiments.
    """

    title: str
    words: str
    sections: Sequence[Section]


def page(chapters: Sequence[Chapter], seed: int, seconds: float) -> str:
    """The page as HTML."""
    folder = files("sdeplug.cli.work") / "templates"
    template = (folder / "demo.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["formulas"] = formulas
    return environment.from_string(template).render(
        chapters=chapters,
        seed=seed,
        seconds=f"{seconds:.0f}",
        versions=f"sdeplug {installed_version('sdeplug')}, torch {torch.__version__}",
    )


def formulas(text: str) -> Markup:
    """Text as HTML, with MathML for what a terminal shows as p_t, t = 0.3, sigma = 20, ]^2."""
    html = str(escape(text))
    for plain, formula in _FORMULAS:
        html = re.sub(plain, f"<math>{formula}</math>", html)
    return Markup(html)
