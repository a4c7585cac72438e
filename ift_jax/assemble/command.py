"""How a script runs: its options parsed, and what a person got wrong told in one line."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
from absl import app, flags, logging
from ml_collections.config_flags import config_flags

from ift_jax.assemble import processes
from ift_jax.config import RULES, nearest

# Options that this room defines are listed by the --help of the script that asked for them.
flags.disclaim_key_flags()


def run(main: Callable[..., None], *, words: bool = False, together: bool = False) -> None:
    """Parses the command line and calls `main`.

    A `ValueError`, which is how this package refuses input, a file that can't be opened, or an
    option that doesn't exist ends the script with exit status 1 and a line that says so; --debug
    shows its trace. Anything else is a bug and keeps its trace.

    Args:
        main: the script.
        words: whether `main` takes a list of the words that are no options.
        together: whether the processes that the environment tells of (`processes.find`) do it
            together; else each is by itself.
    """
    flags.DEFINE_bool("debug", False, "when input is refused, show where, with a trace")
    flags.FLAGS.set_gnu_getopt()  # options may follow words
    logging.set_verbosity(logging.WARNING)

    def parse(argv: list[str]) -> list[str]:
        with _one_line(flags.Error, ValueError, OSError):
            rest = flags.FLAGS(argv)
            if rest[1:] and not words:
                raise flags.Error(f"unexpected {rest[1:]}; options look like --name=value")
        return rest

    def guarded(rest: list[str]) -> None:
        with processes.leaving_on_failure(), _one_line(ValueError, OSError):
            cache_compilations()
            if together:
                processes.connect()
            main(rest[1:]) if words else main()

    app.run(guarded, flags_parser=parse)


def define_config(name: str, default: str | None = None) -> flags.FlagHolder:
    """Defines an option for a config file, whose fields `--name.field=value` changes.

    Args:
        name: the option.
        default: a config file, read at once with the changes to it; without one, the option is
            required.
    """
    with _one_line(flags.Error, ValueError, OSError):
        # Before the file is read: the `KeyError` or `AttributeError` that an unknown key would end
        # in may as well be a bug in it.
        _check_keys(sys.argv, name)
        option = config_flags.DEFINE_config_file(
            name, default, "the run's config, such as configs/quickstart.py", lock_config=True
        )
    if default is None:
        flags.mark_flag_as_required(name)
    return option


def cache_compilations() -> None:
    """Keeps what is compiled in the user's cache folder, for the next run, unless JAX was told.

    JAX's own settings come first: JAX_COMPILATION_CACHE_DIR names another folder, and
    JAX_ENABLE_COMPILATION_CACHE=false keeps nothing.
    """
    if jax.config.jax_compilation_cache_dir is not None:
        return
    # A folder for each kind of CPU: what is compiled for one may not run on another.
    cpuinfo = Path("/proc/cpuinfo")
    features = re.search(
        r"^(?:flags|Features)\b.*", cpuinfo.read_text() if cpuinfo.exists() else "", re.MULTILINE
    )
    kind = features[0] if features else platform.processor()
    kind = hashlib.sha256(kind.encode()).hexdigest()[:12]
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    jax.config.update("jax_compilation_cache_dir", str(caches / "ift_jax" / "compiled" / kind))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def check_folder(option: str, folder: str | Path) -> None:
    """Refuses a folder that can't be made or written, before there is work to lose.

    Raises:
        ValueError: a file is in its place, or its parent can't be written; names the option.
    """
    folder = Path(folder)
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise ValueError(f"--{option}={folder}: {there} is a file; name a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"--{option}={folder}: {there} can't be written; name another folder")


@contextlib.contextmanager
def _one_line(*refusals: type[Exception]) -> Iterator[None]:
    try:
        yield
    except refusals as error:
        # Not FLAGS.debug: it may be the parsing that failed.
        if any(word.lstrip("-") in ("debug", "debug=true") for word in sys.argv):
            raise
        raise SystemExit(f"{Path(sys.argv[0]).stem}: {_message(error)}") from None


def _message(error: Exception) -> str:
    """What a person is told of an error."""
    text = str(error)
    if isinstance(error, OSError):
        if error.filename:
            return f"{error.filename}: {error.strerror}"
        # ml_collections tells of a config file that can't be read in several lines.
        unread = re.search(r"\[Errno \d+\] (.+): '(.+)'", text)
        return f"{unread[2]}: {unread[1]}" if unread else text
    if missing := re.search(r"Flag --(\w+) must have a value other than None", text):
        return f"--{missing[1]} is required: {flags.FLAGS[missing[1]].help}"
    if "Error whilst parsing config file" in text:
        # Raised by ml_collections with the trace as its text, over what the config file raised.
        option, cause = text.split(": Error whilst")[0].removeprefix("flag "), error
        while "Error whilst" in str(cause):
            cause = cause.__context__
        if "get_config() takes" in str(cause):
            return f"{option}: this config takes no argument after a colon"
        kind = "" if isinstance(cause, ValueError) else f"{type(cause).__name__}: "
        return f"{option}: {kind}{cause}"
    return text


def _check_keys(argv: list[str], option: str) -> None:
    """Refuses an override of a key that no config has."""
    for word in argv[1:]:
        override = re.match(rf"--?(?:no)?{option}\.([^=[]*)", word)
        if not override:
            continue
        key = override[1]
        if not any(f"{known}.".startswith(f"{key}.") for known in RULES):
            raise flags.Error(f"{word}: no such config key.{nearest(key)}")


class _OrNone(flags.ArgumentParser):
    """Reads a config's value, or 'None', by which a field that may be absent is switched off."""

    def __init__(self, parser: flags.ArgumentParser, what: str):
        self._parser, self._what = parser, what
        self.syntactic_help = parser.syntactic_help

    def parse(self, argument: Any) -> Any:
        if argument == "None":
            return None
        try:
            return self._parser.parse(argument)
        except (TypeError, ValueError):
            raise ValueError(
                f"expected {self._what}, or None for a field that may be absent"
            ) from None

    def flag_type(self) -> str:
        return self._parser.flag_type()


for _type, _parser, _what in (
    (int, flags.IntegerParser(), "a whole number"),
    (float, flags.FloatParser(), "a number"),
    (str, flags.ArgumentParser(), "text"),
):
    config_flags.register_flag_parser_for_type(_type, _OrNone(_parser, _what))
