"""Eight devices on the CPU for every test, so that shardings are exercised without accelerators."""

from __future__ import annotations

import os

# Read once, when JAX's CPU backend starts: before any test module imports jax.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = (
    f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
)
