"""LoRA (Hu et al. 2021, 2106.09685): small trained matrices beside frozen ones.

A projection's output x·w becomes x·w + alpha/rank · (x·a)·b. No family knows of it: `attach` finds
the projections of any model, and `merge` is a function over parameters by name, where
'layers.q.lora.a' and 'layers.q.lora.b' stand beside 'layers.q.w'.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
from flax import nnx

from ift_jax.layers.fields import check_size
from ift_jax.layers.linear import Linear
from ift_jax.lookup import suggest

A, B = ".lora.a", ".lora.b"
"""What the names of an adapter's two matrices end in."""

ALL = "all"


@dataclasses.dataclass(frozen=True)
class Lora:
    """Which projections get adapters, and of what size.

    Attributes:
        rank: Z, between a and b.
        alpha: the adapters' outputs are multiplied by alpha/rank.
        targets: projections, such as 'q,v', or 'all'. A name stands for every projection of the
            blocks that is called so; 'cross.q' only for those inside something called 'cross'.
    """

    rank: int
    alpha: float
    targets: str

    def __post_init__(self) -> None:
        check_size("lora.rank", self.rank)
        if type(self.alpha) not in (int, float) or not 0 < self.alpha < math.inf:
            raise ValueError(f"lora.alpha = {self.alpha!r} must be a positive number")
        if not isinstance(self.targets, str):
            raise ValueError(f"lora.targets = {self.targets!r} must be text, such as 'q,v'")

    @property
    def scale(self) -> float:
        """What the adapters' outputs are multiplied by."""
        return self.alpha / self.rank

    def choose(self, projections: Iterable[str], family: str) -> list[str]:
        """Those of a family's projections (as 'layers.q') that are targets.

        Raises:
            ValueError: a target that is none of them; lists those that exist.
        """
        projections = list(projections)
        if self.targets == ALL:
            return projections
        chosen = []
        for target in (target.strip() for target in self.targets.split(",")):
            found = [name for name in projections if f".{name}".endswith(f".{target}")]
            if not found:
                known = list(dict.fromkeys(name.rpartition(".")[2] for name in projections))
                raise ValueError(
                    f"lora.targets = {self.targets!r}: {family} has no projection {target!r}."
                    f"{suggest(target, known)} There are: {', '.join(known)}; or {ALL!r}"
                )
            chosen += found
        return list(dict.fromkeys(chosen))


class Adapter(nnx.Module):
    """(x · a) · b · alpha/rank, of a Linear's inputs and outputs.

    Its matrices are float32 whatever the model's are stored in: few enough, and alone in being
    updated. As in loralib (microsoft/LoRA) and PEFT, a starts uniform in ± 1/sqrt(inputs) and b 0,
    so that the first step is the base model's.
    """

    def __init__(self, linear: Linear, lora: Lora, rngs: nnx.Rngs):
        layers, *axes = linear.w.letters.split()
        sizes = dict(zip([layers, *axes], linear.w.shape, strict=True), Z=lora.rank)
        inputs = [axis for axis in axes if axis in linear.inputs]
        outputs = [axis for axis in axes if axis not in linear.inputs]
        a, b = [layers, *inputs, "Z"], [layers, "Z", *outputs]
        bound = math.prod(sizes[axis] for axis in inputs) ** -0.5
        self.a = nnx.Param(
            jax.random.uniform(
                rngs.params(), [sizes[axis] for axis in a], minval=-bound, maxval=bound
            ),
            letters=" ".join(a),
        )
        self.b = nnx.Param(jnp.zeros([sizes[axis] for axis in b]), letters=" ".join(b))
        self.einsums = (
            f"...{''.join(inputs)},{''.join(inputs)}Z->...Z",
            f"...Z,Z{''.join(outputs)}->...{''.join(outputs)}",
        )
        self.scale = lora.scale

    def __call__(self, x: jax.Array) -> jax.Array:
        into, out = self.einsums
        x_Z = jnp.einsum(into, x, self.a[...].astype(x.dtype))
        return jnp.einsum(out, self.scale * x_Z, self.b[...].astype(x.dtype))


def attach(model: nnx.Module, lora: Lora, rngs: nnx.Rngs) -> None:
    """Gives a model's chosen projections adapters.

    Projections are the `Linear`s of stacked blocks: not the embedding, nor the output projection.

    Raises:
        ValueError: see `Lora.choose`.
    """
    projections = {
        ".".join(map(str, path)): module
        for path, module in nnx.iter_graph(model)
        if isinstance(module, Linear) and module.w.letters.startswith("L ")
    }
    family = type(model).__module__.rpartition(".")[2]
    for name in lora.choose(projections, family):
        projections[name].lora = Adapter(projections[name], lora, rngs)


def adapters(names: Iterable[str]) -> list[str]:
    """The names that are of adapters."""
    return [name for name in names if name.endswith((A, B))]


def merge(
    params: Mapping[str, jax.Array], letters: Mapping[str, str], scale: float
) -> dict[str, jax.Array]:
    """The parameters of the model without adapters that computes the same: w + scale · a·b.

    Computed in float32 and rounded once, to w's dtype; each w stays where it lies on the mesh.

    Args:
        params: the model's, adapters among them.
        letters: axis letters of each.
        scale: alpha/rank.
    """
    merged = {name: param for name, param in params.items() if not name.endswith((A, B))}
    for name in params:
        if name.endswith(A):
            stem = name.removesuffix(A)
            triple = f"{stem}{A}", f"{stem}{B}", f"{stem}.w"
            a, b, w = (letters[name].replace(" ", "") for name in triple)
            merged[triple[-1]] = _sum(*(params[name] for name in triple), f"{a},{b}->{w}", scale)
    return merged


def _sum(a: jax.Array, b: jax.Array, w: jax.Array, einsum: str, scale: float) -> jax.Array:
    def add(a: jax.Array, b: jax.Array, w: jax.Array) -> jax.Array:
        change = jnp.einsum(einsum, a, b, precision="highest")
        return (w.astype(jnp.float32) + scale * change).astype(w.dtype)

    return jax.jit(add, out_shardings=w.sharding)(a, b, w)
