"""Effective multiply-accumulates are those that nested loops count."""

import itertools
import json

import numpy as np
import pytest

from tflite_sparse.activity import (
    ActivityComparison,
    ActivityMeter,
    ActivityReport,
    Multiplications,
)
from tflite_sparse.errors import OptionError


def met(weights, groups):
    """Nonzero weights per tap and input channel; weights [*kernel, in / groups, out]."""
    parts = np.split(weights != 0, groups, axis=-1)
    return np.concatenate([part.sum(axis=-1) for part in parts], axis=-1)


def loops(x, weights, groups, output, strides, dilations, padding, transposed):
    """Pairs of a nonzero weight and a nonzero activation, one by one."""
    kernel, depth = weights.shape[:-2], weights.shape[-2]
    width = weights.shape[-1] // groups
    counts = np.zeros(x.shape[0], int)
    walked = x.shape[1:-1] if transposed else output
    other = output if transposed else x.shape[1:-1]
    for at in itertools.product(*map(range, walked)):
        for tap in itertools.product(*map(range, kernel)):
            place = tuple(
                a * s + t * d - p for a, t, s, d, p in zip(at, tap, strides, dilations, padding)
            )
            if any(not 0 <= index < size for index, size in zip(place, other)):
                continue
            pixel = at if transposed else place
            for group, i, o in itertools.product(range(groups), range(depth), range(width)):
                if weights[(*tap, i, group * width + o)]:
                    counts += x[(slice(None), *pixel, group * depth + i)] != 0
    return counts


def case(seed):
    generator = np.random.default_rng(seed)
    axes = int(generator.integers(1, 3))
    transposed = bool(generator.integers(2))
    groups, depth, width = (int(n) for n in generator.integers(1, 4, 3))
    sizes = tuple(int(n) for n in generator.integers(1, 8, axes))
    kernel = tuple(int(n) for n in generator.integers(1, 4, axes))
    strides = tuple(int(n) for n in generator.integers(1, 4, axes))
    dilations = tuple(int(n) for n in generator.integers(1, 4, axes))
    padding = tuple(int(n) for n in generator.integers(0, 4, axes))
    output = tuple(int(n) for n in generator.integers(1, 9, axes))
    x = generator.integers(0, 2, (2, *sizes, groups * depth))
    weights = generator.integers(0, 2, (*kernel, depth, groups * width))
    return x, weights, groups, output, strides, dilations, padding, transposed


@pytest.mark.parametrize("seed", range(60))
def test_windows(seed):
    # Outputs and paddings are drawn apart, so that windows also lie outside of the input.
    x, weights, groups, *window = case(seed)
    counted = Multiplications(met(weights, groups), *window).effective(x != 0)
    assert counted.tolist() == loops(x, weights, groups, *window).tolist()


def test_a_linear_layer_multiplies_each_vector():
    generator = np.random.default_rng(0)
    x, weights = generator.integers(0, 2, (3, 5, 7)), generator.integers(0, 2, (7, 4))
    counted = Multiplications(met(weights, 1)).effective(x != 0)
    assert counted.tolist() == np.einsum("npc,co->n", x, weights).tolist()


def meter(first=((3.0, 0.0), (-0.5, 1.0))):
    ones = Multiplications(np.array([2, 3]))
    collected = ActivityMeter()
    collected.add("first", "FULLY_CONNECTED", np.array(first), ones, 5)
    collected.add("second", "FULLY_CONNECTED", np.zeros((1, 2)), ones, 15)
    collected.add("second", "FULLY_CONNECTED", np.zeros((1, 2)), ones, 15)
    return collected.report("model", "two samples")


def test_report():
    report = meter()
    first = report.layers[0]
    assert (first.zeros, first.zeros_std, first.zeros_min, first.zeros_max) == (0.25, 0.25, 0, 0.5)
    assert first.macs_effective == (2 + 5) / 2
    assert report.samples == 2
    assert report.totals.zeros == (5 * 0.25 + 15 * 1) / 20
    assert (report.totals.macs_dense, report.totals.macs_effective) == (20, 3.5)


def test_report_through_json():
    report = meter()
    assert ActivityReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report
    with pytest.raises(OptionError, match="'layers'"):
        ActivityReport.from_dict({"model": "x"})


def test_report_as_text_and_picture():
    report = meter()
    assert "2 samples" in str(report)
    assert "first" in str(report)
    assert report.plot()[:8] == b"\x89PNG\r\n\x1a\n"


def test_magnitudes_are_powers_of_two():
    assert meter().layers[0].magnitudes == ((-1, 0.25), (0, 0.25), (1, 0.25))
    assert meter().layers[1].magnitudes == ()
    # The next number below a power of two; denormals; what has no magnitude.
    odd = meter(((np.nextafter(2.0, 0.0), 2.0), (5e-324, np.inf)))
    assert odd.layers[0].magnitudes == ((-1074, 0.25), (0, 0.25), (1, 0.25))
    assert odd.layers[0].zeros == 0


def test_before_and_after():
    before, after = meter(), meter(((3.0, 0.0), (0.0, 0.0)))
    compared = ActivityComparison(before, after)
    assert compared.reductions == (pytest.approx(1 - 1 / 3), 0.0)
    assert compared.reduction == 1 - 1 / 3.5
    assert "25.0%" in str(compared)
    assert "75.0%" in str(compared)
    assert json.loads(json.dumps(compared.to_dict()))["after"] == json.loads(
        json.dumps(after.to_dict())
    )
    for picture in (compared.plot(), compared.plot_magnitudes(), after.plot_magnitudes()):
        assert picture[:8] == b"\x89PNG\r\n\x1a\n"


def test_other_layers_are_not_compared():
    other = ActivityMeter()
    other.add("first", "CONV_2D", np.ones((1, 2)), Multiplications(np.array([2, 3])), 5)
    with pytest.raises(OptionError, match="as number 1 'first', a FULLY_CONNECTED of 5"):
        ActivityComparison(meter(), other.report("other", "one sample"))
    short = ActivityReport("short", "", 1, meter().layers[:1])
    with pytest.raises(OptionError, match=r"number 2 'second'.*; found no layer"):
        ActivityComparison(meter(), short)
