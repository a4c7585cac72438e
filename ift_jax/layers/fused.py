"""Fused attention of packed rows on accelerators, which keeps no scores in memory.

One kernel a platform: on a TPU JAX's splash attention, which skips blocks above the diagonal; on a
GPU cuDNN's flash attention. Both know examples by segment ids alone, so they serve the rows that
are trained on: no shared prefix, no branches (`dims.SHARED`, `dims.BRANCHES`), and a segment's
tokens in the order of their positions. `attention.attend` is what they are tested against, at first
use on the very device, too.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from ift_jax.dims import PADDING
from ift_jax.layers import attention as plain
from ift_jax.layers.stack import OUTPUT
from ift_jax.sharding import activation_spec, parts, platform

Attention = Callable[[jax.Array, jax.Array, jax.Array, jax.Array], jax.Array]
"""(q_BTNH, k_BTKH, v_BTKH, segments_BT) -> x_BTNH; padding gets zeros."""

SPLASH_BLOCKS = (512, 256, 128)
"""Queries and keys of a block, the first that divides T: a TPU's registers are 128 wide."""

CUDNN_MULTIPLE, CUDNN_LARGEST = 8, 128
"""Head sizes that cuDNN takes on every GPU since Ampere: such multiples, up to the largest."""


CHECKED_WITHIN = 0.02
"""How far a kernel may be from the plain attention in float32, of the largest value: bfloat16
rounds to 0.004."""


def attention(T: int, N: int, K: int, H: int, dtype: jnp.dtype) -> Attention | None:
    """The fused attention of the platform and mesh that are set; None where none is sound.

    Args:
        T: tokens of a row.
        N, K, H: query heads, key/value heads, head size.
        dtype: what is computed in; in float32 there is none, as the kernels round to bfloat16.

    Raises:
        ValueError: the kernel isn't sound on this machine's device: see `check_kernel`.
    """
    # A block of queries needs the keys of other devices; each device its own heads' keys.
    whole = parts("T") == 1 and (K == 1 or K % parts("K") == 0) and N % parts("N") == 0
    if not whole or dtype != jnp.bfloat16:
        return None
    if platform() == "tpu" and T % SPLASH_BLOCKS[-1] == 0:
        kernel = _splash
    elif platform() == "gpu" and H % CUDNN_MULTIPLE == 0 and H <= CUDNN_LARGEST and T % 2 == 0:
        kernel = _cudnn
    else:
        return None
    # Not where a program is compiled for devices that aren't here.
    if jax.default_backend() == platform():
        check_kernel(kernel, T, N // parts("N"), max(K // parts("K"), 1), H)
    return functools.partial(_on_each_device, kernel)


@functools.cache
def check_kernel(kernel: Attention, T: int, N: int, K: int, H: int) -> None:
    """Holds a kernel against the plain attention on this machine's device, forwards and backwards.

    Once for each of its shapes, on two rows with other examples.

    Raises:
        ValueError: it fails there, or differs; says how to train without it.
    """
    failures = []

    def run() -> None:
        try:
            failures.extend(_differences(kernel, T, N, K, H))
        except Exception as error:  # whatever a driver or a library has to say
            failures.append(f"fails: {error}")

    # This thread may be tracing a program for a mesh; a new one is not.
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise ValueError(
            f"the fused attention of {jax.devices()[0].device_kind} {failures[0]} (rows of {T}"
            f" tokens, {N} heads on {K} of {H}). Train without it: --config.model.attention=plain"
        )


def _differences(kernel: Attention, T: int, N: int, K: int, H: int) -> list[str]:
    """Where it is further from the plain attention than rounding explains."""
    rng = np.random.default_rng(0)
    drawn = (jnp.asarray(rng.normal(size=(2, T, n, H)), jnp.bfloat16) for n in (N, K, K, N))
    q_BTNH, k_BTKH, v_BTKH, by_x_BTNH = drawn
    positions_BT = np.broadcast_to(np.arange(T), (2, T))
    # In the first row two examples and padding, in the second three.
    ends = np.array([[T // 2, T - T // 8, T], [T // 8, T // 3, T]])
    segments_BT = 1 + (positions_BT[..., None] >= ends[:, None]).sum(-1)
    segments_BT = np.where((segments_BT == 3) & (np.arange(2)[:, None] == 0), PADDING, segments_BT)
    seen_BTS = plain.visible(positions_BT, segments_BT, positions_BT, segments_BT)

    @functools.partial(jax.jit, static_argnums=0)
    def gradients(attend, qkv, by_x_BTNH):
        x_BTNH, pull = jax.vjp(attend, *qkv)
        return x_BTNH, *pull(by_x_BTNH.astype(x_BTNH.dtype))

    def exact(*qkv):
        return plain.attend(*qkv, seen_BTS)

    qkv = (q_BTNH, k_BTKH, v_BTKH)
    with jax.default_matmul_precision("highest"):
        expected = gradients(exact, [x.astype(jnp.float32) for x in qkv], by_x_BTNH)
    found = gradients(lambda *qkv: kernel(*qkv, jnp.asarray(segments_BT)), qkv, by_x_BTNH)
    failures = []
    for what, seen, wanted in zip(
        ("output", "gradient by q", "gradient by k", "gradient by v"), found, expected, strict=True
    ):
        seen, wanted = np.asarray(seen, np.float32), np.asarray(wanted, np.float32)
        difference = float(np.abs(seen - wanted).max() / np.abs(wanted).max())
        if not difference <= CHECKED_WITHIN:
            failures.append(
                f"differs from the plain one: its {what} by {difference:.3f} of the largest value,"
                f" where rounding explains {CHECKED_WITHIN}"
            )
    return failures


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
