"""Forward SDEs: the interface, the linear ones, the schedules of the field, tables."""

from sdeplug.sde.derivative import derivative as derivative
from sdeplug.sde.forward import ForwardSDE as ForwardSDE
from sdeplug.sde.forward import added as added
from sdeplug.sde.forward import expand as expand
from sdeplug.sde.forward import fitted as fitted
from sdeplug.sde.forward import in_float32 as in_float32
from sdeplug.sde.linear import LinearSDE as LinearSDE
from sdeplug.sde.linear import Marginal as Marginal
from sdeplug.sde.schedules import BUILTIN_SDES as BUILTIN_SDES
from sdeplug.sde.schedules import EDMSDE as EDMSDE
from sdeplug.sde.schedules import VESDE as VESDE
from sdeplug.sde.schedules import VPSDE as VPSDE
from sdeplug.sde.schedules import CosineVPSDE as CosineVPSDE
from sdeplug.sde.schedules import SubVPSDE as SubVPSDE
from sdeplug.sde.schedules import VariancePreserving as VariancePreserving
from sdeplug.sde.tabulated import NAMED_SDES as NAMED_SDES
from sdeplug.sde.tabulated import TabulatedSDE as TabulatedSDE
