"""A hook for mkdocs: TeX becomes MathML when the site is built, so that no script is loaded.

``$...$`` and ``$$...$$`` in pages, and what docstrings use: ``.. math::``, ``:math:`` and roles
such as ``:class:``.
"""

from __future__ import annotations

import re
from textwrap import dedent
from typing import Any

from latex2mathml.converter import convert
from markdown import Extension, Markdown
from markdown.inlinepatterns import InlineProcessor
from markdown.preprocessors import Preprocessor

_DISPLAY = re.compile(r"^(?P<indent> *)\$\$(?P<tex>.+?)\$\$ *$", re.MULTILINE | re.DOTALL)
_DIRECTIVE = re.compile(
    r"^(?P<indent> *)\.\. math:: *(?P<first>[^\n]*)(?P<rest>(?:\n(?P=indent) +[^\n]*)*)",
    re.MULTILINE,
)
_LITERAL = re.compile(r"(?P<end>[\w.]) ?::$", re.MULTILINE)


def on_config(config: Any) -> Any:
    """Add the extension; called by mkdocs."""
    config.markdown_extensions.append(MathML())
    return config


class MathML(Extension):
    """TeX to MathML."""

    def extendMarkdown(self, md: Markdown) -> None:
        """Register what finds formulas; after fenced code has been put aside (25)."""
        md.preprocessors.register(_Display(md), "mathml-display", 24)
        md.inlinePatterns.register(_Inline(r":math:`([^`]+)`", md), "mathml-role", 196)
        md.inlinePatterns.register(_Inline(r"(?<![\\$\w])\$([^$]+)\$", md), "mathml-inline", 185)
        md.inlinePatterns.register(_Role(r":[a-z]+:`~?([^`]+)`", md), "mathml-roles", 195)


class _Display(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        text = "\n".join(lines)
        text = _DISPLAY.sub(lambda found: self._stash(found["indent"], found["tex"]), text)
        text = _DIRECTIVE.sub(
            lambda found: self._stash(found["indent"], found["first"] + dedent(found["rest"])), text
        )
        return _LITERAL.sub(_announced, text).split("\n")

    def _stash(self, margin: str, tex: str) -> str:
        formula = convert(" ".join(tex.split()), display="block")
        html = f'<div class="formula">{formula}</div>'
        return f"\n{margin}{self.md.htmlStash.store(html)}\n"


def _announced(found: re.Match[str]) -> str:
    """The end of a line that announces code: in a docstring, two colons."""
    return "." if found["end"] == "." else f"{found['end']}:"


class _Inline(InlineProcessor):
    def handleMatch(self, m: re.Match[str], data: str) -> tuple[str, int, int]:
        formula = convert(" ".join(m[1].split()))
        return self.md.htmlStash.store(formula), m.start(0), m.end(0)


class _Role(InlineProcessor):
    """``:class:`~sdeplug.sde.LinearSDE``` is shown as the last part of the name."""

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[str, int, int]:
        name = m[1].rpartition(".")[2] if m[0].count("~") else m[1]
        return self.md.htmlStash.store(f"<code>{name}</code>"), m.start(0), m.end(0)
