"""Penalties: their formulas, their gradients, and that PyTorch and Keras have the same."""

import math
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch

from tflite_sparse.errors import OptionError
from tflite_sparse.training.penalties import (
    L1,
    PENALTIES,
    Lp,
    PartialL1,
    Scad,
    TransformedL1,
    make_penalty,
)

#: Each formula a second time, element by element, for one sample.
FORMULAS = {
    L1(): lambda x: sum(map(abs, x)),
    make_penalty("l2"): lambda x: math.sqrt(sum(v * v for v in x)),
    Lp(): lambda x: sum(math.sqrt(abs(v)) for v in x),
    Lp(0.01): lambda x: sum(abs(v) ** 0.01 for v in x if v),
    make_penalty("hoyer"): lambda x: sum(map(abs, x)) / math.sqrt(sum(v * v for v in x)),
    make_penalty("hoyer_square"): lambda x: sum(map(abs, x)) ** 2 / sum(v * v for v in x),
    Scad(0.3, 3.0): lambda x: sum(_scad(abs(v), 0.3, 3.0) for v in x),
    PartialL1(0.5): lambda x: sum(v for v in x if 0 < v < 0.5),
    TransformedL1(): lambda x: sum(2 * abs(v) / (1 + abs(v)) for v in x),
    TransformedL1(0.25): lambda x: sum(1.25 * abs(v) / (0.25 + abs(v)) for v in x),
}
every_penalty = pytest.mark.parametrize("penalty", FORMULAS, ids=str)


def _scad(s, t, alpha):
    """Fan and Li's (2.7) is the slope; this is its integral, taken numerically."""
    points = np.linspace(0, s, 20001)
    slope = np.where(points <= t, t, np.maximum(alpha * t - points, 0) / (alpha - 1))
    return float(np.trapezoid(slope, points))


def activations(seed=0):
    """``[4, 60]``: half of them 0, negative ones too, none next to a corner of a penalty."""
    generator = np.random.default_rng(seed)
    x = generator.uniform(0.02, 2, (4, 60)) * generator.choice([-1, 1], (4, 60))
    for corner in (0.3, 0.5, 0.9):
        x[np.abs(np.abs(x) - corner) < 1e-3] = 0.1
    return np.where(generator.random((4, 60)) < 0.5, 0, x)


def in_torch(penalty, x):
    value = torch.from_numpy(x).requires_grad_()
    result = penalty(value, torch)
    result.sum().backward()
    return result.detach().numpy(), value.grad.numpy()


def in_keras(penalty, x):
    value = tf.Variable(x)
    with tf.GradientTape() as tape:
        result = penalty(value, keras.ops)
        total = keras.ops.sum(result)
    return result.numpy(), tf.convert_to_tensor(tape.gradient(total, value)).numpy()


@every_penalty
@pytest.mark.parametrize("framework", [in_torch, in_keras])
def test_value_is_the_formula(framework, penalty):
    x = activations()
    wanted = [FORMULAS[penalty](sample.tolist()) for sample in x]
    # The oracle of scad is an integral over 20,000 steps of a slope with two corners.
    tolerance = 1e-7 if isinstance(penalty, Scad) else 1e-12
    np.testing.assert_allclose(framework(penalty, x)[0], wanted, rtol=tolerance)


@every_penalty
@pytest.mark.parametrize("framework", [in_torch, in_keras])
def test_gradient_is_the_finite_difference(framework, penalty):
    """In float64; at 0, where several have a corner, the gradient is 0."""
    x = activations()
    found = framework(penalty, x)[1]
    step = 1e-6
    for sample, element in zip(*np.nonzero(x)):
        up, down = x[sample].copy(), x[sample].copy()
        up[element] += step
        down[element] -= step
        wanted = (FORMULAS_FAST[penalty](up) - FORMULAS_FAST[penalty](down)) / (2 * step)
        assert found[sample, element] == pytest.approx(wanted, rel=1e-6, abs=1e-7)
    assert not found[x == 0].any()


#: One sample's value as the framework computes it; the values are tested above.
FORMULAS_FAST = {
    penalty: partial(lambda p, v: float(p(torch.from_numpy(v)[None], torch)[0]), penalty)
    for penalty in FORMULAS
}


@every_penalty
def test_frameworks_are_equal_to_float_rounding(penalty):
    x = activations().astype(np.float32)
    for mine, other in zip(in_torch(penalty, x), in_keras(penalty, x)):
        assert mine.dtype == other.dtype == np.float32
        # A sum of 60 terms in any order; the gradient of a quotient is a difference of two terms.
        size = np.abs(mine).max()
        np.testing.assert_allclose(mine, other, rtol=0, atol=64 * size * np.finfo(np.float32).eps)


@every_penalty
@pytest.mark.parametrize("framework", [in_torch, in_keras])
def test_all_zero_is_zero_without_a_slope(framework, penalty):
    """A sample that is dead must not make the training NaN; its neighbours count on."""
    x = activations().astype(np.float32)
    x[1] = 0
    value, gradient = framework(penalty, x)
    assert value[1] == 0
    assert not gradient[1].any()
    assert np.isfinite(value).all()
    assert np.isfinite(gradient).all()
    assert value[0] > 0


@pytest.mark.parametrize("framework", [in_torch, in_keras])
def test_corners(framework):
    """partial_l1 leaves out its end; scad is continuous at both corners."""
    value, gradient = framework(PartialL1(0.5), np.array([[0.5, 0.25, -0.25]]))
    assert value.tolist() == [0.25]
    assert gradient.tolist() == [[0, 1, 0]]
    corners = np.array([[0.3], [0.9], [5.0]])
    value, gradient = framework(Scad(0.3, 3.0), corners)
    np.testing.assert_allclose(value, [0.09, 0.18, 0.18], rtol=1e-12)
    np.testing.assert_allclose(gradient[:, 0], [0.3, 0, 0], atol=1e-15)


def test_a_penalty_is_found_by_its_name():
    for name, kind in PENALTIES.items():
        penalty = make_penalty(name)
        assert type(penalty) is kind
        state = penalty.state()
        assert make_penalty(state.pop("name"), state) == penalty
    assert make_penalty("lp", {"p": 0.01}) == Lp(0.01)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("l3", {}, "unknown penalty 'l3'; expected one of l1, l2, lp"),
        ("lp", {"q": 1}, "'lp' has no parameter 'q'; it has p"),
        ("l1", {"t": 1}, "'l1' has no parameter 't'; it has none"),
        ("lp", {"p": 0}, "expected 0 < p <= 1"),
        ("lp", {"p": math.nan}, "expected 0 < p <= 1"),
        ("scad", {"t": -1}, "expected t > 0"),
        ("scad", {"alpha": 1}, "expected alpha > 1"),
        ("partial_l1", {"t": math.inf}, "expected t > 0"),
        ("transformed_l1", {"a": 0}, "expected a > 0"),
    ],
)
def test_bad_penalties_are_refused(name, parameters, message):
    with pytest.raises(OptionError, match=message.replace("(", r"\(")):
        make_penalty(name, parameters)
