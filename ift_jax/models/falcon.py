"""Falcon (Almazrouei et al. 2023, 2311.16867) and the RefinedWeb models before it (2306.01116).

Attention with one key/value head (7B), a few (40B) or one a query head (RW), beside the MLP or
before it; a GELU MLP, tied embeddings. Rotary positions, or ALiBi in the RW models, which alone
have biases in their linear maps.
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
from ift_jax.layers.fields import Switches, check_fields, check_size, check_switch, taken
from ift_jax.layers.linear import Embedding, Linear, logits
from ift_jax.layers.norms import LayerNorm
from ift_jax.layers.positions import alibi_slopes, rope_tables, rotate
from ift_jax.sharding import constrain


@dataclasses.dataclass(frozen=True)
class Config(Switches):
    """A Falcon's dimensions (see `dims.KEY`) and switches.

    Attributes:
        max_length: positions it was trained for.
        parallel: whether the MLP reads what the attention reads; else what it has written.
        two_norms: whether the MLP has a norm of its own; else it reads the attention's.
        alibi: whether positions are a bias on the scores; else rotary.
        biases: whether linear maps have biases; norms always do.
        rope_theta: base of the rotary frequencies.
        norm_eps: added to the variance in LayerNorm.
    """

    L: int
    D: int
    N: int
    K: int
    H: int
    F: int
    V: int
    max_length: int = 2048
    parallel: bool = True
    two_norms: bool = False
    alibi: bool = False
    biases: bool = False
    rope_theta: float = 1e4
    norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        check_fields(
            self,
            sizes=(*"LDNKHFV", "max_length"),
            numbers=("rope_theta", "norm_eps"),
            switches=("parallel", "two_norms", "alibi", "biases"),
        )
        if self.N * self.H != self.D:
            raise ValueError(
                f"falcon.Config: N = {self.N} heads of H = {self.H} must make up D = {self.D}"
            )
        if self.N % self.K:
            raise ValueError(f"falcon.Config: K = {self.K} does not divide N = {self.N} heads")
        if self.H % 2 and not self.alibi:
            raise ValueError(f"falcon.Config: H = {self.H} must be even for rotary positions")
        if not self.parallel and not (self.two_norms and self.K in (1, self.N)):
            raise ValueError(
                f"falcon.Config: two_norms = {self.two_norms}, K = {self.K}: where attention and"
                f" MLP follow each other there are two norms, and K is 1 or N = {self.N}"
            )


# fmt: off
SIZES = {
    "tiny": Config(L=4, D=128, N=4, K=1, H=32, F=512, V=2048, max_length=1024),
    # The config.json files of tiiuae's falcon-7b, falcon-40b (-instruct alike) and falcon-rw-1b.
    "7b": Config(L=32, D=4544, N=71, K=1, H=64, F=18176, V=65024),
    "40b": Config(L=60, D=8192, N=128, K=8, H=64, F=32768, V=65024, two_norms=True),
    "rw-1b": Config(
        L=24, D=2048, N=32, K=32, H=64, F=8192, V=50304, parallel=False, two_norms=True,
        alibi=True, biases=True,
    ),
}
# fmt: on


def rounded_alibi(key_positions_BS: jax.Array, N: int, H: int) -> jax.Array:
    """What ALiBi adds to the scaled scores of keys at these positions: float32 bias_BN1S.

    As in the code that these models were trained with, slopes, positions and their products are
    each rounded to bfloat16, and added before the scores are divided by √H. So past position 256
    the bias isn't the distance's alone, and must be taken from the key's own position; the
    query's, being the same for all its keys, changes nothing.
    """

    def rounded(x: jax.Array) -> jax.Array:
        # Of products in bfloat16 XLA may keep the float32 bits; these roundings it keeps.
        return jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=7)

    slopes_N = rounded(jnp.asarray(alibi_slopes(N)))
    positions_BS = rounded(key_positions_BS.astype(jnp.float32))
    bias_BNS = rounded(slopes_N[:, None] * positions_BS[:, None])
    return bias_BNS[:, :, None] * H**-0.5


class Block(nnx.Module):
    """One layer: attention and MLP added to the residual stream, side by side or in turn."""

    def __init__(self, c: Config, rngs: nnx.Rngs):
        dtypes = c.dtypes
        sizes = dataclasses.asdict(c)
        norm = {"epsilon": c.norm_eps, "param_dtype": dtypes["param_dtype"]}
        linear = {"rngs": rngs, "bias": c.biases, **dtypes}
        # GPT-2's rule: what is added to the residual stream starts smaller the deeper the model.
        residual = 0.02 * (2 * c.L) ** -0.5
        self.config = c
        self.attention_norm = LayerNorm(c.D, **norm)
        self.q = Linear("D N H", "D", sizes, **linear)
        self.k = Linear("D K H", "D", sizes, **linear)
        self.v = Linear("D K H", "D", sizes, **linear)
        self.o = Linear("N H D", "NH", sizes, scale=residual, **linear)
        if c.two_norms:
            self.mlp_norm = LayerNorm(c.D, **norm)
        self.up = Linear("D F", "D", sizes, **linear)
        self.down = Linear("F D", "F", sizes, scale=residual, **linear)

    def __call__(
        self,
        x_BTD: jax.Array,
        rope: tuple[jax.Array, jax.Array] | None,
        attend: Attend,
        noise: Noise | None,
    ) -> tuple[jax.Array, Any]:
        c = self.config
        y_BTD = self.attention_norm(x_BTD)
        q_BTNH, k_BTKH = self.q(y_BTD), self.k(y_BTD)
        if rope is not None:
            q_BTNH, k_BTKH = rotate(q_BTNH, *rope), rotate(k_BTKH, *rope)
        a_BTNH, kept = attend(q_BTNH, k_BTKH, self.v(y_BTD))
        z_BTD = x_BTD + drop(self.o(a_BTNH), c.dropout, noise, 0)
        if c.two_norms:
            y_BTD = self.mlp_norm(x_BTD if c.parallel else z_BTD)
        h_BTF = constrain(jax.nn.gelu(self.up(y_BTD), approximate=False), "B T F")
        z_BTD += drop(self.down(h_BTF), c.dropout, noise, 1)
        return constrain(z_BTD, "B T D"), kept


class Model(Decoder):
    """A Falcon."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        c = config
        dtypes = c.dtypes
        self.config = c
        self.embed = Embedding(dataclasses.asdict(c), rngs=rngs, **dtypes)
        self.layers = stack.stack(lambda rngs: Block(c, rngs), c.L, rngs)
        self.norm = LayerNorm(c.D, epsilon=c.norm_eps, param_dtype=dtypes["param_dtype"])

    def embedded(self, batch: Batch) -> jax.Array:
        """See `Decoder.embedded`."""
        return self.embed(batch.tokens_BT)

    def shared(self, positions_BT: jax.Array) -> tuple[jax.Array, jax.Array] | None:
        """Rotary tables, or None with ALiBi."""
        c = self.config
        return None if c.alibi else rope_tables(positions_BT, c.H, c.rope_theta)

    def bias(self, key_positions_BS: jax.Array) -> Bias | None:
        """See `Decoder.bias`."""
        c = self.config
        if not c.alibi:
            return None
        bias_BN1S = rounded_alibi(key_positions_BS, c.N, c.H)
        return lambda positions_BT: bias_BN1S

    def final(self, x_BTD: jax.Array) -> jax.Array:
        """See `Decoder.final`."""
        return self.norm(x_BTD)

    def unembed(self, x: jax.Array, vocab_ids: jax.Array | None = None) -> jax.Array:
        """See `Decoder.unembed`."""
        return logits(x, self.embed.w[...], vocab_ids, jnp.dtype(self.config.dtype))


