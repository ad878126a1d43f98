"""The command line, called as a person types it."""

from __future__ import annotations

import sys

import pytest

from sdeplug.cli.main import main


@pytest.fixture
def sdeplug(monkeypatch, tmp_path, capsys):
    """Run a command in an empty folder: (exit status, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sdeplug", *map(str, words)])
        with pytest.raises(SystemExit) as exit_:
            main()
        out, err = capsys.readouterr()
        return exit_.value.code or 0, out, err

    return run
