"""Golden logits of each family, made by scripts/make_golden.py, and what runs a model on them."""

from __future__ import annotations

import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ift_jax import lookup
from ift_jax.checkpoints.safetensors import Arrays, open_model, write_model
from ift_jax.checkpoints.transfer import export_tensors, import_params
from ift_jax.dims import PADDING, Batch
from ift_jax.layers.functional import Functions
from ift_jax.sharding import batch_shardings, make_mesh, param_shardings
from ift_jax.train.loss import loss_sums

FOLDER = pathlib.Path(__file__).parent.parent / "golden"
NAMES = tuple(sorted(file.stem for file in FOLDER.glob("*.npz")))
"""FAMILY_VARIANT."""


@dataclasses.dataclass(frozen=True)
class Golden:
    """A model at random weights, and the reference's logits at the kept positions.

    Attributes:
        enc_tokens_BE: what an encoder reads beside tokens_BT; None for a decoder-only family.
    """

    functions: Functions
    params: dict[str, jax.Array]
    tokens_BT: np.ndarray
    kept: np.ndarray
    logits_BTV: np.ndarray
    enc_tokens_BE: np.ndarray | None

    def whole(self, T: int | None = None, E: int | None = None) -> Batch:
        """Every row one sequence without padding, cut to T tokens and to E for the encoder."""
        batch = whole(self.tokens_BT[:, :T])
        encoded = [[(row, 1)] for row in range(len(self.tokens_BT))]
        return self.batch(batch.tokens_BT, batch.positions_BT, batch.segments_BT, encoded, E)

    def batch(
        self,
        tokens_BT: np.ndarray,
        positions_BT: np.ndarray,
        segments_BT: np.ndarray,
        encoded: list[list[tuple[int, int]]],
        E: int | None = None,
        padding: int = 0,
    ) -> Batch:
        """A batch of these arrays.

        Args:
            tokens_BT, positions_BT, segments_BT: of the batch.
            encoded: of each row, the rows of enc_tokens_BE that its encoder reads, with segments.
            E: how much of each is read.
            padding: slots after them.
        """
        batch = Batch(*(np.asarray(x, np.int32) for x in (tokens_BT, positions_BT, segments_BT)))
        if self.enc_tokens_BE is None:
            return batch
        rows = []
        for row in encoded:
            cut = [self.enc_tokens_BE[number, :E] for number, _ in row]
            segments = [np.full(len(x), segment) for x, (_, segment) in zip(cut, row, strict=True)]
            arrays = (cut, [np.arange(len(x)) for x in cut], segments)
            rows.append([np.pad(np.concatenate(x), (0, padding)) for x in arrays])
        tokens_BE, positions_BE, segments_BE = np.asarray(rows, np.int32).transpose(1, 0, 2)
        return dataclasses.replace(
            batch,
            enc_tokens_BE=tokens_BE,
            enc_positions_BE=positions_BE,
            enc_segments_BE=segments_BE,
        )

    @functools.cached_property
    def hidden(self):
        """Hidden states of a batch; compiled once for each shape."""
        forward = jax.jit(self.functions.hidden)
        return lambda batch: forward(self.params, batch)

    @functools.cached_property
    def logits(self):
        """Logits of a batch, likewise."""
        forward = jax.jit(lambda p, b: self.functions.unembed(p, self.functions.hidden(p, b)))
        return lambda batch: np.asarray(forward(self.params, batch))


def published(name: str):
    """(Hugging Face's config, its weights by name, all else that is stored) of a golden file."""
    with np.load(FOLDER / f"{name}.npz") as stored:
        arrays = dict(stored)
    weights = {
        key.removeprefix("weight:"): arrays.pop(key)
        for key in list(arrays)
        if key.startswith("weight:")
    }
    return json.loads(str(arrays.pop("config"))), weights, arrays


@functools.cache
def golden(name: str) -> Golden:
    """A golden file, its weights imported; the same one each time, which nobody changes."""
    description, weights, arrays = published(name)
    family = lookup.find("models", name.partition("_")[0])
    functions = Functions(family, family.from_hf(description))
    config = functions.config
    params = import_params(Arrays(weights), family.hf_table(config), config, functions.abstract)
    return Golden(
        functions,
        {name: jnp.asarray(value) for name, value in params.items()},
        arrays["tokens_BT"],
        arrays["kept"],
        arrays["logits_BTV"],
        arrays.get("enc_tokens_BE"),
    )


def whole(tokens_BT: np.ndarray) -> Batch:
    """Every row one sequence without padding."""
    positions_BT = np.broadcast_to(np.arange(tokens_BT.shape[1], dtype=np.int32), tokens_BT.shape)
    return Batch(tokens_BT, positions_BT, np.ones_like(tokens_BT))


