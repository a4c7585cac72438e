"""Eight devices on the CPU for every test, so that shardings are exercised without accelerators."""

from __future__ import annotations

import importlib.metadata
import os

# Read once, when JAX's CPU backend starts: before any test module imports jax.
os.environ["JAX_PLATFORMS"] = "cpu"
# Without LLVM's costly passes, compiling takes half the time, and tests do little else. In one
# piece, as pytest's processes keep all cores busy.
os.environ["XLA_FLAGS"] = (
    f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    " --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    " --xla_cpu_parallel_codegen_split_count=1"
)
# More than half of what is left are the newer fusion emitters. Later versions have no others, so
# that the tests on Python 3.12, whose JAX is one, are those of what users run.
if importlib.metadata.version("jaxlib").startswith("0.10."):
    os.environ["XLA_FLAGS"] += " --xla_cpu_use_fusion_emitters=false"
# Nothing that another run compiled, and nothing left in the user's cache; scripts inherit it.
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
