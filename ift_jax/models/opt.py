"""OPT (Zhang et al. 2022, 2205.01068), also as OPT-IML finetuned it (2212.12017).

Pre-norm blocks of multi-head attention and a ReLU MLP, biases everywhere, learned positions, tied
embeddings. The 350M model alone is post-norm, and its embedding is narrower than the model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ift_jax.checkpoints.names import alias, tensor
from ift_jax.dims import Batch
from ift_jax.layers import stack
from ift_jax.layers.decoder import Attend, Decoder
from ift_jax.layers.dropout import Noise, drop
from ift_jax.layers.fields import Switches, check_fields, check_size, taken
from ift_jax.layers.linear import Embedding, Linear, logits
from ift_jax.layers.norms import LayerNorm
from ift_jax.layers.positions import LearnedPositions
from ift_jax.sharding import constrain

NORM_EPS = 1e-5
"""Added to the variance in LayerNorm: PyTorch's default, which no published config changes."""

POSITION_OFFSET = 2
"""Rows of the position table before position 0."""


@dataclasses.dataclass(frozen=True)
class Config(Switches):
    """An OPT's dimensions (see `dims.KEY`) and switches.

    Attributes:
        W: width of the embedding table; where it isn't D, projections lie between the two.
        max_length: positions that the table has.
        pre_norm: whether a branch's norm is before it, and one more after all blocks; else each
            is after its branch is added.
    """

    L: int
    D: int
    N: int
    H: int
    F: int
    V: int
    W: int
    max_length: int = 2048
    pre_norm: bool = True

    def __post_init__(self) -> None:
        check_fields(
            self,
            sizes=(*"LDNHFVW", "max_length"),
            numbers=(),
            switches=("pre_norm",),
        )
        if self.N * self.H != self.D:
            raise ValueError(
                f"opt.Config: N = {self.N} heads of H = {self.H} must make up D = {self.D}"
            )

    @property
    def K(self) -> int:
        """Key/value heads: one a query head."""
        return self.N


