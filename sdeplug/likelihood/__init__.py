"""How likely data are: log-densities along the flow, bits per dimension, encoding, bounds."""

from sdeplug.likelihood.bits import BitsPerDim as BitsPerDim
from sdeplug.likelihood.bits import bits_per_dim as bits_per_dim
from sdeplug.likelihood.bits import dequantised as dequantised
from sdeplug.likelihood.bound import FixedLarge as FixedLarge
from sdeplug.likelihood.bound import FixedSmall as FixedSmall
from sdeplug.likelihood.bound import Learned as Learned
from sdeplug.likelihood.bound import Variance as Variance
from sdeplug.likelihood.bound import VariationalBound as VariationalBound
from sdeplug.likelihood.bound import continuous_bound as continuous_bound
from sdeplug.likelihood.bound import variational_bound as variational_bound
from sdeplug.likelihood.density import Likelihood as Likelihood
from sdeplug.likelihood.density import log_likelihood as log_likelihood
from sdeplug.likelihood.latents import decode as decode
from sdeplug.likelihood.latents import encode as encode
from sdeplug.likelihood.latents import interpolate as interpolate
from sdeplug.likelihood.truncation import Truncated as Truncated
from sdeplug.likelihood.truncation import truncated as truncated
from sdeplug.score import Exact as Exact
from sdeplug.score import Hutch as Hutch
from sdeplug.score import Hutchinson as Hutchinson
from sdeplug.score import Law as Law
from sdeplug.score import Normal as Normal
from sdeplug.score import Rademacher as Rademacher
from sdeplug.score import Trace as Trace
