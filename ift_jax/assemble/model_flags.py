"""The options by which a script is told which model to read."""

from __future__ import annotations

from collections.abc import Callable

from absl import flags
from jax.sharding import Mesh

from ift_jax import sharding
from ift_jax.assemble.models import Model, open_model

# They belong to the script that asks for them, and its --help lists them.
flags.disclaim_key_flags()


def define(values: flags.FlagValues = flags.FLAGS) -> Callable[[], tuple[Model, Mesh]]:
    """Defines --checkpoint, --step, --dtype and --mesh.

    Returns:
        What opens the model they name, on the mesh they name.
    """
    checkpoint = flags.DEFINE_string(
        "checkpoint",
        None,
        "a model directory, a Hugging Face folder, a GGUF file, or 'bundled'",
        required=True,
        flag_values=values,
    )
    step = flags.DEFINE_integer(
        "step", None, "which checkpoint; by default the newest", flag_values=values
    )
    dtype = flags.DEFINE_enum(
        "dtype",
        None,
        ["float32", "bfloat16"],
        "what activations are computed in; by default the model's own",
        flag_values=values,
    )
    mesh = flags.DEFINE_string(
        "mesh", "fsdp:-1", "devices, such as data:1,fsdp:4,tensor:2", flag_values=values
    )

    def opened() -> tuple[Model, Mesh]:
        devices = sharding.make_mesh(mesh.value)
        switches = {"dtype": dtype.value} if dtype.value else {}
        return open_model(checkpoint.value, devices, step=step.value, switches=switches), devices

    return opened
