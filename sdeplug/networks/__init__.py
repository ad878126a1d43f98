"""Networks: small ones, those of the paper, trained ones from files and other libraries."""

from sdeplug.networks.architecture import Architecture as Architecture
from sdeplug.networks.autoencoder import Autoencoder as Autoencoder
from sdeplug.networks.autoencoder import Evidence as Evidence
from sdeplug.networks.autoencoder import Posterior as Posterior
from sdeplug.networks.checkpoint import load as load
from sdeplug.networks.checkpoint import save as save
from sdeplug.networks.diffused import Diffused as Diffused
from sdeplug.networks.latent import Latent as Latent
from sdeplug.networks.model import Model as Model
from sdeplug.networks.model import from_module as from_module
from sdeplug.networks.of_diffusers import from_diffusers as from_diffusers
from sdeplug.networks.paper import DDPMPP as DDPMPP
from sdeplug.networks.paper import NCSNPP as NCSNPP
from sdeplug.networks.paper import NCSNPP_256 as NCSNPP_256
from sdeplug.networks.paper import NCSNPP_1024 as NCSNPP_1024
from sdeplug.networks.paper import ddpmpp as ddpmpp
from sdeplug.networks.paper import ncsnpp as ncsnpp
from sdeplug.networks.residual import ResidualMLP as ResidualMLP
from sdeplug.networks.scaling import OverSigma as OverSigma
from sdeplug.networks.scaling import Preconditioned as Preconditioned
from sdeplug.networks.score_sde import from_score_sde as from_score_sde
from sdeplug.networks.small_autoencoder import SmallAutoencoder as SmallAutoencoder
from sdeplug.networks.small_unet import SmallUNet as SmallUNet
