"""The training loss as sums, so that micro-batches and devices can be added before dividing."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from ift_jax import dims


def loss_sums(
    functions: Any,
    params: dict[str, jax.Array],
    batch: dims.Batch,
    noise: Any = None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Cross-entropy of the trained targets, summed over rows and positions.

    Nothing is averaged here: a mean of means over micro-batches with unequal numbers of targets
    is not the mean over the batch.

    Args:
        functions: a model family's functions; `hidden` and `unembed` are called.
        params: parameters by dotted name.
        batch: packed rows with targets and weights.
        noise: dropout noise for `functions.hidden`, or None for no dropout.

    Returns:
        (cross_entropy, targets, correct), all float32 scalars: the sum to differentiate, in nats;
        the number of trained targets, possibly 0; and how many of them have the highest logit.
    """
    dims.check({}, targets_BT=batch.targets_BT, weights_BT=batch.weights_BT)
    logits_BTV = functions.unembed(params, functions.hidden(params, batch, noise))
    logits_BTV = logits_BTV.astype(jnp.float32)
    log_z_BT = jax.nn.logsumexp(logits_BTV, axis=-1)
    target_logit_BT = jnp.take_along_axis(logits_BTV, batch.targets_BT[..., None], axis=-1)[..., 0]

    def total(values_BT: jax.Array) -> jax.Array:
        # Not a product with zero weights: 0 * inf from a position nobody trains would be NaN.
        trained_BT = batch.weights_BT > 0
        return jnp.sum(jnp.where(trained_BT, values_BT * batch.weights_BT, 0.0))

    cross_entropy = total(log_z_BT - target_logit_BT)
    correct = total((jnp.argmax(logits_BTV, axis=-1) == batch.targets_BT).astype(jnp.float32))
    targets = jnp.sum(batch.weights_BT.astype(jnp.float32))
    return cross_entropy, targets, correct
