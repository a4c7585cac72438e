"""LLaMA (Touvron et al. 2023, 2302.13971), Llama 2 (2307.09288) and 3 (2407.21783), and kin.

Pre-norm blocks of grouped-query attention with rotary positions and a SwiGLU MLP; no biases.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ift_jax.checkpoints.names import alias, derived, tensor
from ift_jax.dims import Batch
from ift_jax.layers import stack
from ift_jax.layers.decoder import Attend, Decoder
from ift_jax.layers.dropout import Noise, drop
from ift_jax.layers.fields import Switches, check_fields, check_size, taken
from ift_jax.layers.linear import Embedding, Linear, logits
from ift_jax.layers.norms import RMSNorm
from ift_jax.layers.positions import llama3_divisors, rope_tables, rotate
from ift_jax.sharding import constrain


@dataclasses.dataclass(frozen=True)
class Config(Switches):
    """A LLaMA's dimensions (see `dims.KEY`) and switches.

    Attributes:
        max_length: positions it was trained for.
        rope_theta: base of the rotary frequencies.
        rope_factor: what they are divided by, for a longer context than was first trained on.
        rope_length: that first context, to divide as Llama 3.1 does; None divides all alike.
        rope_low, rope_high: turns within it, below which Llama 3.1 divides, above which it doesn't.
        norm_eps: added to the mean square in RMSNorm.
        tied: whether the output projection is the embedding table.
    """

    L: int
    D: int
    N: int
    K: int
    H: int
    F: int
    V: int
    max_length: int = 2048
    rope_theta: float = 1e4
    rope_factor: float = 1.0
    rope_length: int | None = None
    rope_low: float = 1.0
    rope_high: float = 4.0
    norm_eps: float = 1e-6
    tied: bool = False

    def __post_init__(self) -> None:
        check_fields(
            self,
            sizes=(*"LDNKHFV", "max_length"),
            numbers=("rope_theta", "rope_factor", "rope_low", "rope_high", "norm_eps"),
            switches=("tied",),
        )
        if self.N % self.K:
            raise ValueError(f"llama.Config: K = {self.K} does not divide N = {self.N} heads")
        if self.H % 2:
            raise ValueError(f"llama.Config: H = {self.H} must be even for rotary positions")
        if self.rope_length is not None:
            check_size("llama.Config: rope_length", self.rope_length)
        if (low := self.rope_low) >= (high := self.rope_high):
            raise ValueError(f"llama.Config: rope_low = {low} must be below rope_high = {high}")


def _llama(L: int, D: int, N: int, F: int, *, K: int = 0, **switches: Any) -> Config:
    return Config(L=L, D=D, N=N, K=K or N, H=D // N, F=F, V=32000, **switches)


# fmt: off
SIZES = {
    "tiny": Config(
        L=4, D=128, N=4, K=4, H=32, F=352, V=2048, max_length=1024,
    ),
    # LLaMA, 2302.13971 Table 2; F and norm_eps from Meta's params.json.
    "7b": _llama(32, 4096, 32, 11008),
    "13b": _llama(40, 5120, 40, 13824),
    "33b": _llama(60, 6656, 52, 17920),
    "65b": _llama(80, 8192, 64, 22016, norm_eps=1e-5),
    # Llama 2, 2307.09288 Table 1.
    "2-7b": _llama(32, 4096, 32, 11008, norm_eps=1e-5, max_length=4096),
    "2-13b": _llama(40, 5120, 40, 13824, norm_eps=1e-5, max_length=4096),
    "2-70b": _llama(80, 8192, 64, 28672, K=8, norm_eps=1e-5, max_length=4096),
    # Llama 3.1, 2407.21783 Table 3; V and the scaling from its published config.json.
    "3.1-8b": Config(
        L=32, D=4096, N=32, K=8, H=128, F=14336, V=128256, max_length=131072, rope_theta=5e5,
        rope_factor=8.0, rope_length=8192, norm_eps=1e-5,
    ),
    # meta-llama/Llama-3.2-1B's config.json.
    "3.2-1b": Config(
        L=16, D=2048, N=32, K=8, H=64, F=8192, V=128256, max_length=131072, rope_theta=5e5,
        rope_factor=32.0, rope_length=8192, norm_eps=1e-5, tied=True,
    ),
    # HuggingFaceTB/SmolLM2-135M's config.json.
    "smollm2-135m": Config(
        L=30, D=576, N=9, K=3, H=64, F=1536, V=49152, max_length=8192, rope_theta=1e5,
        norm_eps=1e-5, tied=True,
    ),
}
# fmt: on


class Block(nnx.Module):
    """One layer: attention and MLP, each behind a norm and added to the residual stream."""

    def __init__(self, c: Config, rngs: nnx.Rngs):
        dtypes = c.dtypes
        sizes = dataclasses.asdict(c)
        norm = {"epsilon": c.norm_eps, "param_dtype": dtypes["param_dtype"]}
        # GPT-2's rule: what is added to the residual stream starts smaller the deeper the model.
        residual = 0.02 * (2 * c.L) ** -0.5
        self.config = c
        self.attention_norm = RMSNorm(c.D, **norm)
        self.q = Linear("D N H", "D", sizes, rngs=rngs, **dtypes)
        self.k = Linear("D K H", "D", sizes, rngs=rngs, **dtypes)
        self.v = Linear("D K H", "D", sizes, rngs=rngs, **dtypes)
        self.o = Linear("N H D", "NH", sizes, rngs=rngs, scale=residual, **dtypes)
        self.mlp_norm = RMSNorm(c.D, **norm)
        self.gate = Linear("D F", "D", sizes, rngs=rngs, **dtypes)
        self.up = Linear("D F", "D", sizes, rngs=rngs, **dtypes)
        self.down = Linear("F D", "F", sizes, rngs=rngs, scale=residual, **dtypes)

    def __call__(
        self,
        x_BTD: jax.Array,
        rope: tuple[jax.Array, jax.Array],
        attend: Attend,
        noise: Noise | None,
    ) -> tuple[jax.Array, Any]:
        rate = self.config.dropout
        y_BTD = self.attention_norm(x_BTD)
        q_BTNH, k_BTKH = rotate(self.q(y_BTD), *rope), rotate(self.k(y_BTD), *rope)
        a_BTNH, kept = attend(q_BTNH, k_BTKH, self.v(y_BTD))
        x_BTD += drop(self.o(a_BTNH), rate, noise, 0)
        y_BTD = self.mlp_norm(x_BTD)
        h_BTF = constrain(jax.nn.silu(self.gate(y_BTD)) * self.up(y_BTD), "B T F")
        x_BTD += drop(self.down(h_BTF), rate, noise, 1)
        return constrain(x_BTD, "B T D"), kept


class Model(Decoder):
    """A LLaMA."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        c = config
        dtypes = c.dtypes
        sizes = dataclasses.asdict(c)
        self.config = c
        self.embed = Embedding(sizes, rngs=rngs, **dtypes)
        self.layers = stack.stack(lambda rngs: Block(c, rngs), c.L, rngs)
        self.norm = RMSNorm(c.D, epsilon=c.norm_eps, param_dtype=dtypes["param_dtype"])
        if not c.tied:
            self.head = Linear("D V", "D", sizes, rngs=rngs, **dtypes)

    def embedded(self, batch: Batch) -> jax.Array:
        """See `Decoder.embedded`."""
        return self.embed(batch.tokens_BT)

    def shared(self, positions_BT: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Rotary tables."""
        c = self.config
        divisors_h = c.rope_factor
        if c.rope_length is not None:
            divisors_h = llama3_divisors(
                c.H, c.rope_theta, c.rope_factor, c.rope_length, c.rope_low, c.rope_high
            )
        return rope_tables(positions_BT, c.H, c.rope_theta, divisors_h)

    def final(self, x_BTD: jax.Array) -> jax.Array:
        """See `Decoder.final`."""
        return self.norm(x_BTD)

    def unembed(self, x: jax.Array, vocab_ids: jax.Array | None = None) -> jax.Array:
        """See `Decoder.unembed`."""
        c = self.config
        w_VD = self.embed.w[...] if c.tied else self.head.w[...].T
        return logits(x, w_VD, vocab_ids, jnp.dtype(c.dtype))


def flops(config: Config, T: int, loss_tokens: int) -> int:
    """Forward floating-point operations of one row of T tokens, by hand from the dimensions.

    Two a multiply-add; causal attention counted as T²/2 scores; norms, rotary positions and the
    embedding look-up left out.
    """
    c = config
    projections = c.D * c.H * (2 * c.N + 2 * c.K) + 3 * c.D * c.F
    scores_and_values = 2 * c.N * c.H * T / 2
    return int(2 * (c.L * T * (projections + scores_and_values) + loss_tokens * c.D * c.V))


def _inverse_frequencies(config: Config) -> np.ndarray:
    """LLaMA-1 conversions carry this buffer in every layer; it follows from theta and H."""
    return config.rope_theta ** (-np.arange(0, config.H, 2, dtype=np.float32) / config.H)


def hf_table(config: Config) -> tuple[Any, ...]:
    """Hugging Face's tensor names, and how their axes become ours."""
    block = "model.layers.{L}."
    return (
        tensor("model.embed_tokens.weight", "embed.w", "V D -> V D"),
        tensor(block + "input_layernorm.weight", "layers.attention_norm.scale", "D -> D"),
        tensor(block + "self_attn.q_proj.weight", "layers.q.w", "(N H) D -> D N H"),
        tensor(block + "self_attn.k_proj.weight", "layers.k.w", "(K H) D -> D K H"),
        tensor(block + "self_attn.v_proj.weight", "layers.v.w", "(K H) D -> D K H"),
        tensor(block + "self_attn.o_proj.weight", "layers.o.w", "D (N H) -> N H D"),
        tensor(block + "post_attention_layernorm.weight", "layers.mlp_norm.scale", "D -> D"),
        tensor(block + "mlp.gate_proj.weight", "layers.gate.w", "F D -> D F"),
        tensor(block + "mlp.up_proj.weight", "layers.up.w", "F D -> D F"),
        tensor(block + "mlp.down_proj.weight", "layers.down.w", "D F -> F D"),
        derived(block + "self_attn.rotary_emb.inv_freq", _inverse_frequencies),
        tensor("model.norm.weight", "norm.scale", "D -> D"),
        alias("lm_head.weight", "model.embed_tokens.weight")
        if config.tied
        else tensor("lm_head.weight", "head.w", "V D -> D V"),
    )


def gguf_table(config: Config) -> tuple[Any, ...]:
    """GGUF's tensor names; its q and k rows pair rotary neighbours, so H is (h r) there."""
    block = "blk.{L}."
    return (
        tensor("token_embd.weight", "embed.w", "V D -> V D"),
        tensor(block + "attn_norm.weight", "layers.attention_norm.scale", "D -> D"),
        tensor(block + "attn_q.weight", "layers.q.w", "(N h r) D -> D N (r h)", r=2),
        tensor(block + "attn_k.weight", "layers.k.w", "(K h r) D -> D K (r h)", r=2),
        tensor(block + "attn_v.weight", "layers.v.w", "(K H) D -> D K H"),
        tensor(block + "attn_output.weight", "layers.o.w", "D (N H) -> N H D"),
        tensor(block + "ffn_norm.weight", "layers.mlp_norm.scale", "D -> D"),
        tensor(block + "ffn_gate.weight", "layers.gate.w", "F D -> D F"),
        tensor(block + "ffn_up.weight", "layers.up.w", "F D -> D F"),
        tensor(block + "ffn_down.weight", "layers.down.w", "D F -> F D"),
        tensor("output_norm.weight", "norm.scale", "D -> D"),
        *(() if config.tied else (tensor("output.weight", "head.w", "V D -> D V"),)),
    )


HF_SUPPORTED = {
    "model_type": "llama",
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "rope_parameters": None,
    "rope_scaling": None,
    "rope_interleaved": False,
    "attention_dropout": 0.0,
    "pretraining_tp": 1,
}
"""Switches of Hugging Face's config.json that this family has at one value only."""

HF_IGNORED = frozenset({"is_llama_config", "max_sequence_length", "transformers.js_config"})
"""Fields of config.json that don't change what is computed."""

ROPE_SCALING = {
    "default": {},
    "linear": {"factor": "rope_factor"},
    "llama3": {
        "factor": "rope_factor",
        "original_max_position_embeddings": "rope_length",
        "low_freq_factor": "rope_low",
        "high_freq_factor": "rope_high",
    },
}
"""Of each `rope_type`, its keys in config.json, and what Config calls them."""


def from_hf(published: Mapping[str, Any]) -> Config:
    """The Config of a Hugging Face config.json.

    Raises:
        ValueError: a field is missing, or changes the computation in a way that isn't supported.
    """
    fields = dict(published)
    # The one since transformers 5, the other before.
    rope = "rope_scaling" if fields.get("rope_parameters") is None else "rope_parameters"
    if isinstance(fields.get(rope), Mapping):
        fields |= {f"{rope}.{key}": value for key, value in fields.pop(rope).items()}
    with taken("llama", fields, supported=HF_SUPPORTED, ignored=HF_IGNORED) as fields:
        theta = fields.pop("rope_theta", None)
        inner = fields.pop(f"{rope}.rope_theta", None)
        if theta and inner and theta != inner:
            raise ValueError(f"config.json: two values of rope_theta: {theta!r} and {inner!r}")
        D = check_size("config.json: hidden_size", fields.pop("hidden_size"))
        N = check_size("config.json: num_attention_heads", fields.pop("num_attention_heads"))
        return Config(
            L=fields.pop("num_hidden_layers"),
            D=D,
            N=N,
            K=fields.pop("num_key_value_heads", None) or N,
            H=fields.pop("head_dim", None) or D // N,
            F=fields.pop("intermediate_size"),
            V=fields.pop("vocab_size"),
            max_length=fields.pop("max_position_embeddings", 2048),
            rope_theta=theta or inner or 1e4,
            norm_eps=fields.pop("rms_norm_eps", 1e-6),
            tied=fields.pop("tie_word_embeddings", False),
            **_rope_scaling(fields, rope),
        )


def _rope_scaling(fields: dict[str, Any], where: str) -> dict[str, Any]:
    """Config's fields of the scaling in config.json's field `where`, popped."""
    keys = (f"{where}.rope_type", f"{where}.type")
    kind, *other = [fields.pop(key) for key in keys if key in fields] or ["default"]
    if kind not in list(ROPE_SCALING) or other not in ([], [kind]):
        raise ValueError(
            f"config.json: {where}.rope_type = {' and '.join(map(repr, [kind, *other]))} is not"
            f" supported by the llama family, expected one of {list(ROPE_SCALING)}"
        )
    found = {ours: fields.pop(f"{where}.{key}") for key, ours in ROPE_SCALING[kind].items()}
    if kind == "llama3":
        check_size(f"config.json: {where}.original_max_position_embeddings", found["rope_length"])
    return found


def to_hf(config: Config) -> dict[str, Any]:
    """The Hugging Face config.json of a Config."""
    unscaled = "default" if config.rope_factor == 1 else "linear"
    kind = unscaled if config.rope_length is None else "llama3"
    scaling = {key: getattr(config, ours) for key, ours in ROPE_SCALING[kind].items()}
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "num_hidden_layers": config.L,
        "hidden_size": config.D,
        "num_attention_heads": config.N,
        "num_key_value_heads": config.K,
        "head_dim": config.H,
        "intermediate_size": config.F,
        "vocab_size": config.V,
        "max_position_embeddings": config.max_length,
        "rope_theta": config.rope_theta,
        "rope_scaling": None if kind == "default" else {"rope_type": kind, **scaling},
        "rms_norm_eps": config.norm_eps,
        "tie_word_embeddings": config.tied,
    }


