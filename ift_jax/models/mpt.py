"""MPT (MosaicML 2023, the MPT-7B and MPT-30B reports), also as its -instruct models finetune it.

Pre-norm blocks of multi-head attention with ALiBi and an exact-GELU MLP; no biases, no position
table, tied embeddings. Queries, keys and values may be clipped, queries and keys normalised.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ift_jax.checkpoints.names import alias, fused, tensor
from ift_jax.dims import Batch
from ift_jax.layers import stack
from ift_jax.layers.attention import Bias
from ift_jax.layers.decoder import Attend, Decoder
from ift_jax.layers.dropout import Noise, drop
from ift_jax.layers.fields import HOUSEKEEPING, Switches, check_fields, check_size, taken
from ift_jax.layers.linear import Embedding, Linear, logits
from ift_jax.layers.norms import LayerNorm
from ift_jax.layers.positions import alibi, alibi_slopes
from ift_jax.sharding import constrain


@dataclasses.dataclass(frozen=True)
class Config(Switches):
    """An MPT's dimensions (see `dims.KEY`) and switches.

    Attributes:
        max_length: positions it was trained for; nothing in the model ends there.
        alibi_bias_max: the least of ALiBi's slopes is 2^-alibi_bias_max.
        clip_qkv: what queries, keys and values are clipped to, above and below; None doesn't clip.
        qk_norm: whether queries and keys are normalised, each over all heads together.
        norm_eps: added to the variance in LayerNorm.
    """

    L: int
    D: int
    N: int
    H: int
    F: int
    V: int
    max_length: int = 2048
    alibi_bias_max: int = 8
    clip_qkv: float | None = None
    qk_norm: bool = False
    norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        check_fields(
            self,
            sizes=(*"LDNHFV", "max_length", "alibi_bias_max"),
            numbers=("norm_eps",) if self.clip_qkv is None else ("norm_eps", "clip_qkv"),
            switches=("qk_norm",),
        )
        if self.N * self.H != self.D:
            raise ValueError(
                f"mpt.Config: N = {self.N} heads of H = {self.H} must make up D = {self.D}"
            )
        if self.F % self.D:
            raise ValueError(f"mpt.Config: F = {self.F} must be a multiple of D = {self.D}")

    @property
    def K(self) -> int:
        """Key/value heads: one a query head."""
        return self.N


# fmt: off
SIZES = {
    "tiny": Config(
        L=4, D=128, N=4, H=32, F=512, V=2048, max_length=1024,
    ),
    # From the published config.json files; V is more than the tokenizer's ids.
    "7b": Config(
        L=32, D=4096, N=32, H=128, F=16384, V=50432,
    ),
    "30b": Config(
        L=48, D=7168, N=64, H=112, F=28672, V=50432, max_length=8192,
    ),
}
# fmt: on


class Block(nnx.Module):
    """One layer: attention and MLP, each behind a norm and added to the residual stream."""

    def __init__(self, c: Config, rngs: nnx.Rngs):
        dtypes = c.dtypes
        sizes = dataclasses.asdict(c)
        # As MPT's init_div_is_residual: what is added to the residual stream starts smaller the
        # deeper the model.
        residual = 0.02 * (2 * c.L) ** -0.5
        self.config = c
        self.attention_norm = _norm(c)
        self.q = Linear("D N H", "D", sizes, rngs=rngs, **dtypes)
        self.k = Linear("D N H", "D", sizes, rngs=rngs, **dtypes)
        self.v = Linear("D N H", "D", sizes, rngs=rngs, **dtypes)
        if c.qk_norm:
            self.q_norm = _norm(c)
            self.k_norm = _norm(c)
        self.o = Linear("N H D", "NH", sizes, rngs=rngs, scale=residual, **dtypes)
        self.mlp_norm = _norm(c)
        self.up = Linear("D F", "D", sizes, rngs=rngs, **dtypes)
        self.down = Linear("F D", "F", sizes, rngs=rngs, scale=residual, **dtypes)

    def __call__(
        self, x_BTD: jax.Array, _: None, attend: Attend, noise: Noise | None
    ) -> tuple[jax.Array, Any]:
        rate = self.config.dropout
        a_BTNH, kept = attend(*self._qkv(self.attention_norm(x_BTD)))
        x_BTD += drop(self.o(a_BTNH), rate, noise, 0)
        h_BTF = constrain(self.up(self.mlp_norm(x_BTD)), "B T F")
        x_BTD += drop(self.down(jax.nn.gelu(h_BTF, approximate=False)), rate, noise, 1)
        return constrain(x_BTD, "B T D"), kept

    def _qkv(self, y_BTD: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        c = self.config
        q_BTNH, k_BTNH, v_BTNH = self.q(y_BTD), self.k(y_BTD), self.v(y_BTD)
        if c.clip_qkv is not None:
            q_BTNH, k_BTNH, v_BTNH = (
                jnp.clip(x_BTNH, -c.clip_qkv, c.clip_qkv) for x_BTNH in (q_BTNH, k_BTNH, v_BTNH)
            )
        if c.qk_norm:
            q_BTNH = self.q_norm(q_BTNH.reshape(y_BTD.shape)).reshape(q_BTNH.shape)
            k_BTNH = self.k_norm(k_BTNH.reshape(y_BTD.shape)).reshape(k_BTNH.shape)
        return q_BTNH, k_BTNH, v_BTNH


def _norm(c: Config) -> LayerNorm:
    return LayerNorm(c.D, epsilon=c.norm_eps, param_dtype=jnp.dtype(c.param_dtype), bias=False)


class Model(Decoder):
    """An MPT."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        c = config
        dtypes = c.dtypes
        self.config = c
        self.embed = Embedding(dataclasses.asdict(c), rngs=rngs, **dtypes)
        self.layers = stack.stack(lambda rngs: Block(c, rngs), c.L, rngs)
        self.norm = _norm(c)

    def embedded(self, batch: Batch) -> jax.Array:
        """See `Decoder.embedded`."""
        return self.embed(batch.tokens_BT)

    def bias(self, key_positions_BS: jax.Array) -> Bias:
        """ALiBi."""
        return alibi(alibi_slopes(self.config.N, self.config.alibi_bias_max), key_positions_BS)

    def final(self, x_BTD: jax.Array) -> jax.Array:
        """See `Decoder.final`."""
        return self.norm(x_BTD)

    def unembed(self, x: jax.Array, vocab_ids: jax.Array | None = None) -> jax.Array:
        """See `Decoder.unembed`."""
        return logits(x, self.embed.w[...], vocab_ids, jnp.dtype(self.config.dtype))


