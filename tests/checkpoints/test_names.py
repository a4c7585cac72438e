from __future__ import annotations

from types import SimpleNamespace

import pytest

from ift_jax.checkpoints import names

CONFIG = SimpleNamespace(L=3, N=4, K=2, H=6, D=8)
SIZES = {"N": 4, "K": 2, "H": 6, "D": 8}


def part(pattern: str) -> names.Part:
    return names.tensor("x", "p", pattern).parts[0]


def test_sides_are_axes_of_letters():
    assert part("(N h r) D -> D N (r h)").sides == (
        [["N", "h", "r"], ["D"]],
        [["D"], ["N"], ["r", "h"]],
    )


@pytest.mark.parametrize(
    "pattern",
    ["N H", "N H -> N", "N N -> N N", "N -> N N", "(N H -> N H", "NH -> NH", "N (h (r)) -> N h r"],
)
def test_bad_patterns_are_refused(pattern):
    with pytest.raises(ValueError, match=r"'-\>'|same letters|cannot read"):
        _ = part(pattern).sides


def test_names_are_one_a_layer():
    assert names.expand("a.{L}.b", CONFIG) == ["a.0.b", "a.1.b", "a.2.b"]
    assert names.expand("a.b", CONFIG) == ["a.b"]
    assert names.layers("a.{L}.b", CONFIG) == 3
    assert names.layers("a.b", CONFIG) is None


def test_a_bracketed_prefix_is_there_in_all_names_or_none():
    table = [
        names.tensor("[model.]a.{L}.b", "p", "D -> D"),
        names.tensor("c", "q", "D -> D"),
        names.alias("head", "[model.]a.{L}.b"),
    ]

    def settled(file_names=None):
        return [entry.file_name for entry in names.settle(table, file_names)]

    assert settled() == ["model.a.{L}.b", "c", "head"]
    assert settled({"model.a.0.b", "c"}) == settled()
    assert settled({"a.0.b", "c"}) == ["a.{L}.b", "c", "head"]
    assert names.settle(table, {"a.0.b"})[2].of == "a.{L}.b"


def test_local_factor_follows_from_the_parameter():
    sizes = names.bind(part("(N h r) D -> D N (r h)"), (8, 4, 6), {**SIZES, "r": 2})
    assert sizes == {"N": 4, "h": 3, "r": 2, "D": 8}
    assert names.file_shape(part("(N h r) D -> D N (r h)"), sizes) == (24, 8)


@pytest.mark.parametrize(
    "pattern, shape, known",
    [
        ("(N H) D -> D N H", (8, 4, 7), {}),  # H is 6
        ("(N H) D -> D N H", (8, 24), {}),  # an axis too few
        ("(N h r) D -> D N (r h)", (8, 4, 6), {"r": 4}),  # 4 does not divide 6
        ("(N h r) D -> D N (r h)", (8, 4, 6), {}),  # neither h nor r is known
    ],
)
def test_shape_that_the_pattern_cannot_have(pattern, shape, known):
    with pytest.raises(ValueError, match=r"parameter p has shape .* which is not"):
        names.bind(part(pattern), shape, {**SIZES, **known})


def test_fused_needs_one_file_side_with_the_factor():
    with pytest.raises(ValueError, match="differ on the file's side"):
        names.fused("x", "m", {"q": "(m H) D -> D m H", "k": "(H m) D -> D m H"})
    with pytest.raises(ValueError, match="no factor 'g'"):
        names.fused("x", "g", {"q": "(m H) D -> D m H"})
