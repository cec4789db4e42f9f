from .assess import AssessWidget as AssessWidget
from .detect import DetectWidget as DetectWidget
from .inspect import InspectWidget as InspectWidget
from .load import LoadWidget as LoadWidget
from .score import ScoreWidget as ScoreWidget
from .simulate import SimulateWidget as SimulateWidget
from .structure import StructureWidget as StructureWidget
from .track import TrackWidget as TrackWidget
