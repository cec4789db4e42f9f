from .neighbours import first_minimum as first_minimum
from .neighbours import neighbour_distance as neighbour_distance
from .neighbours import suggest_search_range as suggest_search_range
from .pair_correlation import PairCorrelation as PairCorrelation
from .pair_correlation import pair_correlation as pair_correlation
