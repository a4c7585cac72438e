"""A batch's way through an encoder-decoder model: whole, or piece by piece over a cache."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ift_jax.dims import Batch
from ift_jax.layers import attention, stack
from ift_jax.layers.dropout import Noise, drop
from ift_jax.sharding import constrain

Reader = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Cache:
    """Keys and values of what the decoder read so far, and of all that the encoder read.

    Attributes:
        own: the decoder's.
        k_LBENH, v_LBENH: of cross-attention, the same for every token.
        segments_BE: the encoder's, as in Batch.
    """

    own: attention.Cache
    k_LBENH: jax.Array
    v_LBENH: jax.Array
    segments_BE: jax.Array

    @property
    def end(self) -> jax.Array:
        """The next slot of the decoder to be written."""
        return self.own.end


class EncoderDecoder(nnx.Module):
    """What encoder-decoder families share; answers `hidden`, `init_cache` and `extend`.

    A family's Model sets

        config              a Config with L, encoder_layers, N, H, dropout, remat, scan and dtype
        embed               of the encoder's and the decoder's tokens
        encoder, decoder    stacked blocks;
                            block(x_BTD, attend, read_encoder, noise) -> (x_BTD, kept), with
                            read_encoder: q_BTNH -> a_BTNH, None in the encoder; and of the
                            decoder's, block.cross_keys_values(y_BED) -> (k_BENH, v_BENH)
        encoder_norm, norm  after the last block of each

    and answers `encoder_bias`, `bias` and `unembed`. It may set `scale`, that of the scores (see
    `attention.attend`).
    """

    scale: float | None = None

    config: Any
    embed: Any
    encoder: Any
    decoder: Any
    encoder_norm: Any
    norm: Any

    def encoder_bias(self, key_positions_BE: jax.Array) -> attention.Bias | None:
        """What is added to the encoder's scores of keys at these positions."""
        raise NotImplementedError

    def bias(self, key_positions_BS: jax.Array) -> attention.Bias | None:
        """What is added to the scores of the decoder's own keys at these positions."""
        raise NotImplementedError

    def unembed(self, x: jax.Array, vocab_ids: jax.Array | None = None) -> jax.Array:
        """float32 logits_..V of hidden states x_..D, of the whole vocabulary or of some ids."""
        raise NotImplementedError

    def encode(self, batch: Batch, noise: Noise | None = None) -> jax.Array:
        """The encoder's states y_BED of what a batch has for it."""
        c = self.config
        positions_BE, segments_BE = batch.enc_positions_BE, batch.enc_segments_BE
        together_BES = attention.together(segments_BE, segments_BE)
        read = self._reader(together_BES, self.encoder_bias(positions_BE), positions_BE)
        # The decoder's sites are 0 … L: its layers and its embedding.
        first = c.L + 1

        def apply(block: Any, y_BED: jax.Array, layer: jax.Array, _: None):
            return block(
                y_BED, lambda *qkv: (read(*qkv), None), None, noise and noise.at(first + layer)
            )

        y_BED = drop(self.embed(batch.enc_tokens_BE), c.dropout, noise, first + c.encoder_layers)
        y_BED, _ = stack.run(
            self.encoder,
            apply,
            constrain(y_BED, "B T D"),
            L=c.encoder_layers,
            remat=c.remat,
            scan=c.scan,
        )
        return self.encoder_norm(y_BED)

    def hidden(self, batch: Batch, noise: Noise | None = None) -> jax.Array:
        """Final hidden states x_BTD of the decoder."""
        c = self.config
        y_BED = self.encode(batch, noise)
        read = self._own_reader(batch, batch.positions_BT, batch.segments_BT)
        read_encoder = self._reader(attention.together(batch.segments_BT, batch.enc_segments_BE))

        def apply(block: Any, x_BTD: jax.Array, layer: jax.Array, _: None):
            k_BENH, v_BENH = block.cross_keys_values(y_BED)
            return block(
                x_BTD,
                lambda *qkv: (read(*qkv), None),
                lambda q_BTNH: read_encoder(q_BTNH, k_BENH, v_BENH),
                noise and noise.at(layer),
            )

        x_BTD = drop(self.embed(batch.tokens_BT), c.dropout, noise, c.L)
        x_BTD, _ = stack.run(
            self.decoder, apply, constrain(x_BTD, "B T D"), L=c.L, remat=c.remat, scan=c.scan
        )
        return self.norm(x_BTD)

    def init_cache(self, batch: Batch, S: int) -> Cache:
        """A cache of what the encoder makes of a batch, with S free slots for the decoder."""
        c = self.config
        y_BED = self.encode(batch)

        def keys_values(block: Any, _: None, layer: jax.Array, __: None):
            return None, block.cross_keys_values(y_BED)

        _, (k_LBENH, v_LBENH) = stack.run(self.decoder, keys_values, None, L=c.L, scan=c.scan)
        B = batch.enc_tokens_BE.shape[0]
        own = attention.Cache.empty(L=c.L, B=B, S=S, K=c.N, H=c.H, dtype=jnp.dtype(c.dtype))
        return Cache(own, k_LBENH, v_LBENH, batch.enc_segments_BE)

    def extend(self, batch: Batch, cache: Cache) -> tuple[jax.Array, Cache]:
        """Hidden states x_BTD of the batch's tokens after those in the cache, and the new cache."""
        c = self.config
        own = cache.own.note(batch)
        read = self._own_reader(batch, own.positions_BS, own.segments_BS)
        read_encoder = self._reader(attention.together(batch.segments_BT, cache.segments_BE))

        def apply(block: Any, x_BTD: jax.Array, _: jax.Array, mine: tuple[jax.Array, ...]):
            k_BSNH, v_BSNH, k_BENH, v_BENH = mine

            def attend(q_BTNH: jax.Array, k_BTNH: jax.Array, v_BTNH: jax.Array):
                written = (
                    attention.write(k_BSNH, k_BTNH, own.end),
                    attention.write(v_BSNH, v_BTNH, own.end),
                )
                return read(q_BTNH, *written), written

            return block(x_BTD, attend, lambda q_BTNH: read_encoder(q_BTNH, k_BENH, v_BENH), None)

        x_BTD, (k_LBSNH, v_LBSNH) = stack.run(
            self.decoder,
            apply,
            self.embed(batch.tokens_BT),
            L=c.L,
            per_layer=(own.k_LBSKH, own.v_LBSKH, cache.k_LBENH, cache.v_LBENH),
            scan=c.scan,
        )
        own = own.advance(k_LBSNH, v_LBSNH, batch.tokens_BT.shape[1])
        return self.norm(x_BTD), dataclasses.replace(cache, own=own)

    def _own_reader(
        self, batch: Batch, key_positions_BS: jax.Array, key_segments_BS: jax.Array
    ) -> Reader:
        """Attention of the decoder's queries on its keys at these places."""
        visible_BTS = attention.visible(
            batch.positions_BT, batch.segments_BT, key_positions_BS, key_segments_BS
        )
        return self._reader(visible_BTS, self.bias(key_positions_BS), batch.positions_BT)

    def _reader(
        self,
        visible_BTS: jax.Array,
        bias: attention.Bias | None = None,
        positions_BT: jax.Array | None = None,
    ) -> Reader:
        """(q_BTNH, k_BSNH, v_BSNH) -> a_BTNH, where queries see these keys."""
        return lambda q_BTNH, k_BSNH, v_BSNH: attention.attend(
            q_BTNH,
            k_BSNH,
            v_BSNH,
            visible_BTS,
            scale=self.scale,
            bias=bias,
            positions_BT=positions_BT,
        )
