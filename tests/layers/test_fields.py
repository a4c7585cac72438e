from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from ift_jax.layers.fields import Switches, check_fields, check_switch


@dataclasses.dataclass(frozen=True)
class Config(Switches):
    D: Any = 4
    theta: Any = 1e4
    tied: Any = False

    def __post_init__(self):
        check_fields(
            self,
            sizes="D",
            numbers=["theta"],
            switches=["tied"],
        )


def test_good_values_pass():
    Config(D=1, theta=3, tied=True, remat="full")


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        *(
            ("D", value, "must be a positive integer")
            for value in (0, -1, 128.0, "128", True, None)
        ),
        *(
            ("theta", value, "must be a positive number")
            for value in (0, -1.0, math.nan, math.inf, "1e4", True, None)
        ),
        *(("tied", value, "must be True or False") for value in (0, 1, "false", None)),
        *(("dropout", value, "is not in [0, 1)") for value in (-0.1, 1.0, math.nan, "0.1", False)),
        *(
            ("remat", value, r"expected one of ['none', 'dots', 'full']")
            for value in ("some", None)
        ),
    ],
)
def test_a_bad_value_is_named(field, value, expected):
    with pytest.raises(ValueError) as caught:
        Config(**{field: value})
    assert f"test_fields.Config: {field} = {value!r}" in str(caught.value)
    assert expected in str(caught.value)


def test_a_switch_is_itself_or_refused():
    assert check_switch("x", True) is True
    assert check_switch("x", False) is False
    with pytest.raises(ValueError, match="config.json: alibi = 'false' must be True or False"):
        check_switch("config.json: alibi", "false")
