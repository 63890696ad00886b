"""propagate_masks against the definition in the paper's Algorithm 1."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tflite_sparse.errors import MaskError, OptionError
from tflite_sparse.masks import propagate_masks
from tflite_sparse.masks.propagate import _pool

sizes = st.tuples(st.integers(1, 24), st.integers(1, 24))


@given(
    shapes=st.dictionaries(st.text(min_size=1), sizes, min_size=1, max_size=5),
    size=sizes,
    sparsity=st.floats(0, 1, exclude_max=True),
    seed=st.integers(0, 2**32),
)
def test_exact_count_same_resolution_same_mask_same_seed_same_masks(shapes, size, sparsity, seed):
    masks = propagate_masks(shapes, size, sparsity, seed)
    assert list(masks) == list(shapes)
    by_shape = {}
    for name, (rows, columns) in shapes.items():
        pixels = rows * columns
        assert masks[name].shape == (rows, columns)
        assert pixels - masks.kept(name) == min(round(sparsity * pixels), pixels - 1)
        assert by_shape.setdefault((rows, columns), masks[name].tobytes()) == masks[name].tobytes()
    assert propagate_masks(shapes, size, sparsity, seed) == masks


def test_the_masks_of_a_seed_are_the_same_on_every_machine():
    """Recorded once: another digest means that users' masks would change with an update."""
    masks = propagate_masks({"a": (56, 56), "b": (7, 7), "c": (13, 9)}, 224, 0.3, seed=1)
    digest = hashlib.sha256(b"".join(mask.tobytes() for mask in masks.values())).hexdigest()
    assert digest == "54c2305f9d63f6d0cb2d41d1b8428645ac7934bf04dfb520cb46c3e3eba51cb1"


def test_pooling_is_the_average_where_sizes_divide():
    scores = np.random.default_rng(0).integers(0, 2**31, (12, 8))
    expected = scores.reshape(4, 3, 2, 4).sum(axis=(1, 3))
    # Each output cell weighs the input by 4 x 2 units of the common grid.
    assert np.array_equal(_pool(scores, 4, 2), expected * 4 * 2)


@given(size=sizes, shape=sizes, seed=st.integers(0, 99))
def test_pooling_is_the_average_over_the_covered_area(size, shape, seed):
    """Against plain upsampling to the common grid, where every size divides."""
    scores = np.random.default_rng(seed).integers(0, 2**31, size)
    fine = np.kron(scores, np.ones(shape, np.int64))
    expected = fine.reshape(shape[0], size[0], shape[1], size[1]).sum(axis=(1, 3))
    assert np.array_equal(_pool(scores, *shape), expected)


def test_the_lowest_scores_are_masked_and_resolutions_agree():
    fine, coarse = propagate_masks({"fine": (8, 8), "coarse": (4, 4)}, 8, 0.5, seed=3).values()
    kept = fine.reshape(4, 2, 4, 2).mean(axis=(1, 3))
    assert kept[coarse].mean() > kept[~coarse].mean()


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (({"a": (4, 4)}, 8, 1.0), OptionError, "found 1.0"),
        (({"a": (4, 4)}, 8, -0.1), OptionError, "found -0.1"),
        (({"a": (4, 4)}, 8, float("nan")), OptionError, "found nan"),
        (({"a": (4, 4)}, 8, 0.5, -1), OptionError, "found -1"),
        (({"a": (0, 4)}, 8, 0.5), MaskError, "'a'.*0 x 4"),
        (({"a": (4, 4)}, (0, 8), 0.5), MaskError, "0 x 8"),
        (({"a": (4, 4)}, 2**20, 0.5), MaskError, "at most"),
        (({}, 8, 0.5), MaskError, "empty set"),
    ],
)
def test_refuses(arguments, error, text):
    with pytest.raises(error, match=text):
        propagate_masks(*arguments)
