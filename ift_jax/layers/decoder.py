"""A batch's way through a decoder-only model: whole, or piece by piece over a cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ift_jax.dims import Batch
from ift_jax.layers import attention, fused, stack
from ift_jax.layers.dropout import Noise, drop
from ift_jax.sharding import constrain

Attend = Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, Any]]
"""(q_BTNH, k_BTKH, v_BTKH) -> (a_BTNH, kept): what the heads read, and what the layer's cache
becomes, which a block passes on unseen."""


class Decoder(nnx.Module):
    """What decoder-only families share; answers `hidden`, `init_cache`, `extend` and `follow`.

    A family's Model sets

        config   a Config with the letters L, N, K and H, and the fields of `fields.Switches`
        layers   stacked blocks; block(x_BTD, shared, attend, noise) -> (x_BTD, kept)

    and answers `embedded`, `final` and `unembed`; `shared` and `bias` where its positions need it.
    """

    config: Any
    layers: Any

    def embedded(self, batch: Batch) -> jax.Array:
        """x_BTD of the batch's tokens, before the first block."""
        raise NotImplementedError

    def final(self, x_BTD: jax.Array) -> jax.Array:
        """x_BTD after the last block, as `unembed` wants it."""
        raise NotImplementedError

    def unembed(self, x: jax.Array, vocab_ids: jax.Array | None = None) -> jax.Array:
        """float32 logits_..V of hidden states x_..D, of the whole vocabulary or of some ids."""
        raise NotImplementedError

    def shared(self, positions_BT: jax.Array) -> Any:
        """What all blocks need of the positions, such as rotary tables."""
        return None

    def bias(self, key_positions_BS: jax.Array) -> attention.Bias | None:
        """What is added to the scores of keys at these positions."""
        return None

    def hidden(self, batch: Batch, noise: Noise | None = None) -> jax.Array:
        """Final hidden states x_BTD.

        In rows that are trained on no token sees one that stands after it; others may have any
        order.
        """
        c = self.config
        shared = self.shared(batch.positions_BT)
        read = self._fused(batch) or self._reader(
            batch, batch.positions_BT, batch.segments_BT, ordered=batch.weights_BT is not None
        )

        def apply(block: Any, x_BTD: jax.Array, layer: jax.Array, _: None):
            def attend(q_BTNH: jax.Array, k_BTKH: jax.Array, v_BTKH: jax.Array):
                return read(q_BTNH, k_BTKH, v_BTKH), None

            return block(x_BTD, shared, attend, noise and noise.at(layer))

        # Layers are 0 … L-1; the embedding's dropout takes the number after them.
        x_BTD = drop(self.embedded(batch), c.dropout, noise, c.L)
        x_BTD, _ = stack.run(
            self.layers, apply, constrain(x_BTD, "B T D"), L=c.L, remat=c.remat, scan=c.scan
        )
        return self.final(x_BTD)

    def init_cache(self, batch: Batch, S: int) -> attention.Cache:
        """An empty cache with S slots for the rows of a batch."""
        c = self.config
        B = batch.tokens_BT.shape[0]
        return attention.Cache.empty(L=c.L, B=B, S=S, K=c.K, H=c.H, dtype=jnp.dtype(c.dtype))

    def extend(self, batch: Batch, cache: attention.Cache) -> tuple[jax.Array, attention.Cache]:
        """Hidden states x_BTD of the batch's tokens after those in the cache, and the new cache.

        No token sees one that stands after it in the batch.
        """
        c = self.config
        cache = cache.note(batch)
        shared = self.shared(batch.positions_BT)
        # A cache that they fill holds nothing before them.
        whole = cache.positions_BS.shape == batch.tokens_BT.shape
        read = self._reader(batch, cache.positions_BS, cache.segments_BS, ordered=whole)

        def apply(block: Any, x_BTD: jax.Array, _: jax.Array, mine: tuple[jax.Array, jax.Array]):
            def attend(q_BTNH: jax.Array, k_BTKH: jax.Array, v_BTKH: jax.Array):
                k_BSKH = attention.write(mine[0], k_BTKH, cache.end)
                v_BSKH = attention.write(mine[1], v_BTKH, cache.end)
                return read(q_BTNH, k_BSKH, v_BSKH), (k_BSKH, v_BSKH)

            return block(x_BTD, shared, attend, None)

        x_BTD, (k_LBSKH, v_LBSKH) = stack.run(
            self.layers,
            apply,
            self.embedded(batch),
            L=c.L,
            per_layer=(cache.k_LBSKH, cache.v_LBSKH),
            scan=c.scan,
        )
        return self.final(x_BTD), cache.advance(k_LBSKH, v_LBSKH, batch.tokens_BT.shape[1])

    def follow(self, batch: Batch, cache: attention.Cache) -> jax.Array:
        """Hidden states x_BTD of rows after what a cache holds, which stays as it is.

        The cache may have fewer rows, U, so that B/U rows share each: see `attention.attend_after`.
        """
        c = self.config
        shared = self.shared(batch.positions_BT)

        def apply(block: Any, x_BTD: jax.Array, _: jax.Array, mine: tuple[jax.Array, jax.Array]):
            def attend(q_BTNH: jax.Array, k_BTKH: jax.Array, v_BTKH: jax.Array):
                a_BTNH = attention.attend_after(
                    q_BTNH, k_BTKH, v_BTKH, batch, mine, cache, bias=self.bias
                )
                return a_BTNH, None

            return block(x_BTD, shared, attend, None)

        x_BTD, _ = stack.run(
            self.layers,
            apply,
            constrain(self.embedded(batch), "B T D"),
            L=c.L,
            per_layer=(cache.k_LBSKH, cache.v_LBSKH),
            scan=c.scan,
        )
        return self.final(x_BTD)

    def _fused(self, batch: Batch) -> Callable[[jax.Array, jax.Array, jax.Array], jax.Array] | None:
        """Fused attention of rows that are trained on; None where there is none for them."""
        c = self.config
        trained = batch.weights_BT is not None
        if c.attention == "plain" or not trained or self.bias(batch.positions_BT) is not None:
            return None
        attend = fused.attention(batch.tokens_BT.shape[1], c.N, c.K, c.H, jnp.dtype(c.dtype))
        return attend and (lambda *qkv: attend(*qkv, batch.segments_BT))

    def _reader(
        self,
        batch: Batch,
        key_positions_BS: jax.Array,
        key_segments_BS: jax.Array,
        *,
        ordered: bool,
    ) -> Callable[[jax.Array, jax.Array, jax.Array], jax.Array]:
        """Attention of the batch's queries on keys at these places."""
        visible_BTS = attention.visible(
            batch.positions_BT, batch.segments_BT, key_positions_BS, key_segments_BS
        )
        bias = self.bias(key_positions_BS)

        def read(q_BTNH: jax.Array, k_BSKH: jax.Array, v_BSKH: jax.Array) -> jax.Array:
            return attention.attend(
                q_BTNH,
                k_BSKH,
                v_BSKH,
                visible_BTS,
                bias=bias,
                positions_BT=batch.positions_BT,
                ordered=ordered,
            )

        return read
