"""Opens models, in whatever form they lie on disk.

A *model directory* is what an import and a training run leave behind:

    model.json        family, Config, tokenizer file, prompt format
    tokenizer.model   or spiece.model or tokenizer.json, and tokenizer_config.json
    checkpoints/      Orbax, one folder a step

Of a LoRA run, the checkpoints hold adapters only, and model.json names the base that they belong
to. It is opened as the merged model.

Scripts take it, a folder in Hugging Face's layout, a GGUF file, or 'bundled'; the import also a
checkpoint of llama2.c with its tokenizer.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import jax
import numpy as np
from jax.sharding import Mesh

from ift_jax import lookup, sharding, tokenizers
from ift_jax.checkpoints import gguf, llama2c, pickles, safetensors, transfer
from ift_jax.checkpoints.base import Base
from ift_jax.checkpoints.seal import write_json
from ift_jax.checkpoints.store import Store
from ift_jax.layers.functional import Functions, Params
from ift_jax.layers.lora import Lora

BUNDLED = Path(__file__).parent.parent / "assets" / "tiny"
"""The tiny base model that comes with the package, in Hugging Face's layout."""

MODEL_FILE = "model.json"
CHECKPOINTS = "checkpoints"


@dataclasses.dataclass(frozen=True)
class Model:
    """A model, opened; its parameters are read by `load`.

    Attributes:
        functions: its family's functions at its size.
        tokenizer: its own.
        prompt_format: the form it was finetuned on, a name in `prompts.FORMATS`.
        step: training steps behind its parameters; 0 for an import or random weights.
        load: reads or makes the parameters, on the mesh it was opened for.
        base: of a LoRA run, what its adapters are merged into.
    """

    functions: Functions
    tokenizer: tokenizers.Tokenizer
    prompt_format: str
    step: int
    load: Callable[[], Params]
    base: Base | None = None


@dataclasses.dataclass(frozen=True)
class Published:
    """A checkpoint in somebody else's format, opened but not read."""

    family: ModuleType
    config: Any
    table: tuple[Any, ...]
    source: Any
    tokenizer: tokenizers.Tokenizer


def open_model(
    path: str | Path,
    mesh: Mesh,
    *,
    step: int | Literal["best"] | None = None,
    tokenizer: str | Path | None = None,
    switches: Mapping[str, Any] | None = None,
) -> Model:
    """Opens a model in any form that the scripts take.

    Args:
        path: a model directory, a Hugging Face folder, a GGUF file, llama2.c's, or 'bundled'.
        mesh: where its parameters will go.
        step: of a model directory, the checkpoint; None takes the newest, and 'best' the one that
            its run kept for being the best (`config.eval.keep_best`).
        tokenizer: of somebody else's format, a tokenizer's file or folder to take instead of the
            model's own; llama2.c's has none.
        switches: Config fields to change: dtypes, dropout, remat, scan, attention.

    Raises:
        ValueError: nothing of that kind there, an unknown family, a config that the family
            refuses, a tokenizer larger than the embedding, or a step of what has none.
    """
    path = BUNDLED if str(path) == "bundled" else Path(path)
    if (path / MODEL_FILE).is_file():
        if tokenizer is not None:
            raise ValueError(f"{path} has its own tokenizer; leave out {tokenizer}")
        return _open_directory(path, mesh, step, switches or {})
    if step is not None:
        raise ValueError(
            f"{path}: step {step} was asked for, and only a model directory ({MODEL_FILE}) has"
            " steps; leave the step out"
        )
    published = open_published(path, tokenizer)
    config = dataclasses.replace(published.config, **(switches or {}))
    functions = Functions(published.family, config)
    with _naming(path):
        tokenizers.check_fits(published.tokenizer, config.V)
    abstract = abstract_params(functions, mesh)

    def load() -> Params:
        with _naming(path):
            return transfer.import_params(
                published.source,
                published.table,
                config,
                abstract,
                place=lambda name, array: _place(array, abstract[name].sharding),
            )

    return Model(functions, published.tokenizer, "plain", 0, load)


