"""Fused attention of packed rows on accelerators, which keeps no scores in memory.

One kernel a platform: on a TPU JAX's splash attention, which skips blocks above the diagonal; on a
GPU cuDNN's flash attention. Both know examples by segment ids alone, so they serve the rows that
are trained on: no shared prefix, no branches (`dims.SHARED`, `dims.BRANCHES`), and a segment's
tokens in the order of their positions. `attention.attend` is what they are tested against.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from ift_jax.dims import PADDING
from ift_jax.layers.stack import OUTPUT
from ift_jax.sharding import activation_spec, parts, platform

Attention = Callable[[jax.Array, jax.Array, jax.Array, jax.Array], jax.Array]
"""(q_BTNH, k_BTKH, v_BTKH, segments_BT) -> x_BTNH; padding gets zeros."""

SPLASH_BLOCKS = (512, 256, 128)
"""Queries and keys of a block, the first that divides T: a TPU's registers are 128 wide."""

CUDNN_MULTIPLE, CUDNN_LARGEST = 8, 128
"""Head sizes that cuDNN takes on every GPU since Ampere: such multiples, up to the largest."""


def attention(
    T: int, N: int, K: int, H: int, dtype: jnp.dtype, *, asked_for: bool = False
) -> Attention | None:
    """The fused attention of the platform and mesh that are set; None where none is sound.

    Args:
        T: tokens of a row.
        N, K, H: query heads, key/value heads, head size.
        dtype: what is computed in; in float32 there is none, as the kernels round to bfloat16.
        asked_for: whether to take cuDNN's too, which was tested in XLA's words alone.
    """
    # A block of queries needs the keys of other devices; each device its own heads' keys.
    whole = parts("T") == 1 and (K == 1 or K % parts("K") == 0) and N % parts("N") == 0
    if not whole or dtype != jnp.bfloat16:
        return None
    if platform() == "tpu" and T % SPLASH_BLOCKS[-1] == 0:
        return functools.partial(_on_each_device, _splash)
    if not asked_for or platform() != "gpu":
        return None
    if H % CUDNN_MULTIPLE == 0 and H <= CUDNN_LARGEST and T % 2 == 0:
        return _cudnn
    return None


def _on_each_device(attend: Attention, *arrays: jax.Array) -> jax.Array:
    """Runs it on each device's rows and heads: the compiler can't split a kernel itself."""
    if jax.sharding.get_abstract_mesh().empty:
        return attend(*arrays)
    by_rows, tensor = activation_spec("B")[0], activation_spec("N")[0]
    queries = PartitionSpec(by_rows, None, tensor, None)
    keys = queries if arrays[1].shape[2] > 1 else PartitionSpec(by_rows, None, None, None)
    return jax.shard_map(
        attend,
        in_specs=(queries, keys, keys, PartitionSpec(by_rows, None)),
        out_specs=queries,
        check_vma=False,
    )(*arrays)


def _splash(
    q_BTNH: jax.Array,
    k_BTKH: jax.Array,
    v_BTKH: jax.Array,
    segments_BT: jax.Array,
    *,
    interpret: bool = False,
) -> jax.Array:
    # Imports Pallas, for which nobody without a TPU should wait.
    from jax.experimental.pallas.ops.tpu import splash_attention as splash

    _, T, N, H = q_BTNH.shape
    block = next(size for size in SPLASH_BLOCKS if T % size == 0)
    kernel = splash.make_splash_mha_single_device(
        splash.MultiHeadMask([splash.CausalMask((T, T))] * N),
        block_sizes=splash.BlockSizes(
            block_q=block,
            block_kv=block,
            block_kv_compute=block,
            block_q_dkv=block,
            block_kv_dkv=block,
            block_kv_dkv_compute=block,
            block_q_dq=block,
            block_kv_dq=block,
        ),
        residual_checkpoint_name=OUTPUT,
        interpret=interpret,
    )
    heads_first = [x.swapaxes(1, 2) for x in (q_BTNH * H**-0.5, k_BTKH, v_BTKH)]
    x_BNTH = jax.vmap(kernel)(*heads_first, splash.SegmentIds(segments_BT, segments_BT))
    return _without_padding(x_BNTH.swapaxes(1, 2), segments_BT)


def _cudnn(
    q_BTNH: jax.Array,
    k_BTKH: jax.Array,
    v_BTKH: jax.Array,
    segments_BT: jax.Array,
    *,
    implementation: str = "cudnn",
) -> jax.Array:
    same_B1TS = (segments_BT[:, :, None] == segments_BT[:, None, :])[:, None]
    x_BTNH = jax.nn.dot_product_attention(
        q_BTNH, k_BTKH, v_BTKH, mask=same_B1TS, is_causal=True, implementation=implementation
    )
    return _without_padding(x_BTNH, segments_BT)


def _without_padding(x_BTNH: jax.Array, segments_BT: jax.Array) -> jax.Array:
    """Zeros where padding attended to padding."""
    return jnp.where((segments_BT != PADDING)[:, :, None, None], x_BTNH, 0)
