"""Packing: nothing split, nothing lost, rows full, the order kept."""

from __future__ import annotations

import itertools
import random

import pytest

from ift_jax.data import pack


def best_fit(sizes, capacity, **options):
    """Of one stream."""
    return list(pack.best_fit([(size,) for size in sizes], (capacity,), **options))


def sizes(count, seed=0, low=5, high=70):
    uniform = random.Random(seed)
    return [uniform.randint(low, high) for _ in range(count)]


def test_by_hand():
    # Room 10: 6 opens a row; 5 opens another; 4 fits both rows, and best the first, which is
    # full; 3 joins 5; 9 opens a row; 1 fits the row of 9 exactly; 2 fills the second.
    assert best_fit([6, 5, 4, 3, 9, 1, 2], 10) == [[0, 2], [4, 5], [1, 3, 6]]


def test_oldest_row_makes_way():
    assert best_fit([6, 7, 8, 9], 10, open_rows=2) == [[0], [1]]


def test_rows_hold_every_example_once_and_whole():
    examples = sizes(2000)
    fillers = [100 - 1] * (pack.OPEN_ROWS + 1)  # fit in no open row: they push the rest out
    packed = best_fit(examples + fillers, 100)
    numbers = [number for number in itertools.chain(*packed) if number < len(examples)]
    assert sorted(numbers) == list(range(len(examples)))
    assert all(sum((examples + fillers)[number] for number in row) <= 100 for row in packed)
    assert all(row == sorted(row) for row in packed)


@pytest.mark.parametrize(("low", "high", "capacity"), [(10, 60, 128), (20, 300, 512), (5, 70, 256)])
def test_fill_on_short_examples(low, high, capacity):
    examples = sizes(5000, seed=1, low=low, high=high)
    packed = best_fit(examples, capacity)
    used = sum(examples[number] for row in packed for number in row)
    assert used / (len(packed) * capacity) >= 0.97


def test_first_rows_do_not_depend_on_what_follows():
    examples = sizes(3000)
    few, many = best_fit(examples[:1000], 100), best_fit(examples, 100)
    assert few == many[: len(few)]
    assert len(few) > 300


def test_order_is_kept_to_within_the_window():
    packed = best_fit(sizes(5000), 100)
    # Where a row comes, and where it would come by its first example.
    by_first = sorted(range(len(packed)), key=lambda row: packed[row][0])
    moved = max(abs(place - row) for place, row in enumerate(by_first))
    assert 0 < moved < pack.OPEN_ROWS


def test_too_large_and_nothing():
    with pytest.raises(ValueError, match="example 1 takes 11 slots, a row has 10"):
        best_fit([10, 11], 10)
    assert best_fit([0, 10, 0], 10) == [[1]]
    assert list(pack.one_each([(3,), (0,), (10,)])) == [[0], [2]]


def test_two_streams_by_hand():
    # Room 10 and 4. The third fits the first row's first stream best, but not its second; it joins
    # the second row, which the fourth fills. The last fills the first row.
    sizes = [(6, 3), (5, 1), (4, 2), (1, 1), (4, 1)]
    assert list(pack.best_fit(sizes, (10, 4))) == [[1, 2, 3], [0, 4]]


def test_a_row_without_room_in_its_second_stream_closes():
    assert next(pack.best_fit([(3, 4), (1, 1)], (10, 4))) == [0]


def test_two_streams_hold_every_example_once_and_within_both():
    examples = list(zip(sizes(2000, 1), sizes(2000, 2, 1, 30), strict=True))
    fillers = [(99, 39)] * (pack.OPEN_ROWS + 1)
    packed = list(pack.best_fit([*examples, (0, 0), (5, 0), *fillers], (100, 40)))
    numbers = [number for number in itertools.chain(*packed) if number < len(examples)]
    assert sorted(numbers) == list(range(len(examples)))
    for row in packed:
        for stream, most in enumerate((100, 40)):
            assert sum((*examples, *[(0, 0)] * 2, *fillers)[n][stream] for n in row) <= most


def test_too_large_in_a_second_stream():
    with pytest.raises(ValueError, match="example 0 takes 1 and 5 slots, a row has 10 and 4 slots"):
        list(pack.best_fit([(1, 5)], (10, 4)))