def flops(config: Config, T: int, loss_tokens: int) -> int:
    """Forward floating-point operations of one row of T tokens, by hand from the dimensions.

    Two a multiply-add; causal attention counted as T²/2 scores; norms, ALiBi and the embedding
    look-up left out.
    """
    c = config
    projections = 4 * c.D * c.N * c.H + 2 * c.D * c.F
    scores_and_values = 2 * c.N * c.H * T / 2
    return int(2 * (c.L * T * (projections + scores_and_values) + loss_tokens * c.D * c.V))


def hf_table(config: Config) -> tuple[Any, ...]:
    """Hugging Face's tensor names, and how their axes become ours."""
    block = "transformer.blocks.{L}."
    # n: the N heads of each, one kind after another.
    qkv = {f"layers.{each}.w": "(n H) D -> D n H" for each in "qkv"}
    norms = {"norm_1": "attention_norm", "norm_2": "mlp_norm"}
    if config.qk_norm:
        norms |= {"attn.q_ln": "q_norm", "attn.k_ln": "k_norm"}
    return (
        tensor("transformer.wte.weight", "embed.w", "V D -> V D"),
        *(
            tensor(f"{block}{file_name}.weight", f"layers.{ours}.scale", "D -> D")
            for file_name, ours in norms.items()
        ),
        fused(block + "attn.Wqkv.weight", "n", qkv),
        tensor(block + "attn.out_proj.weight", "layers.o.w", "D (N H) -> N H D"),
        tensor(block + "ffn.up_proj.weight", "layers.up.w", "F D -> D F"),
        tensor(block + "ffn.down_proj.weight", "layers.down.w", "D F -> F D"),
        tensor("transformer.norm_f.weight", "norm.scale", "D -> D"),
        alias("lm_head.weight", "transformer.wte.weight"),
    )


NORM_TYPES = ("low_precision_layernorm", "layernorm")
"""Of published configs: the same LayerNorm, in the training precision or in float32."""