def _opt(L: int, D: int, N: int, *, W: int = 0, **switches: Any) -> Config:
    return Config(L=L, D=D, N=N, H=D // N, F=4 * D, V=50272, W=W or D, **switches)


# fmt: off
SIZES = {
    "tiny": Config(
        L=4, D=128, N=4, H=32, F=512, V=2048, W=128, max_length=1024,
    ),
    # 2205.01068 Table 1; what is special about 350M from its published config.json.
    "125m": _opt(12, 768, 12),
    "350m": _opt(24, 1024, 16, W=512, pre_norm=False),
    "1.3b": _opt(24, 2048, 32),
    "2.7b": _opt(32, 2560, 32),
    "6.7b": _opt(32, 4096, 32),
    "13b": _opt(40, 5120, 40),
    "30b": _opt(48, 7168, 56),
    "66b": _opt(64, 9216, 72),
    "175b": _opt(96, 12288, 96),
}
# fmt: on


class Block(nnx.Module):
    """One layer: attention and MLP, each added to the residual stream, a norm before or after."""

    def __init__(self, c: Config, rngs: nnx.Rngs):
        dtypes = c.dtypes
        sizes = dataclasses.asdict(c)
        norm = {"epsilon": NORM_EPS, "param_dtype": dtypes["param_dtype"]}
        linear = {"rngs": rngs, "bias": True, **dtypes}
        # As Megatron, which OPT follows: what is added to the residual stream starts smaller the
        # deeper the model.
        residual = 0.02 * (2 * c.L) ** -0.5
        self.config = c
        self.attention_norm = LayerNorm(c.D, **norm)
        self.q = Linear("D N H", "D", sizes, **linear)
        self.k = Linear("D N H", "D", sizes, **linear)
        self.v = Linear("D N H", "D", sizes, **linear)
        self.o = Linear("N H D", "NH", sizes, scale=residual, **linear)
        self.mlp_norm = LayerNorm(c.D, **norm)
        self.up = Linear("D F", "D", sizes, **linear)
        self.down = Linear("F D", "F", sizes, scale=residual, **linear)

    def __call__(
        self, x_BTD: jax.Array, _: None, attend: Attend, noise: Noise | None
    ) -> tuple[jax.Array, Any]:
        c = self.config
        y_BTD = self.attention_norm(x_BTD) if c.pre_norm else x_BTD
        a_BTNH, kept = attend(self.q(y_BTD), self.k(y_BTD), self.v(y_BTD))
        x_BTD += drop(self.o(a_BTNH), c.dropout, noise, 0)
        if not c.pre_norm:
            x_BTD = self.attention_norm(x_BTD)
        y_BTD = self.mlp_norm(x_BTD) if c.pre_norm else x_BTD
        h_BTF = constrain(jax.nn.relu(self.up(y_BTD)), "B T F")
        x_BTD += drop(self.down(h_BTF), c.dropout, noise, 1)
        if not c.pre_norm:
            x_BTD = self.mlp_norm(x_BTD)
        return constrain(x_BTD, "B T D"), kept


class Model(Decoder):
    """An OPT."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        c = config
        dtypes = c.dtypes
        sizes = dataclasses.asdict(c)
        self.config = c
        self.embed = Embedding(sizes, letters=_table_letters(c), rngs=rngs, **dtypes)
        self.positions = LearnedPositions(
            c.max_length + POSITION_OFFSET, c.D, offset=POSITION_OFFSET, rngs=rngs, **dtypes
        )
        self.layers = stack.stack(lambda rngs: Block(c, rngs), c.L, rngs)
        if c.W != c.D:
            self.project_in = Linear("W D", "W", sizes, rngs=rngs, **dtypes)
            self.project_out = Linear("D W", "D", sizes, rngs=rngs, **dtypes)
        if c.pre_norm:
            self.norm = LayerNorm(c.D, epsilon=NORM_EPS, param_dtype=dtypes["param_dtype"])

    def embedded(self, batch: Batch) -> jax.Array:
        """See `Decoder.embedded`."""
        x = self.embed(batch.tokens_BT)
        x_BTD = x if self.config.W == self.config.D else self.project_in(x)
        return x_BTD + self.positions(batch.positions_BT)

    def final(self, x_BTD: jax.Array) -> jax.Array:
        """See `Decoder.final`."""
        return self.norm(x_BTD) if self.config.pre_norm else x_BTD

    def unembed(self, x: jax.Array, vocab_ids: jax.Array | None = None) -> jax.Array:
        """See `Decoder.unembed`."""
        c = self.config
        x = x if c.W == c.D else self.project_out(x)
        return logits(x, self.embed.w[...], vocab_ids, jnp.dtype(c.dtype))


def _table_letters(config: Config) -> str:
    return "V D" if config.W == config.D else "V W"


def flops(config: Config, T: int, loss_tokens: int) -> int:
    """Forward floating-point operations of one row of T tokens, by hand from the dimensions.

    Two a multiply-add; causal attention counted as T²/2 scores; norms, biases and the embedding
    look-ups left out.
    """
    c = config
    projections = 4 * c.D * c.N * c.H + 2 * c.D * c.F
    scores_and_values = 2 * c.N * c.H * T / 2
    between = 0 if c.W == c.D else c.D * c.W
    layers = c.L * T * (projections + scores_and_values)
    return int(2 * (layers + T * between + loss_tokens * (between + c.W * c.V)))


def hf_table(config: Config) -> tuple[Any, ...]:
    """Hugging Face's tensor names, and how their axes become ours.

    Of the published files those of 350M, 6.7B, 13B and 30B lack 'model.'.
    """
    decoder, table = "[model.]decoder.", _table_letters(config)
    block = decoder + "layers.{L}."

    def norm(file_name: str, ours: str) -> tuple[Any, ...]:
        return (
            tensor(file_name + ".weight", ours + ".scale", "D -> D"),
            tensor(file_name + ".bias", ours + ".bias", "D -> D"),
        )

    def linear(file_name: str, ours: str, weight: str, bias: str) -> tuple[Any, ...]:
        return (
            tensor(f"{block}{file_name}.weight", f"layers.{ours}.w", weight),
            tensor(f"{block}{file_name}.bias", f"layers.{ours}.b", bias),
        )

    return (
        tensor(decoder + "embed_tokens.weight", "embed.w", f"{table} -> {table}"),
        tensor(decoder + "embed_positions.weight", "positions.w", "P D -> P D"),
        *norm(block + "self_attn_layer_norm", "layers.attention_norm"),
        *linear("self_attn.q_proj", "q", "(N H) D -> D N H", "(N H) -> N H"),
        *linear("self_attn.k_proj", "k", "(N H) D -> D N H", "(N H) -> N H"),
        *linear("self_attn.v_proj", "v", "(N H) D -> D N H", "(N H) -> N H"),
        *linear("self_attn.out_proj", "o", "D (N H) -> N H D", "D -> D"),
        *norm(block + "final_layer_norm", "layers.mlp_norm"),
        *linear("fc1", "up", "F D -> D F", "F -> F"),
        *linear("fc2", "down", "D F -> F D", "D -> D"),
        *(norm(decoder + "final_layer_norm", "norm") if config.pre_norm else ()),
        *(
            ()
            if config.W == config.D
            else (
                tensor(decoder + "project_in.weight", "project_in.w", "D W -> W D"),
                tensor(decoder + "project_out.weight", "project_out.w", "W D -> D W"),
            )
        ),
        alias("lm_head.weight", decoder + "embed_tokens.weight"),
    )


HF_SUPPORTED = {
    "model_type": "opt",
    "activation_function": "relu",
    "enable_bias": True,
    "layer_norm_elementwise_affine": True,
    "tie_word_embeddings": True,
    "_remove_final_layer_norm": False,
    "learned_embeddings": True,
    "scale_embeddings": False,
    "output_projection": True,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "layerdrop": 0.0,
}
"""Switches of Hugging Face's config.json that this family has at one value only."""

HF_IGNORED = frozenset({"dropout", "init_std", "prefix"})
"""Fields that don't change what is computed; a run's own config says how much is dropped."""


def from_hf(published: Mapping[str, Any]) -> Config:
    """The Config of a Hugging Face config.json.

    Raises:
        ValueError: a field is missing, or changes the computation in a way that isn't supported.
    """
    with taken("opt", published, supported=HF_SUPPORTED, ignored=HF_IGNORED) as fields:
        D = check_size("config.json: hidden_size", fields.pop("hidden_size"))
        N = check_size("config.json: num_attention_heads", fields.pop("num_attention_heads"))
        W = fields.pop("word_embed_proj_dim", None)
        return Config(
            L=fields.pop("num_hidden_layers"),
            D=D,
            N=N,
            H=D // N,
            F=fields.pop("ffn_dim"),
            V=fields.pop("vocab_size"),
            W=D if W is None else W,
            max_length=fields.pop("max_position_embeddings", 2048),
            pre_norm=fields.pop("do_layer_norm_before", True),
        )


def to_hf(config: Config) -> dict[str, Any]:
    """The Hugging Face config.json of a Config."""
    return {
        "architectures": ["OPTForCausalLM"],
        "model_type": "opt",
        "activation_function": "relu",
        "enable_bias": True,
        "layer_norm_elementwise_affine": True,
        "tie_word_embeddings": True,
        "_remove_final_layer_norm": False,
        "do_layer_norm_before": config.pre_norm,
        "num_hidden_layers": config.L,
        "hidden_size": config.D,
        "word_embed_proj_dim": config.W,
        "num_attention_heads": config.N,
        "ffn_dim": config.F,
        "vocab_size": config.V,
        "max_position_embeddings": config.max_length,
    }
