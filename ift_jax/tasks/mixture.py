"""A mixture of tasks: at what rate each is drawn, which row, template and exemplars, as data.

Everything drawn is a pure function of the seed, the task's name and a count, so that any process
can make any example without having made those before it. Draws come from BLAKE2 digests of the
key and from `random.Random(int).random()`: both are specified to give the same values on every
platform and Python version. A million draws take 2.4 seconds on one core, 5.5 with exemplars in
half of them.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import hashlib
import inspect
import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence

from ift_jax import lookup, prompts
from ift_jax.tasks.task import Example, Template

# Between the exemplars of a few-shot prompt, and before its question. Chung et al. 2022 draw the
# delimiter by example, so that the model doesn't come to depend on one.
DELIMITERS = ("\n\n", "\n\n\n", "\n---\n", "\n###\n")

# The row field that a prompt format may set apart from the instruction, as Alpaca's does.
CONTEXT = "input"


@dataclasses.dataclass(frozen=True)
class Entry:
    """A task's place in a mixture.

    Attributes:
        task: `TASK[@SPLIT][:PATH]`, such as `world.true_false`, `world.statements@mixture` or
            `alpaca:FILE.json`; the split is `train` where none is named.
        weight: the rate, in proportion to the other entries' weights. None, for all entries of a
            mixture, makes rates proportional to the number of rows.
        cap: without a weight, the number of rows beyond which the rate grows no more. It limits
            the rate, not the rows: all of them are drawn (T5's examples-proportional mixing).
        shots: numbers of exemplars that a few-shot example may have, equally likely.
        shot_share: the share of examples that are few-shot, 0 to 1.
    """

    task: str
    weight: float | None = None
    cap: int | None = None
    shots: tuple[int, ...] = (0,)
    shot_share: float = 0.0

    def __post_init__(self):
        where = f"mixture entry {self.task!r}"
        if self.weight is not None and not (math.isfinite(self.weight) and self.weight >= 0):
            raise ValueError(f"{where}: weight is {self.weight}; give a number from 0 up, or None")
        if self.cap is not None and self.cap < 1:
            raise ValueError(
                f"{where}: cap is {self.cap}; give a number of rows from 1 up, or None"
            )
        if self.weight is not None and self.cap is not None:
            raise ValueError(
                f"{where}: has both weight {self.weight} and cap {self.cap}; a cap limits a rate"
                " taken from the number of rows, so drop one of the two"
            )
        if not self.shots or min(self.shots) < 0:
            raise ValueError(f"{where}: shots is {self.shots}; give numbers of exemplars from 0 up")
        if not 0 <= self.shot_share <= 1:
            raise ValueError(f"{where}: shot_share is {self.shot_share}; give a share from 0 to 1")

    @property
    def most_shots(self) -> int:
        """The largest number of exemplars an example may have."""
        return max(self.shots) if self.shot_share else 0


@dataclasses.dataclass(frozen=True)
class Source:
    """A task's rows and templates, read."""

    name: str
    rows: tuple[Mapping[str, str], ...]
    templates: tuple[Template, ...]


@dataclasses.dataclass(frozen=True)
class Draw:
    """What one example is made of: indices into its source and into `DELIMITERS`."""

    row: int
    template: int
    exemplars: tuple[int, ...]
    delimiter: int


@dataclasses.dataclass(frozen=True)
class Mixture:
    """Tasks drawn by rate, rendered in one prompt format (a key of `prompts.FORMATS`)."""

    entries: tuple[Entry, ...]
    format: str
    seed: int

    def __post_init__(self):
        prompts.find(self.format)
        if not self.entries:
            raise ValueError("the mixture is empty: give it at least one Entry(task=…)")
        seen = set()
        for entry in self.entries:
            if entry.task in seen:
                raise ValueError(
                    f"the mixture lists {entry.task!r} twice: make it one entry, weights summed"
                )
            seen.add(entry.task)

    def sources(self) -> tuple[Source, ...]:
        """Every entry's task, read and checked against the entry."""
        sources = tuple(resolve(entry.task) for entry in self.entries)
        for entry, source in zip(self.entries, sources, strict=True):
            check_shots(entry, source)
        return sources

    def examples(self, count: int) -> Iterator[Example]:
        """The mixture's first `count` examples."""
        sources, format = self.sources(), prompts.find(self.format)
        shares = rates(self.entries, [len(source.rows) for source in sources])
        for index, number in schedule(shares, self.seed, count):
            source = sources[index]
            yield render(source, draw(source, self.entries[index], self.seed, number), format)


def task_names() -> list[str]:
    """Names of the modules under `ift_jax.tasks` that are tasks."""
    return [name for name in lookup.names("tasks") if _is_task(lookup.find("tasks", name))]


def resolve(spec: str) -> Source:
    """Reads the task that `TASK[@SPLIT][:PATH]` names.

    Raises:
        ValueError: no such task or split, a path missing or not wanted, no rows, or a row that is
            not text fields.
    """
    task, _, path = spec.partition(":")
    name, _, split = task.partition("@")
    module = lookup.find("tasks", name)
    if not _is_task(module):
        raise ValueError(f"{name!r} is a module, not a task. Tasks: {', '.join(task_names())}")
    if path and "path" not in inspect.signature(module.rows).parameters:
        raise ValueError(f"task {name!r} reads no file: write {task!r} without ':{path}'")
    split = split or "train"
    rows = tuple(module.rows(split, path) if path else module.rows(split))
    if not rows:
        raise ValueError(f"task {spec!r} has no rows in split {split!r}")
    for number, row in enumerate(rows):
        if not all(isinstance(text, str) for text in row.values()):
            raise ValueError(f"task {spec!r}, row {number}: a field is not text: {row!r}")
    return Source(spec, rows, tuple(module.TEMPLATES))


def rates(entries: Sequence[Entry], counts: Sequence[int]) -> tuple[float, ...]:
    """The share of examples drawn from each entry; they sum to 1.

    By weight where the entries have one, else in proportion to min(rows, cap).

    Args:
        entries: the mixture's entries.
        counts: the number of rows of each.

    Raises:
        ValueError: no entries, weights for only some of them, or weights that are all 0.
    """
    if not entries:
        raise ValueError("the mixture is empty: give it at least one Entry(task=…)")
    unweighted = [entry.task for entry in entries if entry.weight is None]
    if unweighted and len(unweighted) < len(entries):
        raise ValueError(
            f"some entries have a weight and {', '.join(unweighted)} none: weigh all or none"
        )
    sizes = [
        min(count, entry.cap or count) if entry.weight is None else entry.weight
        for entry, count in zip(entries, counts, strict=True)
    ]
    total = math.fsum(sizes)
    if not total:
        raise ValueError(f"all rates are 0, of {', '.join(e.task for e in entries)}: raise one")
    return tuple(size / total for size in sizes)


def schedule(rates: Sequence[float], seed: int, count: int) -> list[tuple[int, int]]:
    """The first `count` slots: (entry's index, how many slots that entry had before).

    A longer schedule begins with the shorter one of the same rates and seed.
    """
    uniform = random.Random(_integer("schedule", seed)).random
    *edges, _ = itertools.accumulate(rates)
    used = [0] * len(rates)
    slots = []
    for _ in range(count):
        index = bisect.bisect(edges, uniform())
        slots.append((index, used[index]))
        used[index] += 1
    return slots


def draw(source: Source, entry: Entry, seed: int, number: int) -> Draw:
    """The `number`-th draw from a source.

    Rows come in epochs, each a fresh permutation of all rows; exemplars are distinct other rows
    of the same task, asked by the same template.

    Raises:
        ValueError: the source has too few rows for the entry's exemplars.
    """
    count = len(source.rows)
    epoch, place = divmod(number, count)
    row = _permutation(seed, source.name, epoch, count)[place]
    key = ("draw", seed, source.name, number)
    picks = _integer(*key)
    picks, template = divmod(picks, len(source.templates))
    picks, delimiter = divmod(picks, len(DELIMITERS))
    exemplars: list[int] = []
    if entry.shot_share:
        check_shots(entry, source)
        picks, shots = divmod(picks, len(entry.shots))
        few_shot = picks % 2**32 < entry.shot_share * 2**32
        attempts = itertools.count()
        while few_shot and len(exemplars) < entry.shots[shots]:
            other = _integer(*key, next(attempts)) % count
            if other != row and other not in exemplars:
                exemplars.append(other)
    return Draw(row, template, tuple(exemplars), delimiter)


def check_shots(entry: Entry, source: Source) -> None:
    """Checks that a source can fill an entry's few-shot examples.

    Raises:
        ValueError: too few rows for that many exemplars, or exemplars asked of plain text.
    """
    if entry.most_shots >= len(source.rows):
        raise ValueError(
            f"task {source.name!r} has {len(source.rows)} rows: too few for a row and"
            f" {entry.most_shots} exemplars; lower the entry's shots"
        )
    if entry.most_shots and not all(template.inputs for template in source.templates):
        raise ValueError(f"task {source.name!r} is plain text, without exemplars: drop its shots")


def render(source: Source, draw: Draw, format: prompts.Format) -> Example:
    """Puts a draw into words.

    A template without inputs gives plain text, whatever the format. Else the prompt is the
    format's, over the filled template and the row's `input` field if it has one; exemplars go
    before it, each with its answer, separated by the drawn delimiter.
    """
    template = source.templates[draw.template]
    row = source.rows[draw.row]
    inputs, targets = template.render(row)
    if not template.inputs:
        return Example.plain(targets)
    context = row.get(CONTEXT, "")
    if draw.exemplars:
        blocks = []
        for index in draw.exemplars:
            asked, answered = template.render(source.rows[index])
            blocks.append(f"{_with_context(asked, source.rows[index])} {answered}")
        blocks.append(_with_context(inputs, row))
        inputs, context = DELIMITERS[draw.delimiter].join(blocks), ""
    prompt = format.prompt(inputs, context)
    separator = prompts.Special.EOS if format.eos_separator else None
    return Example.pair(prompt, format.answer(targets) + format.ending, separator)


def _with_context(inputs: str, row: Mapping[str, str]) -> str:
    return f"{inputs}\n{row[CONTEXT]}" if row.get(CONTEXT) else inputs


def _is_task(module) -> bool:
    return hasattr(module, "rows") and hasattr(module, "TEMPLATES")


def _integer(*key: object) -> int:
    """A 128-bit integer that depends on the key's text alone."""
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=16).digest(), "little")


@functools.lru_cache(maxsize=128)
def _permutation(seed: int, name: str, epoch: int, count: int) -> tuple[int, ...]:
    """The order of rows in an epoch; kept, as neighbouring draws want the same one."""
    uniform = random.Random(_integer("rows", seed, name, epoch)).random
    keys = [uniform() for _ in range(count)]
    return tuple(sorted(range(count), key=keys.__getitem__))