def open_published(path: str | Path, tokenizer: str | Path | None = None) -> Published:
    """Opens a folder in Hugging Face's layout, a GGUF file, or a checkpoint of llama2.c.

    Args:
        path: the folder or file.
        tokenizer: see `open_model`.

    Raises:
        ValueError: neither, or pickles; an unknown family; a config that the family refuses.
    """
    path = Path(path)
    if path.is_file():
        pickles.refuse(path)
        bare = path.suffix == ".bin"
        file = llama2c.Llama2C(path) if bare else gguf.GGUF(path)
        family = _family(str(file.metadata.get("general.architecture")), path, "from_gguf")
        with _naming(path):
            config = family.from_gguf(file.metadata, file.tensors)
        if tokenizer is None and bare:
            raise ValueError(
                f"{path}: llama2.c's files hold no tokenizer; import it with --tokenizer=FILE, the"
                " tokenizer.bin or tokenizer.model that came with it"
            )
        own = tokenizers.from_gguf(file) if tokenizer is None else tokenizers.load(tokenizer)
        return Published(family, config, family.gguf_table(config), file, own)
    description = path / "config.json"
    if not description.is_file():
        pickles.refuse(path)
        raise ValueError(
            f"{path}: neither a model directory ({MODEL_FILE}), nor a Hugging Face folder"
            " (config.json), nor a file of GGUF or llama2.c"
        )
    try:
        published = json.loads(description.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{description} is not JSON: {error}") from error
    if not isinstance(published, dict):
        raise ValueError(
            f"{description}: a JSON {type(published).__name__}, expected an object; fetch it again"
        )
    family = _family_of(str(published.get("model_type")), description)
    with _naming(description):
        config = family.from_hf(published)
    source = safetensors.open_model(path)
    own = tokenizers.load(tokenizer or path)
    return Published(family, config, family.hf_table(config), source, own)


def random_model(
    spec: str,
    tokenizer: str | Path,
    mesh: Mesh,
    *,
    seed: int,
    switches: Mapping[str, Any] | None = None,
) -> Model:
    """A model with random weights.

    Args:
        spec: 'FAMILY:SIZE', such as 'llama:tiny'.
        tokenizer: a tokenizer's file or folder.
        mesh: where its parameters are made.
        seed: of the weights.
        switches: Config fields to change.

    Raises:
        ValueError: no such family or size, or a tokenizer larger than the embedding.
    """
    functions = sized(spec, switches)
    loaded = tokenizers.load(tokenizer)
    with _naming(tokenizer):
        tokenizers.check_fits(loaded, functions.config.V)
    shardings = sharding.param_shardings(mesh, functions.letters, functions.abstract)
    init = jax.jit(functions.init, out_shardings=shardings)
    return Model(functions, loaded, "plain", 0, lambda: init(jax.random.key(seed)))


def sized(spec: str, switches: Mapping[str, Any] | None = None) -> Functions:
    """A family's functions at a published size, 'FAMILY:SIZE'.

    Raises:
        ValueError: no such family or size; lists those that exist.
    """
    name, _, size = spec.partition(":")
    family = lookup.find("models", name, "Model")
    if size not in family.SIZES:
        raise ValueError(
            f"model {spec!r}: the {name} family has no size {size!r}."
            f"{lookup.suggest(size, list(family.SIZES))} There are: {', '.join(family.SIZES)}"
        )
    return Functions(family, dataclasses.replace(family.SIZES[size], **(switches or {})))


def describe(directory: str | Path, model: Model, base: Base | None = None) -> None:
    """Writes, on process 0, the files that make a folder with checkpoints a model directory.

    Args:
        directory: to write.
        model: what the checkpoints are of.
        base: where they hold adapters only, what those belong to.
    """
    if jax.process_index() != 0:
        return
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    model.tokenizer.save(directory)
    description = {
        "family": model.functions.family,
        "config": dataclasses.asdict(model.functions.config),
        "tokenizer": model.tokenizer.filename,
        "prompt_format": model.prompt_format,
    }
    if base:
        description["lora"] = dataclasses.asdict(model.functions.lora)
        description["base"] = dataclasses.asdict(base)
    write_json(directory / MODEL_FILE, description)


def export_model(model: Model, directory: str | Path, dtype: str | None = None) -> transfer.Export:
    """Writes a model in Hugging Face's layout: config.json, tokenizer and safetensors.

    Args:
        model: what to write.
        directory: must hold no weights yet.
        dtype: 'float32', 'bfloat16' or 'float16'; None writes what the model holds, so that nothing
            is rounded.

    Returns:
        What was written.
    """
    directory = Path(directory)
    functions, tokenizer = model.functions, model.tokenizer
    family = lookup.find("models", functions.family)
    dtype = dtype or functions.config.param_dtype
    tensors = transfer.export_tensors(
        model.load(), family.hf_table(functions.config), functions.config, dtype
    )
    safetensors.write_model(directory, tensors)
    tokenizer.save(directory)
    ids = {"bos_token_id": tokenizer.bos_id, "eos_token_id": tokenizer.eos_id}
    published = family.to_hf(functions.config) | ids | {"torch_dtype": dtype}
    text = json.dumps(published, indent=2)
    (directory / "config.json").write_text(text + "\n", encoding="utf-8")
    return tensors


def abstract_params(functions: Functions, mesh: Mesh) -> dict[str, jax.ShapeDtypeStruct]:
    """Shape, dtype and sharding of all that is trained: what a checkpoint is restored into."""
    shardings = sharding.param_shardings(mesh, functions.letters, functions.abstract)
    return {
        name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=shardings[name])
        for name, leaf in functions.abstract.items()
        if name in functions.trained
    }


