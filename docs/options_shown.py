"""An extension for griffe: an ``option(default, help=...)`` is shown as its default and help."""

from __future__ import annotations

from typing import Any

from griffe import Attribute, Docstring, ExprCall, ExprKeyword, Extension


class Options(Extension):
    """Reads the options of solvers, grids and SDEs."""

    def on_attribute_instance(self, *, attr: Attribute, **_: Any) -> None:
        """Take default and help out of the call."""
        call = attr.value
        if not isinstance(call, ExprCall) or str(call.function) != "option":
            return
        given = [each for each in call.arguments if not isinstance(each, ExprKeyword)]
        named = {each.name: each.value for each in call.arguments if isinstance(each, ExprKeyword)}
        attr.value = given[0] if given else None
        text = str(named.get("help", "''"))[1:-1]
        attr.docstring = Docstring(f"{text[:1].upper()}{text[1:]}.", parent=attr)
