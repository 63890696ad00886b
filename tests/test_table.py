import pytest

from tflite_sparse.table import format_table


def test_numbers_to_the_right_and_text_to_the_left():
    assert format_table(("name", "ms"), [("conv", "1.5"), ("a long name", "12.25")]).split(
        "\n"
    ) == [
        "name            ms",
        "-----------  -----",
        "conv           1.5",
        "a long name  12.25",
    ]


def test_none_is_a_dash():
    assert format_table(("a",), [(None,)]).split("\n")[2] == "-"


def test_row_of_wrong_length_is_refused():
    with pytest.raises(ValueError, match="row 1 has 1 cells, expected 2"):
        format_table(("a", "b"), [(1, 2), (3,)])
