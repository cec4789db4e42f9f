from .config import Config as Config
from .gain import Accuracy as Accuracy
from .loop import train as train
from .match import MatchedTraining as MatchedTraining
from .match import train_matched as train_matched
from .tuning import Tuning as Tuning
