"""What a step needs, counted by hand from shapes and shardings: to hold against the compiler's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ift_jax.layers import lora
from ift_jax.layers.functional import Functions
from ift_jax.sharding import parameter_spec


def bytes_per_chip(tree: Any) -> int:
    """What a chip holds of arrays with shapes, dtypes and shardings."""
    return sum(
        math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(tree)
    )


def chip_flops(config: ConfigDict, functions: Functions, model_flops: int, chips: int) -> float:
    """Operations of matrix products a chip, with the forward pass that remat repeats.

    Of the repeated pass the projection onto the vocabulary is left out: it is in no block.
    """
    T, E = config.data.length, config.data.encoder_length or 0
    passes = 2 if functions.lora else 3
    blocks = functions.flops(T, 0, E) / functions.flops(T, T, E)
    repeated = blocks / passes if config.model.remat == "full" else 0
    return model_flops * (1 + repeated) / chips


def bytes_sent(
    config: ConfigDict, functions: Functions, mesh: Mesh, rows: int
) -> Mapping[str, float]:
    """Bytes that a chip sends in a step, by the axis of the mesh that it sends them along.

    Along fsdp, each micro-batch gathers the weights for its forward and its backward pass, and
    scatters the sum of their gradients. Along data, gradients are added. Along tensor, what each
    projection back to the model's width makes (attention's and the MLP's) is added up, forward,
    again where remat repeats it, and its gradients' counterpart backward. All in the compute dtype,
    by the ring algorithm: of n chips, each sends (n - 1)/n of what is gathered or scattered, and
    twice that of what is added for all. The sequence axis isn't counted.
    """
    data, fsdp, tensor = (mesh.shape[axis] for axis in ("data", "fsdp", "tensor"))
    itemsize = np.dtype(functions.config.dtype).itemsize
    micro_steps = config.batch.micro_steps
    T, E = config.data.length, config.data.encoder_length or 0
    gathered = scattered = added = reduced = 0.0
    for name, leaf in functions.abstract.items():
        letters = functions.letters[name].split()
        spec = parameter_spec(mesh, name, functions.letters[name], leaf.shape)
        size = math.prod(leaf.shape) * itemsize / (tensor if "tensor" in spec else 1)
        trained = name in functions.trained
        if "fsdp" in spec:
            gathered += 2 * size * (fsdp - 1) / fsdp
            scattered += trained * size * (fsdp - 1) / fsdp
            size /= fsdp
        added += trained * 2 * size * (data - 1) / data
        if letters[0] == "L" and len(letters) > 2 and letters[-1] == "D" and "tensor" in spec:
            length = E if name.startswith("encoder.") else T
            reduced += leaf.shape[0] * length * leaf.shape[-1] * itemsize
    here = rows / (data * fsdp)
    passes = 3 if config.model.remat == "full" else 2
    return {
        "data": micro_steps * added,
        "fsdp": micro_steps * (gathered + scattered),
        "tensor": here * passes * 2 * reduced * (tensor - 1) / tensor,
    }


def bytes_moved(
    config: ConfigDict, functions: Functions, mesh: Mesh, rows: int, changed: int
) -> float:
    """Bytes that a step moves at least to and from a chip's HBM.

    The update reads and writes what is trained and its optimizer's state. In each of a
    micro-batch's two passes a chip reads the weights that it computes with, its part along tensor;
    where they are gathered, or stored in another dtype, it first reads what it has of them and
    writes what it makes.
    Products with weights read what they are given and write what they make: forward, again where
    remat repeats them, and two of them backward, or one where the weight is frozen. What attention,
    norms and sums read and write between these could stay on the chip, and isn't counted.

    Args:
        config, functions, mesh, rows: of the step.
        changed: bytes of a chip's trained weights and optimizer state.
    """
    c, tensor = functions.config, mesh.shape["tensor"]
    itemsize = np.dtype(c.dtype).itemsize
    here = rows * tensor / mesh.size
    T, E = config.data.length, config.data.encoder_length or 0
    weights = activations = 0.0
    for name, leaf in functions.abstract.items():
        spec = parameter_spec(mesh, name, functions.letters[name], leaf.shape)
        size = math.prod(leaf.shape) / (tensor if "tensor" in spec else 1)
        weights += 2 * size * itemsize
        parts = mesh.shape["fsdp"] if "fsdp" in spec else 1
        if parts > 1 or leaf.dtype != c.dtype:
            weights += 2 * size * (leaf.dtype.itemsize / parts + itemsize)
        letters = functions.letters[name].split()
        in_head = name in functions.head and "V" in letters
        if not in_head and (letters[0] != "L" or len(letters) < 3 or _is_bias(name)):
            continue  # a norm's scale, a bias, an embedding that is looked up
        width = leaf.shape[letters.index(next(letter for letter in "DWZ" if letter in letters))]
        L = 1 if in_head else leaf.shape[0]
        others = size / (L * width)
        # Logits are float32.
        values = width * itemsize + others * (4 if in_head else itemsize)
        repeated = config.model.remat == "full" and not in_head
        passes = 2 + (name in functions.trained) + repeated
        of_encoder = name.startswith("encoder.") or ".cross.k." in name or ".cross.v." in name
        activations += L * passes * here * (E if of_encoder else T) * values
    return 2 * changed + config.batch.micro_steps * weights + activations


def _is_bias(name: str) -> bool:
    """Whether it is a linear map's bias; the second matrix of an adapter is called so, too."""
    return name.endswith(".b") and not name.endswith(lora.B)
