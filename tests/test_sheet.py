"""Tables: as text, in Markdown, as a piece of a page, in a notebook."""

from __future__ import annotations

import sys
import types

from rich.console import Console

from sdeplug.sheet import Sheet

SHEET = Sheet(
    "Title [of it]",
    ("solver", "error"),
    (("<EM> [diffusers]", "1"), ("Heun", "-0.5")),
    notes=("Heun: 68 evaluations (budget 10)",),
)


def test_a_table_prints_title_cells_and_notes_with_their_brackets():
    lines = str(SHEET).splitlines()
    assert lines[0] == "Title [of it]"
    assert any("<EM> [diffusers]" in line for line in lines)
    # The notes stand below, and no line is wider than the table.
    assert " ".join(lines).endswith("(budget 10)")
    assert repr(SHEET) == str(SHEET)
    assert "budget" not in str(Sheet(SHEET.title, SHEET.columns, SHEET.rows))


def test_a_wide_table_is_cut_nowhere():
    wide = Sheet("wide", tuple(f"column {n}" for n in range(60)), (("x" * 30,) * 60,))
    assert str(wide).count("x" * 30) == 60
    assert len({len(line) for line in str(wide).splitlines()[1:]}) == 1


def test_a_table_is_text_where_rich_believes_in_a_notebook(monkeypatch):
    """In a notebook rich shows a table at once and prints nothing."""
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=print))
    assert Console().is_jupyter
    assert "Heun" in str(SHEET)


def test_a_table_is_a_piece_of_a_page_that_scrolls():
    page = SHEET._repr_html_()
    assert page.count("<tr>") == 3
    assert "&lt;EM&gt; [diffusers]" in page
    assert "<EM>" not in page
    assert "overflow-x: auto" in page
    assert "<small>Heun: 68 evaluations (budget 10)</small>" in page
