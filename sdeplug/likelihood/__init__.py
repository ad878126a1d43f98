"""How likely data are: log-densities along the flow, bits per dimension, encoding, bounds."""

from sdeplug.likelihood.bits import BitsPerDim as BitsPerDim
from sdeplug.likelihood.bits import bits_per_dim as bits_per_dim
from sdeplug.likelihood.bits import dequantised as dequantised
from sdeplug.likelihood.density import Likelihood as Likelihood
from sdeplug.likelihood.density import log_likelihood as log_likelihood
from sdeplug.score import Exact as Exact
from sdeplug.score import Hutch as Hutch
from sdeplug.score import Hutchinson as Hutchinson
from sdeplug.score import Law as Law
from sdeplug.score import Normal as Normal
from sdeplug.score import Rademacher as Rademacher
from sdeplug.score import Trace as Trace
