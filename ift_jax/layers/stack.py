"""Layers of one kind, stacked along L and scanned, so that compile time doesn't grow with depth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx

Block = TypeVar("Block", bound=nnx.Module)
Carry = TypeVar("Carry")

OUTPUT = "output"
"""The name (`checkpoint_name`) of what linear maps and attention make, for remat to know it by: a
policy about matrix products doesn't see those within a function whose gradient is its own."""


def _is_fused_attention(primitive: Any, *_: Any, **__: Any) -> bool:
    """Whether it is cuDNN's, which JAX gives no name: its output, and what its gradient needs."""
    return primitive.name.startswith("dot_product_attention_fwd")


REMAT = {
    "none": None,
    "dots": jax.checkpoint_policies.save_from_both_policies(
        jax.checkpoint_policies.save_only_these_names(OUTPUT), _is_fused_attention
    ),
    "full": jax.checkpoint_policies.nothing_saveable,
}
"""What the backward pass keeps of a block: everything; what its linear maps and attention make; or
its input."""


def stack(make: Callable[[nnx.Rngs], Block], L: int, rngs: nnx.Rngs) -> Block:
    """L independently initialised blocks as one, each parameter with a leading axis L."""
    blocks = nnx.vmap(make, in_axes=0, out_axes=0)(rngs.split(L))
    for _, parameter in nnx.iter_graph(blocks):
        if isinstance(parameter, nnx.Param):
            parameter.set_metadata(letters=f"L {parameter.letters}")
    return blocks


def run(
    blocks: Block,
    apply: Callable[[Block, Carry, jax.Array, Any], tuple[Carry, Any]],
    carry: Carry,
    *,
    L: int,
    per_layer: Any = None,
    remat: str = "none",
    scan: bool = True,
) -> tuple[Carry, Any]:
    """Runs stacked blocks in order.

    Args:
        blocks: what `stack` made.
        apply: `(block, carry, layer index, this layer's slice of per_layer) -> (carry, output)`.
        carry: what goes from layer to layer.
        L: number of layers.
        per_layer: pytree of arrays with leading axis L (such as a cache), or None.
        remat: a name in `REMAT`.
        scan: one compiled body for all layers, or L copies of it.

    Returns:
        The last carry, and the outputs stacked along L.
    """
    graph, weights = nnx.split(blocks)

    def body(carry: Carry, xs: tuple[Any, jax.Array, Any]) -> tuple[Carry, Any]:
        weights, layer, mine = xs
        return apply(nnx.merge(graph, weights), carry, layer, mine)

    if (policy := REMAT[remat]) is not None:
        # Within a scan there is nothing for XLA to merge across, so its guard is only a cost.
        body = jax.checkpoint(body, policy=policy, prevent_cse=not scan)
    xs = (weights, jnp.arange(L), per_layer)
    if scan:
        return jax.lax.scan(body, carry, xs)
    outputs = []
    for layer in range(L):
        carry, output = body(carry, jax.tree.map(lambda x, layer=layer: x[layer], xs))
        outputs.append(output)
    return carry, jax.tree.map(lambda *leaves: jnp.stack(leaves), *outputs)
