"""Runs scripts in forks of one process that has imported what they import: seconds, each time.

Each line of stdin is a JSON list: the environment, files for stdout and stderr, a script and its
options. Each line of stdout is the exit status. No JAX backend is started before a fork.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys

import ift_jax.assemble.evaluation
import ift_jax.assemble.generation
import ift_jax.assemble.training  # noqa: F401

for line in sys.stdin:
    environment, stdout, stderr, *argv = json.loads(line)
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
        continue
    signal.alarm(120)  # which ends one that hangs
    for stream, path in ((sys.stdout, stdout), (sys.stderr, stderr)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream.fileno())
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = argv
    sys.path.insert(0, os.path.dirname(argv[0]))
    runpy.run_path(argv[0], run_name="__main__")
    sys.exit()
