"""T5 1.1 (Raffel et al. 2020, 1910.10683; Shazeer 2020, 2002.05202), and Flan-T5 (2210.11416).

An encoder and a decoder of pre-norm blocks: multi-head attention with relative positions and
without scaling, a gated-GELU MLP, RMS norms, no biases. The LM-adapted and the Flan models have
the same sizes. The first T5 (a ReLU MLP, tied embeddings) is another model and is refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ift_jax.checkpoints.names import alias, tensor
from ift_jax.layers import attention, stack
from ift_jax.layers.decoder import Attend
from ift_jax.layers.dropout import Noise, drop
from ift_jax.layers.encoder_decoder import EncoderDecoder
from ift_jax.layers.fields import Switches, check_fields, taken
from ift_jax.layers.linear import Embedding, Linear, logits
from ift_jax.layers.norms import RMSNorm
from ift_jax.layers.positions import RelativePositions
from ift_jax.sharding import constrain


@dataclasses.dataclass(frozen=True)
class Config(Switches):
    """A T5's dimensions (see `dims.KEY`) and switches.

    Attributes:
        L: layers of the decoder.
        encoder_layers: those of the encoder.
        farthest: distance from which on all keys are in one bucket.
        start_id: token that the decoder begins with.
        max_length: the most tokens that the encoder or the decoder is given. Relative positions
            set no limit; Flan's inputs have 2,048 (Chung et al. 2022).
        norm_eps: added to the mean square in RMSNorm.
    """

    L: int
    encoder_layers: int
    D: int
    N: int
    H: int
    F: int
    V: int
    R: int = 32
    farthest: int = 128
    start_id: int = 0
    max_length: int = 2048
    norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        check_fields(
            self,
            sizes=(*"LDNHFVR", "encoder_layers", "farthest", "max_length"),
            numbers=("norm_eps",),
            switches=(),
        )
        if self.R % 4 or self.farthest <= self.R // 2:
            raise ValueError(
                f"t5.Config: R = {self.R} buckets up to distance {self.farthest}: R must be a"
                " multiple of 4, and the distance larger than R/2"
            )
        if type(self.start_id) is not int or not 0 <= self.start_id < self.V:
            raise ValueError(
                f"t5.Config: start_id = {self.start_id!r} is no token, expected 0 to {self.V - 1}"
            )


def _t5(L: int, D: int, N: int, F: int) -> Config:
    return Config(L=L, encoder_layers=L, D=D, N=N, H=64, F=F, V=32128)


SIZES = {
    "tiny": Config(L=2, encoder_layers=3, D=128, N=4, H=32, F=256, V=2048, max_length=1024),
    # T5X's t5_1_1 gin files.
    "small": _t5(8, 512, 6, 1024),
    "base": _t5(12, 768, 12, 2048),
    "large": _t5(24, 1024, 16, 2816),
    "xl": _t5(24, 2048, 32, 5120),
    "xxl": _t5(24, 4096, 64, 10240),
}


class Attention(nnx.Module):
    """Projections of multi-head attention behind a norm."""

    def __init__(self, c: Config, rngs: nnx.Rngs):
        dtypes = c.dtypes
        sizes = dataclasses.asdict(c)
        self.norm = RMSNorm(c.D, epsilon=c.norm_eps, param_dtype=dtypes["param_dtype"])
        # Mesh TensorFlow's scales: the scores' own, 1/√H, is in the queries' weights.
        scales = {"q": (c.D * c.H) ** -0.5, "k": c.D**-0.5, "v": c.D**-0.5}
        self.q = Linear("D N H", "D", sizes, rngs=rngs, scale=scales["q"], **dtypes)
        self.k = Linear("D N H", "D", sizes, rngs=rngs, scale=scales["k"], **dtypes)
        self.v = Linear("D N H", "D", sizes, rngs=rngs, scale=scales["v"], **dtypes)
        self.o = Linear("N H D", "NH", sizes, rngs=rngs, scale=(c.N * c.H) ** -0.5, **dtypes)


class MLP(nnx.Module):
    """A gated-GELU MLP behind a norm."""

    def __init__(self, c: Config, rngs: nnx.Rngs):
        dtypes = c.dtypes
        sizes = dataclasses.asdict(c)
        self.norm = RMSNorm(c.D, epsilon=c.norm_eps, param_dtype=dtypes["param_dtype"])
        self.gate = Linear("D F", "D", sizes, rngs=rngs, scale=c.D**-0.5, **dtypes)
        self.up = Linear("D F", "D", sizes, rngs=rngs, scale=c.D**-0.5, **dtypes)
        self.down = Linear("F D", "F", sizes, rngs=rngs, scale=c.F**-0.5, **dtypes)

    def __call__(self, x_BTD: jax.Array) -> jax.Array:
        y_BTD = self.norm(x_BTD)
        gate_BTF = jax.nn.gelu(self.gate(y_BTD), approximate=True)
        return self.down(constrain(gate_BTF * self.up(y_BTD), "B T F"))


class Block(nnx.Module):
    """A layer of the encoder or, with `cross` attention, of the decoder."""

    def __init__(self, c: Config, rngs: nnx.Rngs, *, cross: bool):
        self.rate = c.dropout
        self.attention = Attention(c, rngs)
        self.cross = nnx.data(Attention(c, rngs) if cross else None)
        self.mlp = MLP(c, rngs)

    def cross_keys_values(self, y_BED: jax.Array) -> tuple[jax.Array, jax.Array]:
        """k_BENH, v_BENH of the encoder's states."""
        return self.cross.k(y_BED), self.cross.v(y_BED)

    def __call__(
        self,
        x_BTD: jax.Array,
        attend: Attend,
        read_encoder: Callable[[jax.Array], jax.Array] | None,
        noise: Noise | None,
    ) -> tuple[jax.Array, Any]:
        own, rate = self.attention, self.rate
        y_BTD = own.norm(x_BTD)
        a_BTNH, kept = attend(own.q(y_BTD), own.k(y_BTD), own.v(y_BTD))
        x_BTD += drop(own.o(a_BTNH), rate, noise, 0)
        if self.cross is not None:
            a_BTNH = read_encoder(self.cross.q(self.cross.norm(x_BTD)))
            x_BTD += drop(self.cross.o(a_BTNH), rate, noise, 1)
        x_BTD += drop(self.mlp(x_BTD), rate, noise, 2)
        return constrain(x_BTD, "B T D"), kept


