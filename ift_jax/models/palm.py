"""PaLM (Chowdhery et al. 2022, 2204.02311), also as Chung et al. (2210.11416) finetuned it.

Parallel blocks: one norm, from which multi-query attention with rotary positions and a SwiGLU MLP
both read; no biases; tied embeddings, with logits scaled down.

There are no public weights and no reference code, so the files are this package's own, in Hugging
Face's manner: config.json (`to_hf`), safetensors (`hf_table`) and a sentencepiece tokenizer.model.
Where the paper is silent, this is what is done:

    scale of the scores         H^-½, as in the Transformer that the paper starts from
    rotary positions            on the whole head, in pairs (x[h], x[h + H/2])
    base of their frequencies   10,000, as in RoFormer (2104.09864)
    epsilon of layer norms      1e-6, Flax's default
    after the last block        one more norm, which the published scale of the logits expects
    dropout                     on the embeddings and on each of the two branches
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ift_jax.checkpoints.names import tensor
from ift_jax.dims import Batch
from ift_jax.layers import stack
from ift_jax.layers.decoder import Attend, Decoder
from ift_jax.layers.dropout import Noise, drop
from ift_jax.layers.fields import Switches, check_fields, taken
from ift_jax.layers.linear import Embedding, Linear, logits
from ift_jax.layers.norms import LayerNorm
from ift_jax.layers.positions import rope_tables, rotate
from ift_jax.sharding import constrain


@dataclasses.dataclass(frozen=True)
class Config(Switches):
    """A PaLM's dimensions (see `dims.KEY`) and switches.

    Attributes:
        max_length: positions it was trained for.
        rope_theta: base of the rotary frequencies.
        norm_eps: added to the variance in LayerNorm.
    """

    L: int
    D: int
    N: int
    H: int
    F: int
    V: int
    max_length: int = 2048
    rope_theta: float = 1e4
    norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        check_fields(
            self,
            sizes=(*"LDNHFV", "max_length"),
            numbers=("rope_theta", "norm_eps"),
            switches=(),
        )
        if self.H % 2:
            raise ValueError(f"palm.Config: H = {self.H} must be even for rotary positions")

    @property
    def K(self) -> int:
        """Key/value heads: one for all query heads."""
        return 1


def _palm(L: int, D: int, N: int) -> Config:
    return Config(L=L, D=D, N=N, H=256, F=4 * D, V=256_000)


# fmt: off
SIZES = {
    "tiny": Config(
        L=4, D=128, N=4, H=32, F=512, V=2048, max_length=1024,
    ),
    # 2204.02311 Table 1; at 540B, N·H isn't D.
    "8b": _palm(32, 4096, 16),
    "62b": _palm(64, 8192, 32),
    "540b": _palm(118, 18432, 48),
}
# fmt: on


class Block(nnx.Module):
    """One layer: x + Attention(LayerNorm(x)) + MLP(LayerNorm(x)), the same norm in both."""

    def __init__(self, c: Config, rngs: nnx.Rngs):
        dtypes = c.dtypes
        sizes = {**dataclasses.asdict(c), "K": c.K}
        # Section 5: standard deviation n^-½ for n inputs.
        from_D = {"scale": c.D**-0.5, "rngs": rngs, **dtypes}
        self.config = c
        self.norm = LayerNorm(
            c.D, epsilon=c.norm_eps, param_dtype=dtypes["param_dtype"], bias=False
        )
        self.q = Linear("D N H", "D", sizes, **from_D)
        self.k = Linear("D K H", "D", sizes, **from_D)
        self.v = Linear("D K H", "D", sizes, **from_D)
        self.o = Linear("N H D", "NH", sizes, scale=(c.N * c.H) ** -0.5, rngs=rngs, **dtypes)
        self.gate = Linear("D F", "D", sizes, **from_D)
        self.up = Linear("D F", "D", sizes, **from_D)
        self.down = Linear("F D", "F", sizes, scale=c.F**-0.5, rngs=rngs, **dtypes)

    def __call__(
        self,
        x_BTD: jax.Array,
        rope: tuple[jax.Array, jax.Array],
        attend: Attend,
        noise: Noise | None,
    ) -> tuple[jax.Array, Any]:
        rate = self.config.dropout
        y_BTD = self.norm(x_BTD)
        q_BTNH, k_BTKH = rotate(self.q(y_BTD), *rope), rotate(self.k(y_BTD), *rope)
        a_BTNH, kept = attend(q_BTNH, k_BTKH, self.v(y_BTD))
        h_BTF = constrain(jax.nn.silu(self.gate(y_BTD)) * self.up(y_BTD), "B T F")
        x_BTD += drop(self.o(a_BTNH), rate, noise, 0) + drop(self.down(h_BTF), rate, noise, 1)
        return constrain(x_BTD, "B T D"), kept


class Model(Decoder):
    """A PaLM."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        c = config
        dtypes = c.dtypes
        self.config = c
        # Section 5: standard deviation 1, as no norm stands between the table and the first block.
        self.embed = Embedding(dataclasses.asdict(c), scale=1.0, rngs=rngs, **dtypes)
        self.layers = stack.stack(lambda rngs: Block(c, rngs), c.L, rngs)
        self.norm = LayerNorm(
            c.D, epsilon=c.norm_eps, param_dtype=dtypes["param_dtype"], bias=False
        )

    def embedded(self, batch: Batch) -> jax.Array:
        """See `Decoder.embedded`."""
        return self.embed(batch.tokens_BT)

    def shared(self, positions_BT: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Rotary tables."""
        return rope_tables(positions_BT, self.config.H, self.config.rope_theta)

    def final(self, x_BTD: jax.Array) -> jax.Array:
        """See `Decoder.final`."""
        return self.norm(x_BTD)

    def unembed(self, x: jax.Array, vocab_ids: jax.Array | None = None) -> jax.Array:
        """See `Decoder.unembed`; section 5 scales the logits by D^-½, for the table is shared."""
        c = self.config
        return c.D**-0.5 * logits(x, self.embed.w[...], vocab_ids, jnp.dtype(c.dtype))


def flops(config: Config, T: int, loss_tokens: int) -> int:
    """Forward floating-point operations of one row of T tokens, by hand from the dimensions.

    Two a multiply-add; causal attention counted as T²/2 scores; norms, rotary positions and the
    embedding look-up left out.
    """
    c = config
    projections = c.D * c.H * (2 * c.N + 2 * c.K) + 3 * c.D * c.F
    scores_and_values = 2 * c.N * c.H * T / 2
    return int(2 * (c.L * T * (projections + scores_and_values) + loss_tokens * c.D * c.V))


def hf_table(config: Config) -> tuple[Any, ...]:
    """The files' tensor names, and how their axes become ours.

    The names, and outputs before inputs, are what Hugging Face's parallel families have.
    """
    block = "model.layers.{L}."
    return (
        tensor("model.embed_tokens.weight", "embed.w", "V D -> V D"),
        tensor(block + "input_layernorm.weight", "layers.norm.scale", "D -> D"),
        tensor(block + "self_attn.q_proj.weight", "layers.q.w", "(N H) D -> D N H"),
        tensor(block + "self_attn.k_proj.weight", "layers.k.w", "(K H) D -> D K H"),
        tensor(block + "self_attn.v_proj.weight", "layers.v.w", "(K H) D -> D K H"),
        tensor(block + "self_attn.o_proj.weight", "layers.o.w", "D (N H) -> N H D"),
        tensor(block + "mlp.gate_proj.weight", "layers.gate.w", "F D -> D F"),
        tensor(block + "mlp.up_proj.weight", "layers.up.w", "F D -> D F"),
        tensor(block + "mlp.down_proj.weight", "layers.down.w", "D F -> F D"),
        tensor("model.norm.weight", "norm.scale", "D -> D"),
    )


HF_SUPPORTED = {
    "model_type": "palm",
    "hidden_act": "silu",
    "num_key_value_heads": 1,
    "tie_word_embeddings": True,
}
"""Switches of config.json that this family has at one value only."""


def from_hf(published: Mapping[str, Any]) -> Config:
    """The Config of a config.json.

    Raises:
        ValueError: a field is missing, or changes the computation in a way that isn't supported.
    """
    with taken("palm", published, supported=HF_SUPPORTED, ignored=()) as fields:
        return Config(
            L=fields.pop("num_hidden_layers"),
            D=fields.pop("hidden_size"),
            N=fields.pop("num_attention_heads"),
            H=fields.pop("head_dim"),
            F=fields.pop("intermediate_size"),
            V=fields.pop("vocab_size"),
            max_length=fields.pop("max_position_embeddings"),
            rope_theta=fields.pop("rope_theta"),
            norm_eps=fields.pop("layer_norm_eps"),
        )


def to_hf(config: Config) -> dict[str, Any]:
    """The config.json of a Config."""
    return {
        **HF_SUPPORTED,
        "num_hidden_layers": config.L,
        "hidden_size": config.D,
        "num_attention_heads": config.N,
        "head_dim": config.H,
        "intermediate_size": config.F,
        "vocab_size": config.V,
        "max_position_embeddings": config.max_length,
        "rope_theta": config.rope_theta,
        "layer_norm_eps": config.norm_eps,
    }
