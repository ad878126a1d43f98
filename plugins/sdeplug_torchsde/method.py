"""What each method of torchsde is, and asks for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """A method of torchsde, on an SDE whose diffusion depends on time alone.

    Itô and Stratonovich integrals of such a diffusion are the same, so that the calculus only says
    in which of torchsde's two families a method is found.

    Attributes:
        name: as torchsde calls it.
        calculus: "ito" or "stratonovich".
        noise: the noise type under which its products are cheapest.
        area: what torchsde wants to hear about the Levy area of the Brownian motion.
        order: weak order.
        strong_order: strong order that increments of the path alone can show.
        evaluations: drift evaluations of one step, with those that torchsde repeats counted once.
        extra: drift evaluations of one call beyond those of its steps.
    """

    name: str
    calculus: str
    noise: str = "additive"
    area: str = "none"
    order: int = 1
    strong_order: int | None = 1
    evaluations: int = 1
    extra: int = 0


EULER = Method("euler", "ito")
MILSTEIN = Method("milstein", "ito")
SRK_ADDITIVE = Method("srk", "ito", area="space-time", order=2, strong_order=None, evaluations=2)
HEUN = Method("heun", "stratonovich", order=2, evaluations=2)
MIDPOINT = Method("midpoint", "stratonovich", evaluations=2)
LOG_ODE = Method("log_ode", "stratonovich", area="foster", evaluations=2)
REVERSIBLE_HEUN = Method("reversible_heun", "stratonovich", noise="diagonal", extra=1)
