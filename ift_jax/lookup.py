"""Finds a model family, task or eval by its module's name: adding one is adding a file."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
from types import ModuleType


def names(package: str, having: str | None = None) -> list[str]:
    """Names of the modules under `ift_jax.<package>`, those in subpackages as `world.capitals`.

    Args:
        package: the room to look in.
        having: keep only modules with this attribute (a task has `rows`).
    """
    root = importlib.import_module(f"ift_jax.{package}")
    prefix = f"{root.__name__}."
    found = [
        module.name
        for module in pkgutil.walk_packages(root.__path__, prefix)
        if not module.ispkg
        and (having is None or hasattr(importlib.import_module(module.name), having))
    ]
    return sorted(name.removeprefix(prefix) for name in found)


def suggest(name: str, known: list[str]) -> str:
    """' Did you mean X?' for the nearest known name, or nothing."""
    near = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def find(package: str, name: str, having: str | None = None) -> ModuleType:
    """Imports `ift_jax.<package>.<name>`.

    Raises:
        ValueError: no such module; lists those that exist and suggests the nearest.
    """
    path = f"ift_jax.{package}.{name}"
    if not _exists(path) or (
        having is not None and not hasattr(importlib.import_module(path), having)
    ):
        known = names(package, having)
        raise ValueError(
            f"no module {name!r} under ift_jax.{package}.{suggest(name, known)}"
            f" There are: {', '.join(known)}"
        )
    return importlib.import_module(path)


def _exists(path: str) -> bool:
    try:
        return importlib.util.find_spec(path) is not None
    except (ModuleNotFoundError, ValueError):
        return False
