from __future__ import annotations

import importlib.util

import pytest

from ift_jax.assemble.planning import chips

HAVE_LIBTPU = importlib.util.find_spec("libtpu") is not None
HAVE_CUDA = any(map(importlib.util.find_spec, ("jax_cuda12_plugin", "jax_cuda13_plugin")))


def test_a_topology_is_a_chip_and_how_many():
    assert chips.read_topology("v5p:4x4x8") == (chips.CHIPS["v5p"], 128)
    assert chips.read_topology("v5e:4x8") == (chips.CHIPS["v5e"], 32)
    assert chips.read_topology("h100:8") == (chips.CHIPS["h100"], 8)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("v5q:4x4", r"no chip 'v5q'. Did you mean .*chip of v4, v5e, v5p, v6e"),
        ("4x4x4", r"no chip '4x4x4'"),
        ("v5p", r"v5p has no slice ''. There are: 2x2x1, .*, 4x4x4, "),
        ("v5e:4x4x4", r"v5e has no slice '4x4x4'. There are: 2x2, .*, 16x16$"),
        ("v5p:3x3x3", r"v5p has no slice '3x3x3'"),
        ("h100:16", r"h100 has no slice '16'. There are: 1, 2, 4, 8"),
    ],
)
def test_a_topology_that_there_is_not_lists_those_that_there_are(name, message):
    with pytest.raises(ValueError, match=message):
        chips.devices(name)


@pytest.mark.skipif(HAVE_LIBTPU, reason="libtpu is installed")
def test_without_tpus_compiler_the_extra_is_named():
    with pytest.raises(ValueError, match=r"libtpu, is not installed.*pip install 'ift-jax\[tpu\]'"):
        chips.devices("v5p:4x4x4")


@pytest.mark.skipif(HAVE_CUDA, reason="JAX's plugin for CUDA is installed")
def test_without_gpus_compiler_the_extra_is_named():
    with pytest.raises(ValueError, match=r"for CUDA is not installed.*'ift-jax\[cuda\]'"):
        chips.devices("h100:1")


def test_links_send_what_a_pods_bisection_needs():
    """16×16 chips of a 2D torus, halved, have 2·16 links across; v5e's page says 1.6 TB/s."""
    per_link = chips.CHIPS["v5e"].link_bandwidth / 4
    assert 2 * 16 * per_link == 1.6e12
    # v4: 16×16×16, 2·256 links across, 24 TB/s, rounded.
    assert 2 * 256 * chips.CHIPS["v4"].link_bandwidth / 6 == pytest.approx(24e12, rel=0.1)


@pytest.mark.skipif(not HAVE_LIBTPU, reason="needs libtpu: pip install 'ift-jax[tpu]'")
@pytest.mark.parametrize("kind", [kind for kind, chip in chips.CHIPS.items() if not chip.gpu])
def test_every_slice_is_one_that_the_compiler_knows(kind):
    for shape in chips.CHIPS[kind].slices:
        assert len(chips.devices(f"{kind}:{shape}")) == chips.read_topology(f"{kind}:{shape}")[1]


@pytest.mark.skipif(not HAVE_CUDA, reason="needs JAX's plugin: pip install 'ift-jax[cuda]'")
@pytest.mark.parametrize("kind", [kind for kind, chip in chips.CHIPS.items() if chip.gpu])
def test_every_gpu_is_one_that_the_compiler_knows(kind):
    devices = chips.devices(f"{kind}:8")
    assert len(devices) == 8
    assert devices[0].device_kind.startswith(f"NVIDIA {kind.upper()}")
