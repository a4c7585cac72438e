"""Chips as their makers describe them, and slices of them to compile for without one."""

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

FLOAT32_PASSES = 6
"""A float32 product at precision `highest` is so many bfloat16 ones on a TPU's matrix unit
(jax.lax.Precision)."""


@dataclasses.dataclass(frozen=True)
class Gpu:
    """What XLA compiles for a GPU by.

    Attributes:
        name: as its driver calls it.
        capability: CUDA's compute capability.
        float32_flops: of float32 products, a second.
        memory: bytes of all of it.
        cores: streaming multiprocessors.
        core_fpus: float32 units of each.
        clock: GHz.
        l2: bytes.
        core_shared, block_shared: bytes of shared memory of a core, and what a block can ask for.
    """

    name: str
    capability: tuple[int, int]
    float32_flops: float
    memory: int
    cores: int
    core_fpus: int
    clock: float
    l2: int
    core_shared: int
    block_shared: int


@dataclasses.dataclass(frozen=True)
class Chip:
    """What a chip can do; all figures are a second's, or bytes.

    Attributes:
        flops: of dense bfloat16 products.
        hbm: memory that JAX takes of it, unless it is told otherwise.
        hbm_bandwidth: to and from it.
        link_bandwidth: sent to other chips over all links at once; as much is received meanwhile.
        slices: topologies that it is offered in.
        layout: which of its layouts libtpu takes: one device a chip, not one a core.
        gpu: None of a TPU.
    """

    flops: float
    hbm: float
    hbm_bandwidth: float
    link_bandwidth: float
    slices: tuple[str, ...]
    layout: str = "default"
    gpu: Gpu | None = None

    @property
    def float32_flops(self) -> float:
        """Of float32 products at the precision that this package asks of a float32 model."""
        return self.gpu.float32_flops if self.gpu else self.flops / FLOAT32_PASSES


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

GPU_MEMORY_SHARE = 0.75
"""What JAX takes of a GPU's memory, where XLA_PYTHON_CLIENT_MEM_FRACTION doesn't say otherwise."""


def _of_gpu(gpu: Gpu, peak: str, hbm_bandwidth: float, link_bandwidth: float) -> Chip:
    """A chip of a host of up to eight."""
    hbm, slices = GPU_MEMORY_SHARE * gpu.memory, ("1", "2", "4", "8")
    return Chip(PEAK_FLOPS[peak], hbm, hbm_bandwidth, link_bandwidth, slices, gpu=gpu)


# SXM. NVLink has 12 links of 25 GB/s each way, and then 18. These, and the rates, are of NVIDIA's
# data sheets; the other fields of `Gpu` are what drivers report, by XLA's descriptions of these
# GPUs (openxla/xla, backends/gpu/target_config/specs).
_H100 = Gpu(
    "NVIDIA H100 80GB HBM3", (9, 0), 67e12, 84942979072, 132, 128, 1.98, 50 * 2**20, 233472, 232448
)
_H200 = dataclasses.replace(_H100, name="NVIDIA H200", memory=151397597184)
_A100 = Gpu(
    "NVIDIA A100-SXM4-80GB", (8, 0), 19.5e12, 85100068864, 108, 64, 1.41, 40 * 2**20, 167936, 166912
)
CHIPS |= {
    "a100": _of_gpu(_A100, "NVIDIA A100", 2.039e12, 300e9),
    "h100": _of_gpu(_H100, "NVIDIA H100", 3.352e12, 450e9),
    "h200": _of_gpu(_H200, "NVIDIA H200", 4.8e12, 450e9),
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
        ValueError: see `read_topology`; or the chip's compiler isn't installed.
    """
    chip, count = read_topology(name)
    if chip.gpu:
        needed = ("jax_cuda12_plugin", "jax_cuda13_plugin")
        compiler, extra = "JAX's plugin for CUDA", "cuda"
    else:
        needed, compiler, extra = ("libtpu",), "TPUs' compiler, libtpu,", "tpu"
    if not any(map(importlib.util.find_spec, needed)):
        raise ValueError(
            f"--topology={name}: {compiler} is not installed here. It needs no"
            f" {'GPU' if chip.gpu else 'TPU'}: pip install 'ift-jax[{extra}]'"
        )
    if chip.gpu:
        options = {"target_config": _target(chip), "topology": f"1x1x{count}"}
        return topologies.get_topology_desc(name, "cuda", **options).devices
    # Else libtpu asks a cloud's metadata server, in vain on other machines, where it runs, and lets
    # no two processes load it.
    for variable, value in HERE.items():
        os.environ.setdefault(variable, value)
    return topologies.get_topology_desc(
        platform="tpu", topology_name=name, chip_config_name=chip.layout
    ).devices


def _target(chip: Chip) -> str:
    """A GPU as XLA's compiler wants it described: a GpuTargetConfigProto's text."""
    gpu = chip.gpu
    major, minor = gpu.capability
    return f"""
    gpu_device_info {{
      threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: 2048
      block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
      registers_per_core_limit: 65536 registers_per_block_limit: 65536
      core_count: {gpu.cores} fpus_per_core: {gpu.core_fpus} clock_rate_ghz: {gpu.clock}
      shared_memory_per_block: 49152 shared_memory_per_block_optin: {gpu.block_shared}
      shared_memory_per_core: {gpu.core_shared} l2_cache_size: {gpu.l2}
      memory_bandwidth: {chip.hbm_bandwidth:.0f}
      device_memory_size: {gpu.memory}
      cuda_compute_capability {{ major: {major} minor: {minor} }}
    }}
    platform_name: "CUDA"
    runtime_version {{ major: 12 minor: 9 }}
    dnn_version_info {{ major: 9 minor: 10 }}
    device_description_str: "{gpu.name}"
    """
