"""The definitions, with a `catch_up` that is asked more often: slots it requests wait shorter."""

from vibes_pipeline.definitions import definitions
from vibes_pipeline.defs.sensors import catch_up

__all__ = ["definitions"]

catch_up._min_interval = 5
