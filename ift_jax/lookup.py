"""Finds a model family, task or eval by its module's name: adding one is adding a file."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
from types import ModuleType


def names(package: str) -> list[str]:
    """Names of the modules under `ift_jax.<package>`, subpackages as `world.capitals`."""
    root = importlib.import_module(f"ift_jax.{package}")
    prefix = f"{root.__name__}."
    return sorted(
        found.name.removeprefix(prefix)
        for found in pkgutil.walk_packages(root.__path__, prefix)
        if not found.ispkg
    )


def suggest(name: str, known: list[str]) -> str:
    """' Did you mean X?' for the nearest known name, or nothing."""
    near = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def find(package: str, name: str) -> ModuleType:
    """Imports `ift_jax.<package>.<name>`.

    Raises:
        ValueError: no such module; lists those that exist and suggests the nearest.
    """
    known = names(package)
    if name not in known:
        raise ValueError(
            f"no module {name!r} under ift_jax.{package}.{suggest(name, known)}"
            f" There are: {', '.join(known)}"
        )
    return importlib.import_module(f"ift_jax.{package}.{name}")
