"""Eight devices on the CPU for every test, so that shardings are exercised without accelerators."""

from __future__ import annotations

import os

# Read once, when JAX's CPU backend starts: before any test module imports jax.
os.environ["JAX_PLATFORMS"] = "cpu"
# Without LLVM's costly passes, compiling takes half the time, and tests do little else.
os.environ["XLA_FLAGS"] = (
    f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    " --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)
# Nothing that another run compiled, and nothing left in the user's cache; scripts inherit it.
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
