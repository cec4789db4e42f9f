"""Reading of image stacks, reading and writing of particle tables, and the file layouts of the challenge."""

from napari_colloids.io.atomic import atomic_write
from napari_colloids.io.formats.challenge import write_challenge, write_challenge_website
from napari_colloids.io.formats.challenge_truth import read_truth
from napari_colloids.io.formats.registry import STACK_ENDINGS
from napari_colloids.io.labels import label_image, write_labels
from napari_colloids.io.series import Series
from napari_colloids.io.stacks import list_series, read_stack
from napari_colloids.io.tables.particles import particle_writer, read_particles, write_particles
from napari_colloids.io.tables.registry import PARTICLE_ENDINGS
from napari_colloids.io.tables.writer import ParticleWriter

__all__ = [
    "PARTICLE_ENDINGS",
    "STACK_ENDINGS",
    "ParticleWriter",
    "Series",
    "atomic_write",
    "label_image",
    "list_series",
    "particle_writer",
    "read_particles",
    "read_stack",
    "read_truth",
    "write_challenge",
    "write_challenge_website",
    "write_labels",
    "write_particles",
]
