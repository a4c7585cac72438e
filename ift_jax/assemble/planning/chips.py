"""TPU chips as their maker describes them, and slices of them to compile for without one."""

from __future__ import annotations

import dataclasses
import importlib.util
import math
import os
from collections.abc import Sequence

import jax
from jax.experimental import topologies

from ift_jax.lookup import suggest
from ift_jax.metrics import PEAK_FLOPS


@dataclasses.dataclass(frozen=True)
class Chip:
    """What a chip can do; all figures are a second's, or bytes.

    Attributes:
        flops: of dense bfloat16 products.
        hbm: memory.
        hbm_bandwidth: to and from it.
        ici_bandwidth: sent to neighbours over all links at once; as much is received meanwhile.
        slices: topologies that it is offered in.
        layout: which of its layouts libtpu takes: one device a chip, not one a core.
    """

    flops: float
    hbm: float
    hbm_bandwidth: float
    ici_bandwidth: float
    slices: tuple[str, ...]
    layout: str = "default"


_CUBES = (
    *("2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8", "8x8x16"),
    *("8x16x16", "16x16x16"),
)
_SQUARES = ("2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")

# Google's pages "TPU v4", "TPU v5e", "TPU v5p" and "TPU v6e" (docs.cloud.google.com/tpu/docs/v4 …)
# state these figures, ICI both ways together: half of it is sent. v4's isn't stated there: 6 links
# of 50 GB/s each way, from Jouppi et al. 2023 (2304.01433), Table 4.
CHIPS = {
    "v4": Chip(PEAK_FLOPS["TPU v4"], 32 * 2**30, 1.2e12, 300e9, _CUBES, layout="megacore"),
    "v5e": Chip(PEAK_FLOPS["TPU v5 lite"], 16 * 2**30, 0.819e12, 200e9, _SQUARES),
    "v5p": Chip(PEAK_FLOPS["TPU v5"], 95 * 2**30, 2.765e12, 600e9, (*_CUBES, "16x16x24")),
    "v6e": Chip(PEAK_FLOPS["TPU v6 lite"], 32 * 2**30, 1.638e12, 400e9, _SQUARES),
}

HERE = {
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v5p-8",
}
"""What libtpu is told of this machine; it has no say in what is compiled."""


def read_topology(name: str) -> tuple[Chip, int]:
    """The chip of a topology such as 'v5p:4x4x4', and how many there are.

    Raises:
        ValueError: no such chip or slice; lists those that there are.
    """
    kind, _, shape = name.partition(":")
    if kind not in CHIPS:
        raise ValueError(
            f"--topology={name}: no chip {kind!r}.{suggest(kind, list(CHIPS))} Write CHIP:SLICE"
            f" with a chip of {', '.join(CHIPS)}, such as v5p:4x4x4"
        )
    chip = CHIPS[kind]
    if shape not in chip.slices:
        raise ValueError(
            f"--topology={name}: {kind} has no slice {shape!r}. There are: {', '.join(chip.slices)}"
        )
    return chip, math.prod(map(int, shape.split("x")))


def devices(name: str) -> Sequence[jax.Device]:
    """The devices of a topology, to compile for; nothing can be put on them.

    Raises:
        ValueError: see `read_topology`; or TPUs' compiler isn't installed.
    """
    chip, _ = read_topology(name)
    if importlib.util.find_spec("libtpu") is None:
        raise ValueError(
            f"--topology={name}: TPUs' compiler, libtpu, is not installed here. It needs no TPU:"
            " pip install 'ift-jax[tpu]'"
        )
    # Else libtpu asks a cloud's metadata server, in vain on other machines, where it runs, and lets
    # no two processes load it.
    for variable, value in HERE.items():
        os.environ.setdefault(variable, value)
    return topologies.get_topology_desc(
        platform="tpu", topology_name=name, chip_config_name=chip.layout
    ).devices