def flops(config: Config, T: int, loss_tokens: int) -> int:
    """Forward floating-point operations of one row of T tokens, by hand from the dimensions.

    Two a multiply-add; causal attention counted as T²/2 scores; norms, biases, positions and the
    embedding look-up left out.
    """
    c = config
    projections = c.D * c.H * (2 * c.N + 2 * c.K) + 2 * c.D * c.F
    scores_and_values = 2 * c.N * c.H * T / 2
    return int(2 * (c.L * T * (projections + scores_and_values) + loss_tokens * c.D * c.V))


def hf_table(config: Config) -> tuple[Any, ...]:
    """Hugging Face's tensor names, and how their axes become ours.

    q, k and v are one tensor of K groups, each N/K queries, a key and a value. That is all three
    published layouts: one group (7B), a few (40B), and one a head (RW).
    """
    block = "transformer.h.{L}."
    first, second = "input_layernorm", "post_attention_layernorm"
    if config.parallel and config.two_norms:
        first, second = "ln_attn", "ln_mlp"

    def norm(file_name: str, ours: str) -> tuple[Any, ...]:
        return (
            tensor(file_name + ".weight", ours + ".scale", "D -> D"),
            tensor(file_name + ".bias", ours + ".bias", "D -> D"),
        )

    def qkv(kind: str, ours: str, pattern: str) -> Any:
        file_name = f"{block}self_attention.query_key_value.{kind}"
        return fused(file_name, "m", {f"layers.{letter}.{ours}": pattern for letter in "qkv"})

    biases = (
        qkv("bias", "b", "(K m H) -> (K m) H"),
        tensor(block + "self_attention.dense.bias", "layers.o.b", "D -> D"),
        tensor(block + "mlp.dense_h_to_4h.bias", "layers.up.b", "F -> F"),
        tensor(block + "mlp.dense_4h_to_h.bias", "layers.down.b", "D -> D"),
    )
    return (
        tensor("transformer.word_embeddings.weight", "embed.w", "V D -> V D"),
        *norm(block + first, "layers.attention_norm"),
        qkv("weight", "w", "(K m H) D -> D (K m) H"),
        tensor(block + "self_attention.dense.weight", "layers.o.w", "D (N H) -> N H D"),
        *(norm(block + second, "layers.mlp_norm") if config.two_norms else ()),
        tensor(block + "mlp.dense_h_to_4h.weight", "layers.up.w", "F D -> D F"),
        tensor(block + "mlp.dense_4h_to_h.weight", "layers.down.w", "D F -> F D"),
        *(biases if config.biases else ()),
        *norm("transformer.ln_f", "norm"),
        alias("lm_head.weight", "transformer.word_embeddings.weight"),
    )


