import numpy as np
import pytest

from tflite_sparse.measure.statistics import ratio_of_products, speed_up, summarize


def test_summary():
    summary = summarize(np.arange(1, 102))
    assert (summary.median, summary.p10, summary.p90, summary.mean) == (51, 11, 91, 51)
    assert summary.samples == 101
    with pytest.raises(ValueError, match="at least one"):
        summarize([])


def test_equal_rounds_have_a_speed_up_of_exactly_one():
    rounds = np.random.default_rng(0).random(50) + 1
    ratio = speed_up(rounds, rounds)
    assert (ratio.value, ratio.low, ratio.high) == (1, 1, 1)


def test_interval_covers_the_truth_as_often_as_it_says():
    """95% intervals of 200 simulated measurements with noise that lasts several rounds."""
    covered = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        drift = np.cumsum(generator.normal(0, 0.002, 80))
        reference = 2 * (1 + drift) * np.exp(generator.normal(0, 0.03, 80))
        variant = (1 + drift) * np.exp(generator.normal(0, 0.03, 80))
        ratio = speed_up(reference, variant, seed)
        assert ratio.low <= ratio.value <= ratio.high
        covered += ratio.low <= 2 <= ratio.high
    assert 0.88 * 200 <= covered <= 200


def test_rounds_must_match():
    with pytest.raises(ValueError, match="as many rounds"):
        speed_up([1, 2], [1, 2, 3])


def test_a_single_round():
    assert speed_up([3.0], [1.5]).value == 2


def test_ratio_of_two_speed_ups():
    """What disturbs a round cancels, as the series share their rounds."""
    noise = np.random.default_rng(0).random(50) + 1
    ratio = ratio_of_products([4 * noise, 3 * noise], [noise, 6 * noise])
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((2, 2, 2))
    with pytest.raises(ValueError, match="as many rounds"):
        ratio_of_products([[1, 2], [1, 2]], [[1, 2], [1]])
