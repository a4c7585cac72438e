"""Checkpoints of a run: Orbax writes and reads the arrays, this module says which are whole.

Orbax commits atomically and restores onto any mesh, but a failed asynchronous save still counts
as its latest step, a flipped bit is restored as a wrong number, and a dtype is cast without a
word. So each step is *sealed* after Orbax is done: every file is flushed to disk and hashed, and
`seal.json` lists the hashes with the arrays' names, shapes and dtypes. A step without a seal does
not exist; one whose files or names disagree with its seal is refused. Where the run was evaluated,
the seal says how good the step is.

    <directory>/run.json               what makes two runs the same, if the caller says
    <directory>/<step>/params/…        Orbax
    <directory>/<step>/train/…         Orbax: optimizer state, where there is one
    <directory>/<step>/seal.json

Over several processes the directory must be one that all see, and all must call `save`, `wait`,
`restore` and `close` alike. Process 0 alone hashes and seals, in the background, reading back what
was just written; a restore divides the checking among the processes. The hashes are of files, not
arrays, so they hold whatever mesh reads them.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from ift_jax.checkpoints import seal
from ift_jax.checkpoints.seal import SEAL, StoreError, write_json

RUN = "run.json"

# Orbax tells of each save in some thirty lines, through the logger that absl's scripts share.
logging.getLogger("absl").addFilter(
    lambda record: record.levelno >= logging.WARNING or "orbax" not in record.pathname
)


@dataclasses.dataclass(frozen=True)
class Restored:
    """What a step holds.

    Attributes:
        params: arrays by name, placed as asked for.
        train: the training state asked for, else None.
        data: the JSON saved beside them, such as the next row.
    """

    step: int
    params: dict[str, jax.Array]
    train: Any
    data: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Quality:
    """How good a step is, by one measure, the same for all steps of a run.

    Attributes:
        metric: what was measured, such as 'held_out/loss'.
        value: a finite number.
        higher_is_better: whether more of it is better.
    """

    metric: str
    value: float
    higher_is_better: bool

    @property
    def rank(self) -> float:
        """The larger, the better."""
        return self.value if self.higher_is_better else -self.value

    def __str__(self) -> str:
        return f"{self.metric} {self.value:.4g}"


class Store:
    """The checkpoints of one directory. One `Store` at a time may save; any number may read."""

    def __init__(
        self,
        directory: str | Path,
        *,
        keep: int | None = None,
        identity: Mapping[str, Any] | None = None,
    ):
        """Opens a directory, which need not exist.

        Args:
            directory: holds a folder a step.
            keep: how many of the newest steps to keep, besides the best one; None keeps all.
            identity: JSON of whatever makes two runs the same run (model, data, seed, …); kept at
                the first save and compared from then on.

        Raises:
            StoreError: the directory belongs to a run with another identity; names the keys.
        """
        if keep is not None and keep < 1:
            raise ValueError(f"keep = {keep}, expected at least 1, or None for all")
        self.directory = Path(directory).absolute()
        self._keep = keep
        self._identity = None if identity is None else json.loads(json.dumps(identity))
        self._check_identity()
        self._checkpointer = ocp.AsyncCheckpointer(ocp.CompositeCheckpointHandler())
        self._sealer = concurrent.futures.ThreadPoolExecutor(1, "seal")
        self._pending: tuple[int, concurrent.futures.Future] | None = None
        self._opened_to_write = False

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        # If this process has failed, the others may be elsewhere, and never come to wait.
        self.close(together=kind is None)

    def steps(self) -> list[int]:
        """The sealed steps on disk at this moment, ascending."""
        folders = (path.parent.name for path in self.directory.glob(f"*/{SEAL}"))
        return sorted(int(name) for name in folders if name.isdecimal())

    def latest(self) -> int | None:
        """The newest sealed step on disk at this moment."""
        return max(self.steps(), default=None)

    def best(self) -> int | None:
        """The sealed step of the best quality, the first of equals; None where none has any."""
        found = {step: self.quality(step) for step in self.steps()}
        found = {step: quality.rank for step, quality in found.items() if quality}
        return max(found, key=found.__getitem__, default=None)

    def quality(self, step: int) -> Quality | None:
        """How good a sealed step is, if that was measured.

        Raises:
            StoreError: its seal is damaged.
        """
        measured = seal.read(self.directory / str(step)).get("quality")
        return measured and Quality(**measured)

    def save(
        self,
        step: int,
        params: Mapping[str, Any],
        *,
        train: Any = None,
        data: Mapping[str, Any] | None = None,
        quality: Quality | None = None,
        wait: bool = False,
    ) -> None:
        """Saves a step in the background; arrays may be donated once this returns.

        Args:
            step: its number; must not be there yet.
            params: arrays by name.
            train: a pytree of arrays, such as optimizer state.
            data: JSON to keep with them.
            quality: how good they are; the step of the best is kept.
            wait: return only when the step is sealed.

        Raises:
            StoreError: this step exists, or an earlier save failed.
        """
        self.wait()
        self._open_to_write()
        if step in self.steps():
            raise StoreError(
                f"{self.directory / str(step)} exists already; resume from it, or remove it"
            )
        groups = _groups(params, train)
        arrays = {group: _specs(leaves) for group, leaves in groups.items()}
        content = {"step": step, "data": dict(data or {}), "arrays": arrays}
        if quality:
            content["quality"] = dataclasses.asdict(quality)
        content = json.loads(json.dumps(content))  # fails now rather than in the background
        self._checkpointer.save(
            self.directory / str(step),
            ocp.args.Composite(**{k: ocp.args.StandardSave(v) for k, v in groups.items()}),
            force=True,  # over the remains of a save that was never sealed
        )
        self._pending = step, self._sealer.submit(self._seal, step, content)
        if wait:
            self.wait()

    def check_errors(self) -> None:
        """Raises if a background save has failed; call it every step."""
        if self._pending and self._pending[1].done():
            self._finish()

    def close(self, *, together: bool = True) -> None:
        """Waits for the last save, on all processes or this one, and raises if it failed."""
        try:
            self.wait() if together else self._finish()
        finally:
            self._sealer.shutdown()

    def restore(
        self,
        step: int,
        params: Mapping[str, jax.ShapeDtypeStruct],
        *,
        train: Any = None,
    ) -> Restored:
        """Reads a step onto whatever devices its arrays are asked for.

        Args:
            step: a sealed step.
            params: shape, dtype and sharding (default: this process's first device) of each.
            train: a pytree of the same for the training state; None leaves it unread.

        Raises:
            StoreError: no such step; a file is damaged; an array is missing, unknown, or of
                another shape or dtype than asked for (nothing is cast).
        """
        self.wait()
        path = self.directory / str(step)
        if step not in self.steps():
            raise StoreError(
                f"{self.directory} has no step {step}; it has {self.steps() or 'none'}"
                + (f" ({path} was never sealed: its save did not finish)" if path.exists() else "")
            )
        content = seal.read(path)
        groups = _groups(params, train)
        for group, wanted in groups.items():
            if group not in content["arrays"]:
                raise StoreError(
                    f"{path}: holds no {group} state: this is a model, not a run; use another"
                    " --workdir"
                )
            _check_specs(path, group, content["arrays"][group], _specs(wanted))
        seal.check_files(path, content["files"], groups)
        found = self._checkpointer.restore(
            path,
            ocp.args.Composite(
                **{k: ocp.args.StandardRestore(_placed(v)) for k, v in groups.items()}
            ),
        )
        if "train" in groups:
            structure = jax.tree.structure(train)
            train = structure.unflatten([found.train[name] for name in groups["train"]])
        return Restored(step, dict(found.params), train, content["data"])

    def _seal(self, step: int, content: dict[str, Any]) -> None:
        """Ends a save: what comes before is not a checkpoint yet. Runs in the background."""
        self._checkpointer.wait_until_finished()  # raises what went wrong in Orbax
        if jax.process_index() == 0:
            seal.write(self.directory / str(step), content)
            for old in self._outdated():
                (self.directory / str(old) / SEAL).unlink()  # first, or half a step looks whole
                shutil.rmtree(self.directory / str(old))

    def _outdated(self) -> list[int]:
        """The steps to remove: neither among the newest nor the best."""
        best = self.best()
        return [step for step in self.steps()[: -self._keep] if step != best] if self._keep else []

    def wait(self) -> None:
        """Waits until the last save is sealed, on all processes, and raises if it failed."""
        self._finish()
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices("checkpoint sealed")

    def _finish(self) -> None:
        """Ends this process's part of the pending save. A failure is raised again each time."""
        if self._pending:
            step, future = self._pending
            if error := future.exception():
                raise StoreError(
                    f"{self.directory}: step {step} was not saved: {error}. The newest checkpoint"
                    f" is {self.latest()}; look at the disk's free space and permissions"
                ) from error
            self._pending = None

    def _open_to_write(self) -> None:
        """At the first save: claims the directory and clears what a killed save left behind."""
        if self._opened_to_write:
            return
        self._check_identity()
        self._opened_to_write = True
        if jax.process_index() == 0:
            self.directory.mkdir(parents=True, exist_ok=True)
            for remains in self.directory.glob("*.orbax-checkpoint-tmp*"):
                shutil.rmtree(remains)
            if self._identity is not None and not (self.directory / RUN).exists():
                write_json(self.directory / RUN, self._identity)

    def _check_identity(self) -> None:
        path = self.directory / RUN
        if self._identity is None or not path.exists():
            return
        try:
            before = _leaves(json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise StoreError(f"{path} is damaged: {error}") from error
        now = _leaves(self._identity)
        differing = [
            f"  {key}: {now.get(key, '(absent)')!r}, the run has {before.get(key, '(absent)')!r}"
            for key in sorted(before.keys() | now.keys())
            if before.get(key, ...) != now.get(key, ...)
        ]
        if differing:
            raise StoreError(
                f"{self.directory} belongs to a run with another config; set these back, or use a"
                " new directory:\n" + "\n".join(differing)
            )


def _groups(params: Mapping[str, Any], train: Any) -> dict[str, dict[str, Any]]:
    """What is saved apart: parameters, and the training state's leaves by path ('0.mu.embed.w')."""
    leaves = jax.tree_util.tree_leaves_with_path(train)
    state = {jax.tree_util.keystr(at, simple=True, separator="."): leaf for at, leaf in leaves}
    return {"params": dict(params)} | ({"train": state} if state else {})


def _leaves(nested: Any, at: str = "") -> dict[str, Any]:
    if not isinstance(nested, dict):
        return {at: nested}
    return {
        key: leaf
        for name, value in nested.items()
        for key, leaf in _leaves(value, f"{at}.{name}" if at else name).items()
    }


def _specs(leaves: Mapping[str, Any]) -> dict[str, str]:
    """Dtype and shape of each array as one text: 'float32[2,3]'."""
    return {
        name: f"{np.dtype(leaf.dtype).name}[{','.join(map(str, leaf.shape))}]"
        for name, leaf in leaves.items()
    }


def _check_specs(
    path: Path, group: str, seen: Mapping[str, str], expected: Mapping[str, str]
) -> None:
    differing = [
        f"  {name}: the checkpoint has {seen.get(name, 'none')}, expected"
        f" {expected.get(name, 'none')}"
        for name in sorted(seen.keys() | expected.keys())
        if seen.get(name) != expected.get(name)
    ]
    if differing:
        raise StoreError(
            f"{path}: {group} of another model or optimizer; {len(differing)} arrays differ:\n"
            + "\n".join(differing[:20])
            + ("\n  …" if len(differing) > 20 else "")
        )


def _placed(leaves: Mapping[str, jax.ShapeDtypeStruct]) -> dict[str, jax.ShapeDtypeStruct]:
    """The same with a sharding for each; Orbax would else take the one that it was saved with."""
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return {
        name: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=getattr(leaf, "sharding", None) or here
        )
        for name, leaf in leaves.items()
    }
