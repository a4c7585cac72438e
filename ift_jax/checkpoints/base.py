"""The model that adapters belong to: named by its path, known by its weights."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np


@dataclasses.dataclass(frozen=True)
class Base:
    """What a LoRA run's adapters were trained on.

    Attributes:
        path: a model directory or published weights; absolute, or 'bundled'.
        step: of a model directory, the checkpoint; else 0.
        fingerprint: of its parameters.
    """

    path: str
    step: int
    fingerprint: str

    def check(self, params: Mapping[str, jax.Array], where: str | Path) -> None:
        """Checks that parameters are the base's.

        Args:
            params: those that were found.
            where: the file that names the base, for the message.

        Raises:
            ValueError: they have another fingerprint.
        """
        if (seen := fingerprint(params)) != self.fingerprint:
            raise ValueError(
                f"{where}: its adapters belong to weights of fingerprint {self.fingerprint}, from"
                f" {self.path}, step {self.step}; those found have {seen}. Put the old ones back,"
                " or change base.path to where they are"
            )


def fingerprint(params: Mapping[str, jax.Array]) -> str:
    """Sixteen hex digits of the parameters' names, shapes, dtypes and bits.

    The same in whatever form they lay on disk, and on any mesh and backend: only integers are
    added, modulo 2^32. It tells apart what may be mistaken for another, not what is forged.
    """
    sums = jax.device_get(jax.jit(lambda params: jax.tree.map(_checksum, params))(dict(params)))
    content = [
        (name, np.dtype(param.dtype).name, param.shape, int(sums[name]))
        for name, param in sorted(params.items())
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _checksum(x: jax.Array) -> jax.Array:
    """uint32 sum of a hash of each element's bits and place."""
    bits = jax.lax.bitcast_convert_type(x, f"uint{8 * x.dtype.itemsize}").astype(jnp.uint32)
    place = jnp.zeros((), jnp.uint32)
    for axis, size in enumerate(x.shape):
        place = place * np.uint32(size) + jax.lax.broadcasted_iota(jnp.uint32, x.shape, axis)
    return jnp.sum(_mix(bits + _mix(place)), dtype=jnp.uint32)


def _mix(x: jax.Array) -> jax.Array:
    """MurmurHash3's 32-bit finalizer (Austin Appleby, public domain): any bit changes all."""
    x = (x ^ (x >> 16)) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * np.uint32(0xC2B2AE35)
    return x ^ (x >> 16)
