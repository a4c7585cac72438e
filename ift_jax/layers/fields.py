"""A family's Config checked: its values come from command lines and published files."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import jax.numpy as jnp

from ift_jax.layers.stack import REMAT

ATTENTION = ("auto", "plain")
"""Which attention trains: the fastest sound one, or the one that the others are tested against."""

DTYPES = ("float32", "bfloat16")
"""What parameters may be stored in, and activations computed in."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Switches:
    """What every family's Config has beside what makes the family.

    Attributes:
        dropout: rate on the embeddings and on each residual branch of each block.
        remat: what the backward pass keeps of a block: 'none' recomputed, 'dots', 'full'.
        scan: layers as one scanned body, or unrolled.
        attention: of rows that are trained on: 'auto', fused on TPUs and GPUs (`layers.fused`), or
            'plain'.
        param_dtype: what parameters are stored in.
        dtype: what is computed in.
    """

    dropout: float = 0.0
    remat: str = "none"
    scan: bool = True
    attention: str = "auto"
    param_dtype: str = "float32"
    dtype: str = "float32"

    @property
    def dtypes(self) -> dict[str, jnp.dtype]:
        """`param_dtype` and `dtype`, as layers take them."""
        return {"param_dtype": jnp.dtype(self.param_dtype), "dtype": jnp.dtype(self.dtype)}


def check_size(where: str, size: Any) -> int:
    """The size itself, a positive int; '128', 128.0 and True, which files also hold, are none.

    Raises:
        ValueError: says where, what was seen, and what is expected.
    """
    if type(size) is not int or size < 1:
        raise ValueError(f"{where} = {size!r} must be a positive integer")
    return size


def check_switch(where: str, switch: Any) -> bool:
    """The switch itself, True or False; 'false', 0 and None, which files also hold, are none.

    Raises:
        ValueError: says where, what was seen, and what is expected.
    """
    if type(switch) is not bool:
        raise ValueError(f"{where} = {switch!r} must be True or False")
    return switch


def check_fields(
    config: Switches,
    *,
    sizes: Collection[str],
    numbers: Collection[str],
    switches: Collection[str],
) -> None:
    """Checks a Config's fields one by one; what they must be together is the family's to check.

    Args:
        config: of any family.
        sizes: fields that are positive integers.
        numbers: fields that are positive and finite.
        switches: fields that are True or False, beside those of all families.

    Raises:
        ValueError: names the family, the field, what was seen, and what is expected.
    """
    family = type(config).__module__.rpartition(".")[2]

    def where(field: str) -> str:
        return f"{family}.Config: {field}"

    for field in sizes:
        check_size(where(field), getattr(config, field))
    for field in numbers:
        value = getattr(config, field)
        if type(value) not in (int, float) or not 0 < value < math.inf:
            raise ValueError(f"{where(field)} = {value!r} must be a positive number")
    for field in (*switches, "scan"):
        check_switch(where(field), getattr(config, field))
    choices = {"remat": REMAT, "attention": ATTENTION, "param_dtype": DTYPES, "dtype": DTYPES}
    for field, known in choices.items():
        if (value := getattr(config, field)) not in known:
            raise ValueError(f"{where(field)} = {value!r}, expected one of {list(known)}")
    if type(config.dropout) not in (int, float) or not 0 <= config.dropout < 1:
        raise ValueError(f"{where('dropout')} = {config.dropout!r} is not in [0, 1)")


# fmt: off
HOUSEKEEPING = frozenset({
    "_name_or_path", "architectures", "auto_map", "bos_token_id", "chunk_size_feed_forward",
    "dtype", "eos_token_id", "gradient_checkpointing", "id2label", "initializer_range", "label2id",
    "output_attentions", "output_hidden_states", "pad_token_id", "problem_type", "return_dict",
    "tokenizer_class", "torch_dtype", "transformers_version", "use_cache",
})
# fmt: on
"""Fields of any family's config.json that don't change what is computed."""


@contextlib.contextmanager
def taken(
    family: str,
    published: Mapping[str, Any],
    *,
    supported: Mapping[str, Any],
    ignored: Collection[str],
) -> Iterator[dict[str, Any]]:
    """The fields of a Hugging Face config.json, for a family to `pop` those it computes with.

    Args:
        family: its name, for messages.
        published: fields of the file.
        supported: switches, each with the one value that the family has; popped already.
        ignored: fields that don't change what is computed, beside `HOUSEKEEPING`.

    Raises:
        ValueError: a switch at another value; a field popped that is missing; or one left over,
            which might change the computation.
    """
    fields = dict(published)
    for field, value in supported.items():
        if (seen := fields.pop(field, value)) != value:
            raise ValueError(
                f"config.json: {field} = {seen!r} changes the computation and is not supported by"
                f" the {family} family, expected {value!r}"
            )
    try:
        yield fields
    except KeyError as error:
        raise ValueError(f"config.json: the field {error.args[0]!r} is missing") from None
    if unknown := sorted(set(fields) - HOUSEKEEPING - set(ignored)):
        raise ValueError(
            f"config.json: the {family} family does not know the fields"
            f" { {field: fields[field] for field in unknown} }; if they change nothing that is"
            f" computed, remove them from the file"
        )
