"""Detection in files: many, large, interrupted, on one machine or on a cluster; always with the same result."""

from napari_colloids.batch.job import Job, Source, jobs_of
from napari_colloids.batch.outcome import Outcome, write_summary
from napari_colloids.batch.run import run_job
from napari_colloids.batch.selection import frame_range

__all__ = ["Job", "Outcome", "Source", "frame_range", "jobs_of", "run_job", "write_summary"]
