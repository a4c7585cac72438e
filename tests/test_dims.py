from __future__ import annotations

import numpy as np
import pytest

from ift_jax.dims import check


def test_sizes_are_bound_and_returned():
    assert check({"D": 3}, x_BTD=np.zeros((2, 5, 3)), y_BD=np.zeros((2, 3))) == {
        "B": 2,
        "T": 5,
        "D": 3,
    }


def test_a_known_size_is_enforced():
    with pytest.raises(ValueError, match=r"x_BD: axis D \(model width\) is 4, expected 3"):
        check({"D": 3}, x_BD=np.zeros((2, 4)))


def test_arrays_must_agree_with_each_other():
    with pytest.raises(ValueError, match=r"y_B: axis B \(batch.*\) is 3, expected 2"):
        check({}, x_BD=np.zeros((2, 4)), y_B=np.zeros(3))


def test_rank_is_checked():
    with pytest.raises(ValueError, match=r"x_BTD: 2 axes \(2, 4\), expected 3"):
        check({}, x_BTD=np.zeros((2, 4)))