def _open_directory(
    path: Path, mesh: Mesh, step: int | Literal["best"] | None, switches: Mapping[str, Any]
) -> Model:
    where = path / MODEL_FILE
    try:
        description = json.loads(where.read_text(encoding="utf-8"))
        family = _family(description["family"], where)
        with _naming(where):
            described = family.Config(**description["config"])
        tokenizer = tokenizers.load(path / description["tokenizer"])
        prompt_format = description["prompt_format"]
        base = Base(**description["base"]) if "base" in description else None
        with _naming(where):
            lora = Lora(**description["lora"]) if base else None
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{where} does not describe a model: {error}") from error
    config = dataclasses.replace(described, **switches)
    functions = Functions(family, config)
    with _naming(path):
        tokenizers.check_fits(tokenizer, config.V)
    with Store(path / CHECKPOINTS) as store:
        found = store.best() if step == "best" else store.latest() if step is None else step
    if found is None:
        which = "checkpoint; was its run stopped before one?"
        if step == "best":
            which = "best checkpoint: its run kept none (config.eval.keep_best); leave the step out"
        raise ValueError(f"{path / CHECKPOINTS} has no {which}")

    def restore(functions: Functions) -> Params:
        with Store(path / CHECKPOINTS) as store:
            return store.restore(found, abstract_params(functions, mesh)).params

    if base is None:
        return Model(functions, tokenizer, prompt_format, found, lambda: restore(functions))
    if config.param_dtype != described.param_dtype:
        raise ValueError(
            f"{path}: its adapters belong to {described.param_dtype} weights, and"
            f" {config.param_dtype} was asked for: export it, and open what that writes"
        )
    frozen = _open_base(base, where, mesh, config.param_dtype)
    with _naming(where):
        adapted = functions.adapted(lora)

    def merged() -> Params:
        params = frozen.load()
        base.check(params, where)
        return adapted.merge(params | restore(adapted))

    return Model(functions, tokenizer, prompt_format, found, merged, base)


def _open_base(base: Base, where: Path, mesh: Mesh, param_dtype: str) -> Model:
    """The model that adapters belong to; not yet known to be the one."""
    step = base.step if (Path(base.path) / MODEL_FILE).is_file() else None
    try:
        return open_model(base.path, mesh, step=step, switches={"param_dtype": param_dtype})
    except ValueError as error:
        raise ValueError(
            f"{where}: the base that its adapters belong to can't be opened: {error}. If it has"
            " moved, write where it is into base.path"
        ) from error


def _family(name: str, where: Path, having: str = "Model") -> ModuleType:
    try:
        return lookup.find("models", name, having)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _family_of(model_type: str, where: Path) -> ModuleType:
    """The family of a config.json: the one that lists its model_type, or has it for a name."""
    for name in lookup.names("models", "HF_MODEL_TYPES"):
        if model_type in (family := lookup.find("models", name)).HF_MODEL_TYPES:
            return family
    return _family(model_type, where)


def _place(array: np.ndarray, placement: jax.sharding.Sharding) -> jax.Array:
    """A host's array on devices, each process giving what its own devices hold.

    `jax.device_put` would first send all of the array to every process, to compare them.
    """
    return jax.make_array_from_callback(array.shape, placement, lambda index: array[index])


@contextlib.contextmanager
def _naming(path: str | Path) -> Iterator[None]:
    """Names the file in an error that comes from a place where it isn't known."""
    try:
        yield
    except ValueError as error:
        if str(error).startswith((f"{path}:", f"{path}/")):
            raise
        raise ValueError(f"{path}: {str(error).removeprefix(f'{Path(path).name}: ')}") from error
