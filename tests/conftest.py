"""Eight devices on the CPU for every test, so that shardings are exercised without accelerators."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

# Read once, when JAX's CPU backend starts: before any test module imports jax.
os.environ["JAX_PLATFORMS"] = "cpu"
# Without LLVM's costly passes, compiling takes half the time, and tests do little else.
os.environ["XLA_FLAGS"] = (
    f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    " --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)
# What one test of this run compiled another needn't, nor a script or another worker, which inherit
# these; nothing of another run, and nothing left in the user's cache.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="ift_jax_compiled_")
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"