class Model(EncoderDecoder):
    """A T5."""

    scale = 1.0  # its queries' weights are initialised smaller instead

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        c = config
        dtypes = c.dtypes
        sizes = dataclasses.asdict(c)
        norm = {"epsilon": c.norm_eps, "param_dtype": dtypes["param_dtype"]}
        table = {"farthest": c.farthest, "rngs": rngs, "param_dtype": dtypes["param_dtype"]}
        self.config = c
        self.embed = Embedding(sizes, rngs=rngs, scale=1.0, **dtypes)
        self.encoder_positions = RelativePositions(c.R, c.N, bidirectional=True, **table)
        self.encoder = stack.stack(lambda rngs: Block(c, rngs, cross=False), c.encoder_layers, rngs)
        self.encoder_norm = RMSNorm(c.D, **norm)
        self.positions = RelativePositions(c.R, c.N, bidirectional=False, **table)
        self.decoder = stack.stack(lambda rngs: Block(c, rngs, cross=True), c.L, rngs)
        self.norm = RMSNorm(c.D, **norm)
        self.head = Linear("D V", "D", sizes, rngs=rngs, **dtypes)

    def encoder_bias(self, key_positions_BE: jax.Array) -> attention.Bias:
        """See `EncoderDecoder.encoder_bias`."""
        return lambda positions_BE: self.encoder_positions(positions_BE, key_positions_BE)

    def bias(self, key_positions_BS: jax.Array) -> attention.Bias:
        """See `EncoderDecoder.bias`."""
        return lambda positions_BT: self.positions(positions_BT, key_positions_BS)

    def unembed(self, x: jax.Array, vocab_ids: jax.Array | None = None) -> jax.Array:
        """See `EncoderDecoder.unembed`."""
        return logits(x, self.head.w[...].T, vocab_ids, jnp.dtype(self.config.dtype))


def flops(config: Config, T: int, loss_tokens: int, E: int) -> int:
    """Forward floating-point operations of one row of T decoder and E encoder tokens, by hand.

    Two a multiply-add; causal attention counted as T²/2 scores, the encoder's as E² and the
    decoder's of the encoder as T·E; norms, position biases and embedding look-ups left out.
    """
    c = config
    projection, mlp = c.D * c.N * c.H, 3 * c.D * c.F
    scores_and_values = 2 * c.N * c.H
    encoder = c.encoder_layers * E * (4 * projection + mlp + scores_and_values * E)
    own = T * (4 * projection + mlp + scores_and_values * T / 2)
    cross = (2 * T + 2 * E) * projection + scores_and_values * T * E
    return int(2 * (encoder + c.L * (own + cross) + loss_tokens * c.D * c.V))


