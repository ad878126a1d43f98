"""Rounds of a fit in a file, one a line: a fit that was interrupted goes on after the last."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from sdeplug.errors import RESUMED, write_text
from sdeplug.registry import installed_version
from sdeplug.tuning.folder import digest
from sdeplug.tuning.rule import Rule


@dataclass(frozen=True)
class Round:
    """What a round of a fit has come to.

    Attributes:
        rule: the better rule.
        damping: what the next round begins with.
        last: whether there is no next one.
    """

    rule: Rule
    damping: float
    last: bool


@dataclass(frozen=True)
class Rounds:
    """The rounds of a fit, and where they are kept.

    Attributes:
        file: None: nowhere.
    """

    file: Path | None = None

    @classmethod
    def of(cls, folder: Path | None, *what: str | Tensor) -> Rounds:
        """Those that a folder has, or will have, of a fit.

        Args:
            folder: None: nothing is kept.
            what: all that decides the fit.
        """
        if folder is None:
            return cls()
        versions = f"{installed_version('sdeplug')} {torch.__version__}"
        return cls(folder / f"{digest(versions, *what)}.jsonl")

    def known(self) -> Iterator[tuple[Round, float]]:
        """Those of the file, each with its error on what is held out."""
        if self.file is None or not self.file.exists():
            return
        for line in self.file.read_text(encoding="utf-8").splitlines():
            plain = json.loads(line)
            error, rule = plain.pop("error"), plain.pop("rule")
            corrections = tuple(map(tuple, rule["corrections"]))
            yield Round(Rule(tuple(rule["ratios"]), corrections), **plain), error

    def add(self, made: Round, error: float) -> None:
        """Keep one more: the file is there whole, or as it was."""
        if self.file is None:
            return
        lines = [json.dumps({**asdict(each), "error": one}) for each, one in self.known()]
        lines.append(json.dumps({**asdict(made), "error": error}))
        write_text("resume", self.file, "\n".join(lines) + "\n", RESUMED)
