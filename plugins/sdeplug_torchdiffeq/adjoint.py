"""What the adjoint method has to know: which parameters the field depends on."""

from __future__ import annotations

import torch
from torch import Tensor

from sdeplug import Field
from sdeplug_torchdiffeq.span import Span


def parameters_of(field: Field, y: Tensor, span: Span) -> tuple[Tensor, ...]:
    """The tensors that need a gradient and that the field is made of, other than y.

    They are read off the graph of autograd of one evaluation at each end of the span, so that it
    does not matter how a network is wrapped.  What is used only at times in between is not seen.

    Args:
        field: right-hand side.
        y: a state, shape ``(B, *D)``.
        span: where the field is asked, at both of its ends.
    """
    found: dict[int, Tensor] = {}
    with torch.enable_grad():
        for t in (span.t, span.s):
            value = field(y.detach(), t)
            found.update((id(each), each) for each in _leaves(value))
    return tuple(found.values())


def _leaves(value: Tensor) -> list[Tensor]:
    if value.grad_fn is None:
        return [value] if value.requires_grad else []
    leaves, seen, waiting = [], {value.grad_fn}, [value.grad_fn]
    while waiting:
        node = waiting.pop()
        if isinstance(variable := getattr(node, "variable", None), Tensor):
            leaves.append(variable)
        new = {each for each, _ in node.next_functions if each is not None} - seen
        seen |= new
        waiting.extend(new)
    return leaves