def packed(functions: Functions, B: int, T: int) -> Batch:
    """Rows of random tokens packed from 2 + row % 3 sequences and padding, all followed trained.

    An encoder reads other tokens, packed likewise but for their lengths.
    """
    rng = np.random.default_rng(0)
    tokens_BT, positions_BT, segments_BT = _packed(rng, B, T, functions.config.V)
    trained_BT = (segments_BT > 0) & (segments_BT == np.roll(segments_BT, -1, axis=1))
    trained_BT[:, -1] = False
    enc = _packed(rng, B, T, functions.config.V) if functions.encoder_decoder else (None,) * 3
    return Batch(
        tokens_BT,
        positions_BT,
        segments_BT,
        np.where(trained_BT, np.roll(tokens_BT, -1, axis=1), 0).astype(np.int32),
        trained_BT.astype(np.float32),
        *enc,
    )


def _packed(rng: np.random.Generator, B: int, T: int, V: int) -> list[np.ndarray]:
    positions_BT, segments_BT = np.zeros((2, B, T), np.int32)
    for row in range(B):
        ends = np.sort(rng.choice(np.arange(3, T), 2 + row % 3, replace=False))
        for segment, (start, end) in enumerate(zip([0, *ends], ends, strict=False), start=1):
            positions_BT[row, start:end] = np.arange(end - start)
            segments_BT[row, start:end] = segment
    tokens_BT = np.where(segments_BT != PADDING, rng.integers(1, V, (B, T)), 0)
    return [tokens_BT.astype(np.int32), positions_BT, segments_BT]


def logits(functions: Functions, params, batch: Batch) -> np.ndarray:
    return np.asarray(functions.unembed(params, jax.jit(functions.hidden)(params, batch)))


def check_round_trip(
    folder: pathlib.Path,
    name: str,
    dtype: Any,
    layout: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]] = dict,
) -> None:
    """Asserts that a golden's weights come back from a file byte for byte.

    Args:
        folder: to write in.
        name: of the golden.
        dtype: of the file, and of the file written again.
        layout: the file's tensors, from the weights as today's files name them.
    """
    description, weights, _ = published(name)
    weights = {key: value.astype(dtype) for key, value in weights.items()}
    write_model(folder / "in", Arrays(layout(weights)), max_shard_bytes=20000)
    family = lookup.find("models", name.partition("_")[0])
    functions = Functions(family, family.from_hf(description))
    table, config = family.hf_table(functions.config), functions.config
    params = import_params(open_model(folder / "in"), table, config, functions.abstract)
    write_model(folder / "out", export_tensors(params, table, config, dtype))
    back = open_model(folder / "out")
    assert back.tensors.keys() == weights.keys()
    for key, value in weights.items():
        assert back.read(key).tobytes() == value.tobytes(), key


def random_params(functions: Functions) -> dict[str, np.ndarray]:
    """Norms near 1, all else small: made by NumPy, as JAX would compile a program for each."""
    rng = np.random.default_rng(0)
    return {
        name: np.float32(name.endswith("scale") + 0.06 * rng.standard_normal(leaf.shape))
        for name, leaf in functions.abstract.items()
    }


def _loss(functions: Functions):
    """(params, batch) -> loss and its gradients."""
    return jax.value_and_grad(lambda params, batch: loss_sums(functions, params, batch)[0])


@functools.cache
def _unsplit(family: str, config):
    """What `check_split` expects, the same of every mesh."""
    functions = Functions(lookup.find("models", family), config)
    run = jax.jit(_loss(functions))
    return jax.device_get(run(random_params(functions), packed(functions, 8, 24)))


def check_split(functions: Functions, mesh: str) -> None:
    """Asserts that loss and gradients on a mesh of eight devices are those on one."""
    params, batch = random_params(functions), packed(functions, 8, 24)
    loss, gradients = _unsplit(functions.family, functions.config)
    mesh = make_mesh(mesh)
    with jax.set_mesh(mesh):
        shardings = param_shardings(mesh, functions.letters, functions.abstract)
        placed = jax.device_put((params, batch), (shardings, batch_shardings(mesh, batch)))
        split_loss, split_gradients = jax.jit(_loss(functions))(*placed)
    np.testing.assert_allclose(split_loss, loss, rtol=1e-5)
    # float32 sums in another order.
    for key, gradient in gradients.items():
        np.testing.assert_allclose(
            split_gradients[key], gradient, atol=1e-4 * np.abs(gradient).max() + 1e-5, err_msg=key
        )


def main() -> None:
    """Prints how far each golden's logits are from the reference's."""
    for name in NAMES:
        model, made_with = golden(name), str(published(name)[2]["made_with"])
        seen_BTV = model.logits(model.whole())[:, model.kept]
        largest = np.abs(model.logits_BTV).max()
        difference = np.abs(seen_BTV - model.logits_BTV).max()
        print(f"{name:20} {difference:.1e} of logits up to {largest:.1f}; {made_with}")


if __name__ == "__main__":
    main()
