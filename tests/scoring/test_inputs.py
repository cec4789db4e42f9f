"""What scoring accepts, and what it says to the rest."""

import numpy as np
import pandas as pd
import pytest

from napari_colloids.errors import ColloidsError, brief
from napari_colloids.particles import particle_table
from napari_colloids.scoring import challenge_curve, match, score

CENTRES = [[10.0, 20, 15], [20, 10, 14]]


def refusal(function, *args, **kwargs):
    with pytest.raises(ColloidsError) as caught:
        function(*args, **kwargs)
    return str(caught.value)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize(
    ("table", "message"),
    [
        (particle_table(CENTRES).drop(columns="y"), "has no column y; "),
        (particle_table(CENTRES, frame=[3, 4]), "holds several frames; "),
        (particle_table([[1, 2, np.nan]]), "has rows without a position; drop them first."),
        ([[1, 2]], "must have positions of shape (N, 3): "),
    ],
)
def test_the_message_names_the_side(side, table, message):
    sides = [CENTRES, CENTRES]
    sides[side] = table
    assert refusal(match, *sides, 1).startswith(("The truth ", "The prediction ")[side] + message)
    assert refusal(challenge_curve, *sides, 4, (32, 32, 32)).startswith(("The truth ", "The prediction ")[side])
    assert refusal(score, *sides, diameter=4, shape=(32, 32, 32)).startswith(("The truth ", "The prediction ")[side])


@pytest.mark.parametrize("length", [0, -2.5, float("nan"), float("inf"), "wide", None, [4], 10**400])
def test_a_length_is_a_positive_number(length):
    said = refusal(score, CENTRES, CENTRES, diameter=length, shape=(32, 32, 32))
    assert said == f"The diameter must be a positive number of voxels, not {brief(length)}."
    assert refusal(match, CENTRES, CENTRES, length).startswith("The greatest distance of a match must be a positive")
    if length is not None:
        said = refusal(score, CENTRES, CENTRES, diameter=4, shape=(32, 32, 32), max_distance=length)
        assert said.startswith("The greatest distance of a match must be a positive")


@pytest.mark.parametrize("shape", [(1, 1, 1), (1.0, 1.0, 1.0), np.ones(3, np.uint8), [np.int64(1)] * 3])
def test_a_single_voxel_is_a_shape(shape):
    # A sphere that just fits into it.
    result = score([[0, 0, 0]], [[0, 0, 0]], diameter=1, shape=shape)
    assert (result.true_positives, result.ignored_truths) == (1, 0)


@pytest.mark.parametrize(
    "shape",
    [
        *((0, 32, 32), (32, 32, -1), (32, 32, 32.5), (32, 32, np.nan), (32, 32, np.inf), (True, True, True)),
        *(("32", "32", "32"), (32, 32), (32, 32, 32, 32), ((32, 32), 32), 10**30, None, np.zeros((32, 32, 32))),
    ],
    ids=lambda shape: "an array" if isinstance(shape, np.ndarray) else str(shape),
)
def test_a_shape_is_three_whole_numbers(shape):
    said = refusal(score, CENTRES, CENTRES, diameter=4, shape=shape)
    assert said.startswith("The shape must be three positive whole numbers of voxels (z, y, x), not ")
    assert said.endswith("not an array of shape (32, 32, 32).") == isinstance(shape, np.ndarray)
    assert refusal(challenge_curve, CENTRES, CENTRES, 4, shape) == said


def test_a_voxel_size_is_positive():
    assert "voxel size" in refusal(score, CENTRES, CENTRES, diameter=4, shape=(32, 32, 32), voxel_size=(0, 1, 1))


def test_rounded_micrometres_do_not_make_voxels_different():
    def height(part):
        return particle_table(CENTRES, voxel_size=(0.2 * part, 0.1, 0.1))

    # A match is at most 4 voxels away: 2 along z, where they are twice as high.
    prediction = height(1.005).assign(z=lambda table: table["z"] + 2.5)
    assert score(height(1), height(1.005), diameter=8, shape=(32, 32, 32)).true_positives == 2
    assert score(height(1), prediction.drop(columns="z_um"), diameter=8, shape=(32, 32, 32)).true_positives == 0
    assert refusal(score, height(1), height(1.05), diameter=8, shape=(32, 32, 32)) == (
        "The two tables have voxels of different aspect ratios; give the right voxel size."
    )


@pytest.mark.parametrize("given", [0, 1])
def test_one_table_is_enough_to_tell_the_voxel_size(given):
    far = np.add(CENTRES, [2.5, 0, 0])
    sides = [np.array(CENTRES), far]
    assert score(*sides, diameter=8, shape=(32, 32, 32)).true_positives == 2
    sides[given] = particle_table(sides[given], voxel_size=(0.2, 0.1, 0.1))
    assert score(*sides, diameter=8, shape=(32, 32, 32)).true_positives == 0


def test_confidences_may_be_any_numbers_but_missing_ones():
    table = particle_table(CENTRES)
    kinds = [[1, 2], np.array([1, 2], np.uint8), pd.array([1, 2], dtype="Int64"), pd.array([1, 2], dtype="Float32")]
    for confidence in [*kinds, np.array([1.0, 2.0], object)]:
        result = score(CENTRES, table.assign(confidence=confidence), diameter=4, shape=(32, 32, 32))
        assert result.curve.confidence.tolist() == [2, 1]
    missing = [pd.array([1, None], dtype="Int64"), pd.array([1, None], dtype="Float32"), [1, np.nan], [1, np.inf]]
    for confidence in missing:
        assert refusal(score, CENTRES, table.assign(confidence=confidence), diameter=4, shape=(32, 32, 32)) == (
            "The prediction has confidences that are not numbers; fill them in, or drop the column to score without."
        )
    words = table.assign(confidence=["high", "low"])
    assert "'confidence' that should hold numbers" in refusal(score, CENTRES, words, diameter=4, shape=(32, 32, 32))
