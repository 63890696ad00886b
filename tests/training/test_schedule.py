"""The schedule against values worked out by hand."""

import pytest

from tflite_sparse.errors import OptionError
from tflite_sparse.training.schedule import Schedule


def test_cubic_from_a_tenth_to_nine_tenths():
    schedule = Schedule(100)
    assert (schedule.start, schedule.freeze) == (10, 90)
    # 1 - (1 - (t - 10) / 80) ** 3
    for step, fraction in {0: 0, 9: 0, 10: 0, 30: 0.578125, 50: 0.875, 70: 0.984375}.items():
        assert schedule.fraction(step) == fraction
    assert [schedule.fraction(step) for step in (90, 99, 1000)] == [1, 1, 1]


def test_linear():
    schedule = Schedule(10, dense_until=0.2, freeze_from=0.6, power=1)
    assert [schedule.fraction(step) for step in range(8)] == [0, 0, 0, 0.25, 0.5, 0.75, 1, 1]


def test_draws_each_few_steps_and_at_freezing():
    schedule = Schedule(12, dense_until=0.25, freeze_from=0.75, update_every=4)
    assert [schedule.drawn_at(step) for step in range(12)] == [
        *(None, None, None),  # dense
        *(3, 3, 3, 3, 7, 7),  # steps 3 and 7 draw
        *(9, 9, 9),  # the final masks, though 4 steps after 7 are not over
    ]


def test_masks_from_the_first_step():
    schedule = Schedule(10, dense_until=0, freeze_from=0)
    assert schedule.drawn_at(0) == 0
    assert schedule.fraction(0) == 1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"total_steps": 0}, "total_steps to be a whole number from 1, found 0"),
        ({"total_steps": 2.5}, "total_steps"),
        ({"update_every": 0}, "update_every"),
        ({"dense_until": 0.9, "freeze_from": 0.5}, "dense_until=0.9 and freeze_from=0.5"),
        ({"dense_until": -0.1}, "0 <= dense_until"),
        ({"freeze_from": 1.1}, "freeze_from <= 1"),
        ({"power": 0}, "power above 0"),
    ],
)
def test_options_out_of_range(options, text):
    with pytest.raises(OptionError, match=text):
        Schedule(**{"total_steps": 10, **options})