def from_gguf(metadata: Mapping[str, Any], tensor_names: Collection[str]) -> Config:
    """The Config of a GGUF file of architecture 'llama'.

    Raises:
        ValueError: a key is missing, or asks for a computation that isn't supported.
    """
    # Scaled rotary positions, under two generations of names, and mixtures of experts.
    if refused := [key for key in metadata if key.startswith(("llama.rope.scal", "llama.expert"))]:
        raise ValueError(f"GGUF: {refused[0]} = {metadata[refused[0]]!r} is not supported")
    try:
        D = check_size("GGUF: llama.embedding_length", metadata["llama.embedding_length"])
        N = check_size("GGUF: llama.attention.head_count", metadata["llama.attention.head_count"])
        config = Config(
            L=metadata["llama.block_count"],
            D=D,
            N=N,
            K=metadata.get("llama.attention.head_count_kv", N),
            H=metadata.get("llama.attention.key_length", D // N),
            F=metadata["llama.feed_forward_length"],
            V=metadata.get("llama.vocab_size") or len(metadata["tokenizer.ggml.tokens"]),
            max_length=metadata["llama.context_length"],
            rope_theta=metadata.get("llama.rope.freq_base", 1e4),
            norm_eps=metadata["llama.attention.layer_norm_rms_epsilon"],
            tied="output.weight" not in tensor_names,
        )
    except KeyError as error:
        raise ValueError(f"GGUF: the metadata key {error.args[0]!r} is missing") from None
    rotary = metadata.get("llama.rope.dimension_count", config.H)
    if rotary != config.H:
        raise ValueError(
            f"GGUF: llama.rope.dimension_count = {rotary}: partial rotary positions are not"
            f" supported, expected the head size {config.H}"
        )
    return config