def hf_table(config: Config) -> tuple[Any, ...]:
    """Hugging Face's tensor names, and how their axes become ours."""

    def attention(file_name: str, norm: str, ours: str) -> tuple[Any, ...]:
        return (
            tensor(f"{norm}.layer_norm.weight", f"{ours}.norm.scale", "D -> D"),
            tensor(f"{file_name}.q.weight", f"{ours}.q.w", "(N H) D -> D N H"),
            tensor(f"{file_name}.k.weight", f"{ours}.k.w", "(N H) D -> D N H"),
            tensor(f"{file_name}.v.weight", f"{ours}.v.w", "(N H) D -> D N H"),
            tensor(f"{file_name}.o.weight", f"{ours}.o.w", "D (N H) -> N H D"),
        )

    def mlp(layer: str, ours: str) -> tuple[Any, ...]:
        return (
            tensor(f"{layer}.layer_norm.weight", f"{ours}.norm.scale", "D -> D"),
            tensor(f"{layer}.DenseReluDense.wi_0.weight", f"{ours}.gate.w", "F D -> D F"),
            tensor(f"{layer}.DenseReluDense.wi_1.weight", f"{ours}.up.w", "F D -> D F"),
            tensor(f"{layer}.DenseReluDense.wo.weight", f"{ours}.down.w", "D F -> F D"),
        )

    def first(stack: str) -> str:
        return f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"

    encoder, decoder = "encoder.block.{encoder_layers}.layer.", "decoder.block.{L}.layer."
    return (
        tensor("shared.weight", "embed.w", "V D -> V D"),
        alias("encoder.embed_tokens.weight", "shared.weight"),
        alias("decoder.embed_tokens.weight", "shared.weight"),
        tensor(first("encoder"), "encoder_positions.w", "R N -> R N"),
        tensor(first("decoder"), "positions.w", "R N -> R N"),
        *attention(encoder + "0.SelfAttention", encoder + "0", "encoder.attention"),
        *mlp(encoder + "1", "encoder.mlp"),
        tensor("encoder.final_layer_norm.weight", "encoder_norm.scale", "D -> D"),
        *attention(decoder + "0.SelfAttention", decoder + "0", "decoder.attention"),
        *attention(decoder + "1.EncDecAttention", decoder + "1", "decoder.cross"),
        *mlp(decoder + "2", "decoder.mlp"),
        tensor("decoder.final_layer_norm.weight", "norm.scale", "D -> D"),
        tensor("lm_head.weight", "head.w", "V D -> D V"),
    )


HF_SUPPORTED = {
    "model_type": "t5",
    "is_encoder_decoder": True,
    "is_decoder": False,
    "feed_forward_proj": "gated-gelu",
    "is_gated_act": True,
    "dense_act_fn": "gelu_new",
    "tie_word_embeddings": False,
    "scale_decoder_outputs": False,
}
"""Switches of Hugging Face's config.json that this family has at one value only."""

# fmt: off
HF_IGNORED = frozenset({
    "classifier_dropout", "dropout_rate", "initializer_factor", "n_positions", "output_past",
    "task_specific_params",
})
# fmt: on
"""Fields that don't change what is computed; a run's own config says how much is dropped, and
n_positions (512) is the length of T5's pretraining, which nothing in the model knows."""


def from_hf(published: Mapping[str, Any]) -> Config:
    """The Config of a Hugging Face config.json.

    Raises:
        ValueError: a field is missing, or changes the computation in a way that isn't supported.
    """
    # What a file leaves out, Hugging Face takes as the first T5 has it.
    given = {"feed_forward_proj": "relu", "tie_word_embeddings": True} | dict(published)
    if given.get("scale_decoder_outputs") is False:
        # transformers 5 writes so that a T5 is not the first, whose head it then says is tied.
        given["tie_word_embeddings"] = False
    with taken("t5", given, supported=HF_SUPPORTED, ignored=HF_IGNORED) as fields:
        encoder_layers = fields.pop("num_layers")
        return Config(
            L=fields.pop("num_decoder_layers", None) or encoder_layers,
            encoder_layers=encoder_layers,
            D=fields.pop("d_model"),
            N=fields.pop("num_heads"),
            H=fields.pop("d_kv"),
            F=fields.pop("d_ff"),
            V=fields.pop("vocab_size"),
            R=fields.pop("relative_attention_num_buckets", 32),
            farthest=fields.pop("relative_attention_max_distance", 128),
            start_id=fields.pop("decoder_start_token_id", 0),
            norm_eps=fields.pop("layer_norm_epsilon", 1e-6),
        )


def to_hf(config: Config) -> dict[str, Any]:
    """The Hugging Face config.json of a Config."""
    return {
        "architectures": ["T5ForConditionalGeneration"],
        "model_type": "t5",
        "is_encoder_decoder": True,
        "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": False,
        "num_layers": config.encoder_layers,
        "num_decoder_layers": config.L,
        "d_model": config.D,
        "num_heads": config.N,
        "d_kv": config.H,
        "d_ff": config.F,
        "vocab_size": config.V,
        "relative_attention_num_buckets": config.R,
        "relative_attention_max_distance": config.farthest,
        "decoder_start_token_id": config.start_id,
        "layer_norm_epsilon": config.norm_eps,
    }
