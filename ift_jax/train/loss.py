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
    *,
    z_loss: float = 0.0,
) -> tuple[jax.Array, jax.Array, dict[str, jax.Array]]:
    """Cross-entropy of the trained targets, summed over rows and positions.

    Nothing is averaged here: a mean of means over micro-batches with unequal numbers of targets
    is not the mean over the batch.

    Args:
        functions: a model family's functions; `hidden` and `unembed` are called.
        params: parameters by dotted name.
        batch: packed rows with targets and weights.
        noise: dropout noise for `functions.hidden`, or None for no dropout.
        z_loss: factor of the squared log-normaliser log(Z)^2 added for each trained target
            (PaLM, Chowdhery et al. 2022, section 5, uses 1e-4).

    Returns:
        (objective, targets, sums), all float32 scalars: the sum to differentiate, in nats; the
        number of trained targets, possibly 0; and the sums `cross_entropy` (the objective
        without its z-loss, in nats) and `correct` (targets that have the highest logit).
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
    objective = cross_entropy + z_loss * total(log_z_BT**2) if z_loss else cross_entropy
    targets = jnp.sum(batch.weights_BT.astype(jnp.float32))
    return objective, targets, {"cross_entropy": cross_entropy, "correct": correct}