HF_MODEL_TYPES = ("falcon", "RefinedWeb", "RefinedWebModel")
"""What config.json calls this family; the 40B and the others before Hugging Face had them."""

HF_SUPPORTED = {
    "model_type": "falcon",
    "activation": "gelu",
    "apply_residual_connection_post_layernorm": False,
    "attention_dropout": 0.0,
    "rope_parameters": None,
    "rope_parameters.rope_type": "default",
    "rope_scaling": None,
    "tie_word_embeddings": True,
}
"""Switches of Hugging Face's config.json that this family has at one value only; a.b is b in a."""

HF_IGNORED = frozenset({"hidden_dropout"})
"""Fields that don't change what is computed; a run's own config says how much is dropped."""

_OTHER_NAMES = {
    "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads",
    "n_head_kv": "num_kv_heads",
    "rope_parameters.rope_theta": "rope_theta",
}
"""What some generations of files call a field."""


def from_hf(published: Mapping[str, Any]) -> Config:
    """The Config of a Hugging Face config.json.

    Raises:
        ValueError: a field is missing, or changes the computation in a way that isn't supported.
    """
    with taken("falcon", _today(published), supported=HF_SUPPORTED, ignored=HF_IGNORED) as fields:

        def switch(field: str, default: bool) -> bool:
            return check_switch(f"config.json: {field}", fields.pop(field, default))

        D = check_size("config.json: hidden_size", fields.pop("hidden_size"))
        N = check_size("config.json: num_attention_heads", fields.pop("num_attention_heads"))
        heads, F = fields.pop("num_kv_heads", None), fields.pop("ffn_hidden_size", None)
        K = N if heads is None else heads
        norms = fields.pop("num_ln_in_parallel_attn", None)
        grouped = switch("new_decoder_architecture", False)
        multi_query = switch("multi_query", True)
        # Hugging Face's code passes over multi_query and parallel_attn where heads are grouped,
        # and over num_kv_heads where they are not.
        parallel = switch("parallel_attn", True) or grouped
        if not grouped and multi_query:
            K = 1
        elif not grouped and K != N:
            raise ValueError(
                f"config.json: num_kv_heads = {K} is neither 1 (multi_query) nor"
                f" num_attention_heads = {N}, which needs new_decoder_architecture = True"
            )
        if norms not in (None, 1, 1 + grouped):
            raise ValueError(
                f"config.json: num_ln_in_parallel_attn = {norms!r}, expected 1, or 2 with"
                " new_decoder_architecture = True"
            )
        return Config(
            L=fields.pop("num_hidden_layers"),
            D=D,
            N=N,
            K=K,
            H=D // N,
            F=4 * D if F is None else F,
            V=fields.pop("vocab_size"),
            max_length=fields.pop("max_position_embeddings", 2048),
            parallel=parallel,
            two_norms=norms != 1 if grouped else not parallel,
            alibi=fields.pop("alibi", False),
            biases=fields.pop("bias", False),
            rope_theta=fields.pop("rope_theta", 1e4),
            norm_eps=fields.pop("layer_norm_epsilon", 1e-5),
        )


