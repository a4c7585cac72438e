"""A family's NNX module seen as pure functions over its named parameters.

Parameters are a flat dict by dotted name (`'layers.q.w'`): one form for optimizers, sharding
tables, checkpoints and import tables. This is the type that the trainer and the evals are given;
neither knows a family.
"""

from __future__ import annotations

import contextlib
import math
from types import ModuleType
from typing import Any

import jax
from flax import nnx

from ift_jax.dims import Batch
from ift_jax.layers.dropout import Noise
from ift_jax.layers.encoder_decoder import EncoderDecoder
from ift_jax.layers.lora import Lora, adapters, attach, merge

Params = dict[str, jax.Array]


class Functions:
    """Pure functions of one family at one size.

    Attributes:
        family: the family's module name.
        config: the family's Config, whose fields are dimension letters and switches.
        lora: what adapters it has, if any; they are parameters like the others.
        abstract: shape and dtype of each parameter, by name.
        letters: axis letters of each parameter, by name.
        trained: names of the parameters that training changes: the adapters', or all.
        head: names of the parameters that `unembed` reads.
    """

    def __init__(self, family: ModuleType, config: Any, lora: Lora | None = None):
        self.family = family.__name__.rpartition(".")[2]
        self.config = config
        self.lora = lora
        self._module = family
        model = nnx.eval_shape(lambda: self._make(jax.random.key(0)))
        self._graph, state = nnx.split(model, nnx.Param)
        flat = sorted(nnx.to_flat_state(state), key=lambda item: item[0])
        self.abstract = {".".join(path): jax.ShapeDtypeStruct(p.shape, p.dtype) for path, p in flat}
        self.letters = {".".join(path): p.letters for path, p in flat}
        self.trained = adapters(self.abstract) or list(self.abstract)
        x_D = jax.ShapeDtypeStruct((config.D,), config.dtype)
        unembed = jax.make_jaxpr(self.unembed)(self.abstract, x_D).jaxpr
        read = {id(variable) for equation in unembed.eqns for variable in equation.invars}
        by_name = zip(sorted(self.abstract), unembed.invars, strict=False)
        self.head = [name for name, variable in by_name if id(variable) in read]

    def adapted(self, lora: Lora) -> Functions:
        """The same with adapters.

        Raises:
            ValueError: a target that the family has no projection for; lists those that it has.
        """
        return Functions(self._module, self.config, lora)

    @property
    def parameter_count(self) -> int:
        """Number of parameters."""
        return sum(math.prod(leaf.shape) for leaf in self.abstract.values())

    @property
    def encoder_decoder(self) -> bool:
        """Whether it reads `enc_*` of a batch; its decoder then begins with `config.start_id`."""
        return issubclass(self._module.Model, EncoderDecoder)

    def init(self, key: jax.Array) -> Params:
        """Random parameters; jit it with `out_shardings` to make each where it will live."""
        state = nnx.split(self._make(key), nnx.Param)[1]
        return {".".join(path): p[...] for path, p in nnx.to_flat_state(state)}

    def merge(self, params: Params) -> Params:
        """Parameters of the model without adapters that computes what this one does."""
        return merge(params, self.letters, self.lora.scale) if self.lora else params

    def hidden(self, params: Params, batch: Batch, noise: Noise | None = None) -> jax.Array:
        """Final hidden states x_BTD of a batch; dropout only where noise is given."""
        with self._precision():
            return self._bind(params).hidden(batch, noise)

    def unembed(self, params: Params, x: jax.Array, vocab_ids: Any = None) -> jax.Array:
        """float32 logits_..V of hidden states x_..D, of all the vocabulary or some ids."""
        with self._precision():
            return self._bind(params).unembed(x, vocab_ids)

    def init_cache(self, params: Params, batch: Batch, S: int) -> Any:
        """A cache with S free slots for the rows of a batch; it holds what an encoder read."""
        with self._precision():
            return self._bind(params).init_cache(batch, S)

    def extend(self, params: Params, batch: Batch, cache: Any) -> tuple[jax.Array, Any]:
        """Hidden states x_BTD of T more tokens a row, and the cache that holds them."""
        with self._precision():
            return self._bind(params).extend(batch, cache)

    def follow(self, params: Params, batch: Batch, cache: Any) -> jax.Array:
        """Hidden states x_BTD of rows after what a decoder-only model's cache holds."""
        with self._precision():
            return self._bind(params).follow(batch, cache)

    def flops(self, T: int, loss_tokens: int, E: int = 0) -> int:
        """Floating-point operations of one row's forward pass; training takes three times that.

        Args:
            T: tokens of the row.
            loss_tokens: how many of them are projected onto the vocabulary.
            E: tokens that the encoder reads, where there is one.
        """
        encoded = (E,) if self.encoder_decoder else ()
        return self._module.flops(self.config, T, loss_tokens, *encoded)

    def _make(self, key: jax.Array) -> nnx.Module:
        rngs = nnx.Rngs(params=key)
        model = self._module.Model(self.config, rngs=rngs)
        if self.lora:
            attach(model, self.lora, rngs)
        return model

    def _precision(self) -> contextlib.AbstractContextManager[None]:
        """In it a float32 model is traced with float32 products, which gradients inherit.

        By default an accelerator may round their inputs: a GPU to TF32, a TPU to bfloat16.
        """
        if self.config.dtype == "float32":
            return jax.default_matmul_precision("highest")
        return contextlib.nullcontext()

    def _bind(self, params: Params) -> Any:
        state = nnx.from_flat_state({tuple(k.split(".")): v for k, v in params.items()})
        return nnx.merge(self._graph, state)
