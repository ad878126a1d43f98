r"""Denoising diffusion restoration: each singular value has a step of its own.

Kawar et al., arXiv 2201.11793, equations 7 and 8, in units of :math:`x / \alpha`, whose noise is
:math:`\tau = \sigma / \alpha`.  With :math:`\hat x = E[x_0 | x_t]` and :math:`\bar y = A^+ y`,
along a direction of the singular value v, with :math:`\rho = \sigma_y / v`, x' is normal:

.. math::
    \hat x + \sqrt{1 - \eta^2}\,\tau' (x - \hat x) / \tau + \eta \tau' z & \qquad v = 0, \\
    \hat x + \sqrt{1 - \eta^2}\,\tau' (\bar y - \hat x) / \rho + \eta \tau' z
        & \qquad \tau' < \rho, \\
    (1 - \eta_b) \hat x + \eta_b \bar y + (\tau'^2 - \eta_b^2 \rho^2)^{1/2} z
        & \qquad \tau' \ge \rho.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.conditioning.measurement import Measurement
from sdeplug.conditioning.operator import Spectral
from sdeplug.errors import PairingError
from sdeplug.options import option
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Claims, Integrator


@dataclass(frozen=True)
class DDRM(Integrator):
    """One step of denoising diffusion restoration; one evaluation.

    ::

        OnGrid(DDRM(measurement), LogSNR(20))

    It is a solver by itself, for operators whose singular values are known.  What is measured is
    drawn afresh in every step, about the measurement or about the denoised state, whatever the
    stochasticity of the reverse SDE is: fast and sharp, and no sampler of the posterior.
    """

    measurement: Measurement = option(help="what was measured")
    eta: float = option(0.85, ge=0.0, le=1.0, help="new noise where nothing better is known")
    eta_b: float = option(1.0, ge=0.0, le=1.0, help="weight of y where it is the better known")

    claims = Claims(evaluations=1, floor=math.inf, needs=LinearSDE, randomised=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.measurement.operator, Spectral):
            raise PairingError(
                f"measurement = {self.measurement!r}: must have an operator whose singular values "
                "are known, such as Matrix(matrix). PiGDM and MomentMatching take any."
            )

    @property
    def needs_grid(self) -> bool:
        """True: one call is one step."""
        return True

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """One step from t to s.

        Raises:
            ArgumentError: for x of another shape than that of the measured samples.
        """
        known = self.measurement
        known.check(x)
        late, early = reverse.linear.at(t), reverse.linear.at(s)
        tau, tau_next = late.sigma / late.alpha, early.sigma / early.alpha
        operator = known.operator
        assert isinstance(operator, Spectral)
        denoised = reverse.denoised(x, t)
        stale, keep = x / late.alpha - denoised, math.sqrt(1.0 - self.eta**2)
        missing = operator.inverse(known.rows(x)) - denoised

        def of_state(values: Tensor) -> Tensor:
            return torch.where(values > 0.0, 0.0, keep * tau_next / tau)

        def of_measurement(values: Tensor) -> Tensor:
            rho = known.noise_std / values
            worse = keep * tau_next / rho.clamp(min=tau_next)
            return torch.where(tau_next < rho, worse, self.eta_b) * (values > 0.0)

        def of_noise(values: Tensor) -> Tensor:
            rho = torch.where(values > 0.0, known.noise_std / values, torch.inf)
            rest = (tau_next**2 - (self.eta_b * rho).square()).clamp(min=0.0).sqrt()
            return torch.where(tau_next < rho, self.eta * tau_next, rest)

        mean = denoised + operator.on_modes(stale, of_state)
        mean = mean + operator.on_modes(missing, of_measurement)
        noise = operator.on_modes(run.noise.normal(x), of_noise)
        return early.alpha * (mean + noise)
