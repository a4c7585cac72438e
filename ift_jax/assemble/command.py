"""How a script runs: options parsed, errors of input as one line, no stack trace for a typo."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from absl import app, flags, logging


def run(main: Callable[[], None]) -> None:
    """Parses the command line and calls `main`.

    An unknown config key, a file that can't be opened, or a `ValueError`, which is how this
    package refuses input, ends the script with exit status 1 and the message. Anything else is a
    bug and keeps its trace.
    """
    name = Path(sys.argv[0]).stem
    logging.set_verbosity(logging.WARNING)

    def parse(argv: list[str]) -> list[str]:
        try:
            rest = flags.FLAGS(argv, known_only=False)
        except flags.Error as error:
            raise SystemExit(f"{name}: {error}\nSee {argv[0]} --help") from None
        except AttributeError as error:  # what a locked ConfigDict raises for a key that it lacks
            raise SystemExit(f"{name}: {_unknown_key(str(error), argv)}") from None
        if rest[1:]:
            raise SystemExit(f"{name}: unexpected {rest[1:]}; options look like --name=value")
        return rest

    def guarded(_: list[str]) -> None:
        try:
            main()
        except (ValueError, OSError) as error:
            raise SystemExit(f"{name}: {error}") from None

    app.run(guarded, flags_parser=parse)


def _unknown_key(message: str, argv: list[str]) -> str:
    """The option that names a key which no config has, and the key it may have meant."""
    near = re.search(r'Did you mean "(\w+)" instead of "(\w+)"', message)
    wrong = near[2] if near else (re.search(r"'(\w+)'", message) or [message, message])[1]
    option = next((word for word in argv if re.search(rf"\.{wrong}\b", word)), wrong)
    return f"{option}: no such config key." + (f" Did you mean {near[1]!r}?" if near else "")