def _today(published: Mapping[str, Any]) -> dict[str, Any]:
    """A config.json of any generation, with the fields' names of today."""
    fields = dict(published)
    if (model_type := fields.get("model_type")) in ("RefinedWeb", "RefinedWebModel"):
        # What the code that came with those files takes where they are silent.
        grouped = {"new_decoder_architecture": model_type == "RefinedWeb"}
        fields = {"multi_query": False, "parallel_attn": False, **grouped, **fields}
        fields["model_type"] = "falcon"
    if isinstance(fields.get("rope_parameters"), Mapping):
        inner = fields.pop("rope_parameters")
        fields |= {f"rope_parameters.{key}": value for key, value in inner.items()}
    for other, name in _OTHER_NAMES.items():
        if other in fields and (value := fields.pop(other)) != fields.setdefault(name, value):
            raise ValueError(
                f"config.json: two values of {name}: {fields[name]!r}, and {value!r} as {other}"
            )
    return fields


def to_hf(config: Config) -> dict[str, Any]:
    """The Hugging Face config.json of a Config."""
    c = config
    grouped = c.parallel and (c.two_norms or c.K not in (1, c.N))
    return {
        "architectures": ["FalconForCausalLM"],
        "model_type": "falcon",
        "activation": "gelu",
        "tie_word_embeddings": True,
        "new_decoder_architecture": grouped,
        "num_ln_in_parallel_attn": 1 + c.two_norms if grouped else None,
        "multi_query": c.K == 1,
        "parallel_attn": c.parallel,
        "alibi": c.alibi,
        "bias": c.biases,
        "num_hidden_layers": c.L,
        "hidden_size": c.D,
        "num_attention_heads": c.N,
        "num_kv_heads": c.K,
        "ffn_hidden_size": c.F,
        "vocab_size": c.V,
        "max_position_embeddings": c.max_length,
        "rope_theta": c.rope_theta,
        "layer_norm_epsilon": c.norm_eps,
    }
