"""lattice_masks against what its documentation promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tflite_sparse as ts
from tflite_sparse.errors import MaskError, OptionError

sizes = st.tuples(st.integers(1, 24), st.integers(1, 24))
phases = st.tuples(st.integers(0, 1), st.integers(0, 1))
shares = st.floats(0, 1, exclude_max=True)


@given(shape=sizes, sparsity=shares, seed=st.integers(0, 99), phase=phases)
def test_exact_counts(shape, sparsity, seed, phase):
    masks = ts.lattice_masks({"a": shape}, 8, sparsity, seed, phase=phase)
    pixels = shape[0] * shape[1]
    assert pixels - masks.kept("a") == min(round(sparsity * pixels), pixels - 1)


@given(shape=sizes, low=shares, high=shares, seed=st.integers(0, 99), phase=phases)
def test_masks_are_nested(shape, low, high, seed, phase):
    low, high = sorted((low, high))
    more, fewer = (
        ts.lattice_masks({"a": shape}, 8, sparsity, seed, phase=phase)["a"]
        for sparsity in (low, high)
    )
    assert not (fewer & ~more).any()


@pytest.mark.parametrize("seed", [0, 1, 6])
def test_half_is_a_checkerboard_and_the_alternate_phase_its_opposite(seed):
    masks = ts.lattice_masks({"a": (8, 8), "b": (8, 8)}, 8, 0.5, seed, phase="alternate")
    lines, columns = np.indices((8, 8))
    assert np.array_equal(masks["a"], (lines + columns) % 2 == 0)
    assert np.array_equal(masks["b"], ~masks["a"])


@pytest.mark.parametrize("shape", [(8, 8), (14, 14), (56, 56)])
def test_pixels_that_strided_layers_read_are_kept_up_to_three_quarters(shape):
    for sparsity in (0.1, 0.25, 0.5, 0.7):
        assert ts.lattice_masks({"a": shape}, 8, sparsity)["a"][::2, ::2].all()


@pytest.mark.parametrize("phase", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("sparsity", [1 / 4, 5 / 16, 1 / 2])
def test_few_patterns_of_live_taps(sparsity, phase):
    """What the engine's speed rests on; random masks have about 250."""
    mask = ts.lattice_masks({"a": (56, 56)}, 224, sparsity, phase=phase)["a"]
    windows = np.lib.stride_tricks.sliding_window_view(mask, (3, 3))
    assert len(np.unique(windows[mask[1:-1, 1:-1]].reshape(-1, 9), axis=0)) <= 9


def test_alternation_follows_resolutions_and_sums():
    shapes = {"stem": (8, 8), "a1": (8, 8), "a2": (8, 8), "b1": (4, 4), "b2": (4, 4), "b3": (4, 4)}
    plain = ts.lattice_masks(shapes, 16, 0.25, phase="alternate")
    assert np.array_equal(plain["stem"], plain["a2"])
    assert not (~plain["stem"] & ~plain["a1"]).any()
    assert not (~plain["b1"] & ~plain["b2"]).any()
    added = ts.lattice_masks(shapes, 16, 0.25, phase="alternate", sums=[("b1", "b2"), ("b2", "b3")])
    assert added["b1"].tobytes() == added["b2"].tobytes() == added["b3"].tobytes()


def test_phase_of_each_layer():
    shapes = {"a": (8, 8), "b": (8, 8)}
    each = ts.lattice_masks(shapes, 8, 0.5, phase={"a": (0, 0), "b": (0, 1)})
    assert np.array_equal(each["b"], ~each["a"])


@pytest.mark.parametrize(
    ("arguments", "options", "error", "text"),
    [
        (({"a": (4, 4)}, 8, 1.0), {}, OptionError, "found 1.0"),
        (({"a": (4, 4)}, 8, 0.5, -1), {}, OptionError, "found -1"),
        (({"a": (0, 4)}, 8, 0.5), {}, MaskError, "'a'.*0 x 4"),
        (({"a": (4, 4)}, (0, 8), 0.5), {}, MaskError, r"\(0, 8\)"),
        (({"a": (4, 4)}, 8, 0.5), {"phase": (0, 2)}, MaskError, r"'a'.*\(0, 2\)"),
        (({"a": (4, 4)}, 8, 0.5), {"phase": {"b": (0, 0)}}, MaskError, "none for 'a'"),
        (({"a": (4, 4)}, 8, 0.5), {"phase": "opposite"}, MaskError, "'opposite'"),
        (
            ({"a": (4, 4)}, 8, 0.5),
            {"phase": "alternate", "sums": [("a", "c")]},
            MaskError,
            "'c' is not",
        ),
        (({}, 8, 0.5), {}, MaskError, "empty set"),
    ],
)
def test_refuses(arguments, options, error, text):
    with pytest.raises(error, match=text):
        ts.lattice_masks(*arguments, **options)
