from .arrangement import ARRANGEMENTS as ARRANGEMENTS
from .brownian import BrownianSimulation as BrownianSimulation
from .brownian import simulate_brownian as simulate_brownian
from .challenge import challenge_parameters as challenge_parameters
from .parameters import PRESETS as PRESETS
from .parameters import Parameters as Parameters
from .scene import Simulation as Simulation
from .scene import simulate as simulate
