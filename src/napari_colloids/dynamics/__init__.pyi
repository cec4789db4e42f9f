from .diffusion import Diffusion as Diffusion
from .diffusion import diffusion_coefficient as diffusion_coefficient
from .displacement import mean_squared_displacement as mean_squared_displacement
from .displacement import plot_mean_squared_displacement as plot_mean_squared_displacement
from .link_settings import LinkSettings as LinkSettings
from .linking import iter_link as iter_link
from .linking import link as link