HF_SUPPORTED = {
    "model_type": "mpt",
    "no_bias": True,
    "tie_word_embeddings": True,
    "logit_scale": None,
    "embedding_fraction": 1,
    "attn_config.alibi": True,
    "attn_config.attn_type": "multihead_attention",
    "attn_config.attn_pdrop": 0,
    "attn_config.prefix_lm": False,
    "attn_config.softmax_scale": None,
    # Of later llm-foundry versions.
    "fc_type": "torch",
    "use_pad_tok_in_ffn": True,
    "attn_config.qk_gn": False,
    "attn_config.rope": False,
    "attn_config.sliding_window_size": -1,
    "ffn_config.ffn_type": "mptmlp",
    "ffn_config.fc_type": "torch",
}
"""Switches of Hugging Face's config.json that this family has at one value only; a.b is b in a."""

# fmt: off
HF_IGNORED = frozenset({
    "emb_pdrop", "init_config", "init_device", "learned_pos_emb", "resid_pdrop", "tokenizer_name",
    "verbose",
    "attn_config.attn_impl", "attn_config.attn_uses_sequence_id", "attn_config.is_encoder_decoder",
    "attn_config.model_type", "attn_config.rope_dail_config", "attn_config.rope_hf_config",
    "attn_config.rope_impl", "attn_config.rope_theta",
    # transformers writes those of any config for the inner one too.
    *(f"attn_config.{field}" for field in HOUSEKEEPING),
})
# fmt: on
"""Fields that don't change what is computed; a run's own config says how much is dropped.

With ALiBi there is no position table, whatever `learned_pos_emb` says. `attn_uses_sequence_id`
asks for what segments always do.
"""


def from_hf(published: Mapping[str, Any]) -> Config:
    """The Config of a Hugging Face config.json.

    Raises:
        ValueError: a field is missing, or changes the computation in a way that isn't supported.
    """
    fields = dict(published)
    for field in ("attn_config", "ffn_config"):
        if isinstance(fields.get(field), Mapping):
            fields |= {f"{field}.{key}": value for key, value in fields.pop(field).items()}
    with taken("mpt", fields, supported=HF_SUPPORTED, ignored=HF_IGNORED) as fields:
        if (norm_type := fields.pop("norm_type", NORM_TYPES[0])) not in NORM_TYPES:
            raise ValueError(
                f"config.json: norm_type = {norm_type!r} is not supported by the mpt family,"
                f" expected one of {list(NORM_TYPES)}"
            )
        D = check_size("config.json: d_model", fields.pop("d_model"))
        N = check_size("config.json: n_heads", fields.pop("n_heads"))
        if (heads := fields.pop("attn_config.kv_n_heads", N)) != N:
            raise ValueError(
                f"config.json: attn_config.kv_n_heads = {heads!r} is not supported by the mpt"
                f" family, expected {N}, as n_heads"
            )
        ratio = fields.pop("expansion_ratio", 4)
        return Config(
            L=fields.pop("n_layers"),
            D=D,
            N=N,
            H=D // N,
            F=D * check_size("config.json: expansion_ratio", ratio),
            V=fields.pop("vocab_size"),
            max_length=fields.pop("max_seq_len", 2048),
            alibi_bias_max=fields.pop("attn_config.alibi_bias_max", 8),
            clip_qkv=fields.pop("attn_config.clip_qkv", None) or None,
            qk_norm=fields.pop("attn_config.qk_ln", False),
            norm_eps=fields.pop("layer_norm_epsilon", 1e-5),
        )


def to_hf(config: Config) -> dict[str, Any]:
    """The Hugging Face config.json of a Config.

    The code published with MPT reads all of it; transformers' own MptForCausalLM (5.23) always
    takes `alibi_bias_max` as 8 and `expansion_ratio` as 4, and has no `qk_ln`.
    """
    return {
        "architectures": ["MptForCausalLM"],
        "model_type": "mpt",
        "no_bias": True,
        "tie_word_embeddings": True,
        "logit_scale": None,
        "embedding_fraction": 1.0,
        "learned_pos_emb": False,
        "norm_type": "low_precision_layernorm",
        "layer_norm_epsilon": config.norm_eps,
        "n_layers": config.L,
        "d_model": config.D,
        "n_heads": config.N,
        "expansion_ratio": config.F // config.D,
        "vocab_size": config.V,
        "max_seq_len": config.max_length,
        "attn_config": {
            "attn_type": "multihead_attention",
            "attn_pdrop": 0,
            "prefix_lm": False,
            "softmax_scale": None,
            "alibi": True,
            "alibi_bias_max": config.alibi_bias_max,
            "clip_qkv": None if config.clip_qkv is None else float(config.clip_qkv),
            "qk_ln": config.qk_norm,
        },
    }
