"""What a step needs, counted by hand from shapes and shardings: to hold against the compiler's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

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
    config: ConfigDict, functions: Functions, mesh: Mesh, rows: int, state: int
) -> float:
    """Bytes that a step moves at least to and from a chip's HBM.

    The state is read and written once; in each micro-batch's two passes the weights that a chip
    computes with, its part along tensor, are written as they are gathered, and read. Products with
    weights read what they are given and write what they make: forward, again where remat repeats
    them, and two of them backward, or one where the weight is frozen. What attention, norms and
    sums read and write between these could stay on the chip, and isn't counted.
    """
    tensor = mesh.shape["tensor"]
    itemsize = np.dtype(functions.config.dtype).itemsize
    here = rows * tensor / mesh.size
    T, E = config.data.length, config.data.encoder_length or 0
    repeated = config.model.remat == "full"
    weights = activations = 0.0
    for name, leaf in functions.abstract.items():
        weights += math.prod(leaf.shape)
        letters = functions.letters[name].split()
        in_head = name in functions.head and "V" in letters
        if len(letters) < 3 and not in_head:
            continue  # a norm's scale, a bias, an embedding that is looked up
        width = leaf.shape[letters.index("D" if "D" in letters else "Z")]
        others = math.prod(leaf.shape[letters[0] == "L" :]) / width
        if "tensor" in parameter_spec(mesh, name, functions.letters[name], leaf.shape):
            others /= tensor
        # Logits are float32.
        values = width * itemsize + others * (4 if in_head else itemsize)
        passes = 2 + (name in functions.trained) + (repeated and not in_head)
        length = E if name.startswith("encoder.") else T
        activations += passes * here * length * values * (1 if in_head else leaf.shape[0])
    weights_moved = config.batch.micro_steps * 4 * weights * itemsize / tensor
    return 2 * state + weights_moved + activations
