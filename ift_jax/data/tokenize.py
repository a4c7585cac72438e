"""Store 1: the tokenized draws of each task, as flat arrays on disk.

A task's store depends on its rows, templates, prompt format, tokenizer, seed and shots, and on
nothing else of the mixture. A draw is one example; plain text that is longer than a row is several,
its pieces. Draws are kept in shards, each as long as all before it, so that a store grows by
adding shards and never changes what it has.
"""

from __future__ import annotations

import bisect
import dataclasses
import enum
import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ift_jax.data import cache
from ift_jax.prompts import Special
from ift_jax.tasks.task import Example, Part
from ift_jax.tokenizers import Tokenizer

FIRST_SHARD = 256
"""Draws in shard 0; shard k > 0 holds the draws from `FIRST_SHARD·2^(k-1)` to twice that."""


EMPTY: list[tuple[list[int], list[bool]]] = [([], [])]
"""The examples of a dropped draw: one without tokens. So examples are numbered as draws are,
except after a draw that was split."""


class Outcome(enum.IntEnum):
    """What became of a draw that may have been too long."""

    WHOLE = 0
    FEWER_SHOTS = 1
    CUT = 2
    DROPPED = 3
    SPLIT = 4


@dataclasses.dataclass(frozen=True)
class Lengths:
    """Slots of a row: T of the decoder's and, for an encoder-decoder, E of the encoder's."""

    T: int
    E: int | None = None

    def __str__(self) -> str:
        read = "" if self.E is None else f" and {self.E} for the encoder"
        return f"rows of {self.T} slots{read}"

    def excess(self, trained: Sequence[bool]) -> int:
        """Tokens that an example's input must lose for the example to fit; more than it has, if
        the answer alone is too long."""
        if self.E is None:
            return max(0, len(trained) - 1 - self.T)
        answer = len(trained) - trained.index(True)
        return len(trained) if answer > self.T else max(0, len(trained) - answer - self.E)


def tokenize_example(example: Example, tokenizer: Tokenizer) -> tuple[list[int], list[bool]]:
    """The tokens of an example, and whether loss falls on each.

    Neighbouring text parts are tokenized together, and a token belongs to the part in which its
    text ends. A special token that the tokenizer lacks is left out.
    """
    tokens: list[int] = []
    trained: list[bool] = []
    specials = {Special.BOS: tokenizer.bos_id, Special.EOS: tokenizer.eos_id}
    for is_special, group in itertools.groupby(
        example.parts, lambda part: isinstance(part.content, Special)
    ):
        parts = list(group)
        if is_special:
            known = [part for part in parts if specials[part.content] is not None]
            tokens += [specials[part.content] for part in known]
            trained += [part.trained for part in known]
            continue
        text = "".join(part.content for part in parts)
        if len(parts) == 1:
            ids = tokenizer.encode(text)
            tokens += ids
            trained += [parts[0].trained] * len(ids)
            continue
        ids, ends = tokenizer.encode_spans(text)
        borders = list(itertools.accumulate(len(part.content) for part in parts))
        tokens += ids
        trained += [parts[bisect.bisect_left(borders, end)].trained for end in ends]
    return tokens, trained


def input_and_answer(example: Example) -> Example:
    """An example as an encoder-decoder has it: the last trained parts are its answer.

    All before is the input that the encoder reads, untrained. It ends in EOS, as T5's does, so
    that input and answer are tokenized apart.

    Raises:
        ValueError: there is no text before it: plain text.
    """
    flags = [part.trained for part in example.parts]
    stop = len(flags) - flags[::-1].index(True)
    start = stop - next((n for n, flag in enumerate(flags[:stop][::-1]) if not flag), stop)
    read = [dataclasses.replace(part, trained=False) for part in example.parts[:start]]
    if all(isinstance(part.content, Special) for part in read):
        raise ValueError(
            "plain text has no input for an encoder to read; leave the task out, or train a"
            " decoder-only model on it"
        )
    if read[-1].content is not Special.EOS:
        read.append(Part(Special.EOS, trained=False))
    return Example((*read, *example.parts[start:stop]))


def shorten(
    tokens: list[int], trained: list[bool], excess: int, tokenizer: Tokenizer
) -> tuple[list[int], list[bool]] | None:
    """Cuts `excess` tokens from the front of an example's first input, or gives it up.

    BOS, the separator, and everything from the first trained token on stay: a cut answer would
    be learned as a whole one.

    Returns:
        (tokens, trained), or None where no token of the first input would be left.
    """
    start = int(tokens[0] == tokenizer.bos_id)
    stop = trained.index(True)
    if stop > start and tokens[stop - 1] == tokenizer.eos_id:
        stop -= 1
    if excess >= stop - start:
        return None
    cut = slice(start, start + excess)
    tokens, trained = list(tokens), list(trained)
    del tokens[cut], trained[cut]
    return tokens, trained


def split(
    tokens: list[int], trained: list[bool], most: int
) -> list[tuple[list[int], list[bool]]] | None:
    """Cuts plain text into pieces of `most` tokens, the last one shorter.

    A piece begins with the token that ended the one before: what is nobody's target in the one
    was a target in the other, so each token is trained on exactly once.

    Returns:
        Each piece's (tokens, trained), or None where there is a prompt: an example whose tokens,
        but for the first, are not all trained.
    """
    if not all(trained[1:]):
        return None
    starts = range(0, len(tokens) - 1, most - 1)
    return [(tokens[i : i + most], trained[i : i + most]) for i in starts]


def extend(
    folder: Path,
    count: int,
    candidates: Callable[[int], Iterable[Example]],
    tokenizer: Tokenizer,
    lengths: Lengths,
    about: dict[str, Any],
) -> None:
    """Tokenizes the draws [0, count) that a store hasn't yet.

    Args:
        folder: the store's, named by all that its contents depend on.
        count: draws wanted.
        candidates: what a draw may be, the best first: each next has an exemplar fewer.
        tokenizer: see `ift_jax.tokenizers`.
        lengths: of the rows that its examples must fit in.
        about: what to say in the manifests.

    Raises:
        ValueError: a token id outside the tokenizer's vocabulary, no draw that fits, or plain text
            for an encoder-decoder.
    """
    for shard in range(shard_of(count - 1) + 1 if count else 0):
        cache.cached(
            folder / f"{shard:02d}",
            lambda partial, shard=shard: _write_shard(
                partial, shard, candidates, tokenizer, lengths, about
            ),
        )


def shard_of(draw: int) -> int:
    """The shard that holds a draw."""
    return (draw // FIRST_SHARD).bit_length()


def shard_range(shard: int) -> range:
    """The draws that a shard holds."""
    if not shard:
        return range(FIRST_SHARD)
    return range(FIRST_SHARD << (shard - 1), FIRST_SHARD << shard)


def _write_shard(
    partial: Path,
    shard: int,
    candidates: Callable[[int], Iterable[Example]],
    tokenizer: Tokenizer,
    lengths: Lengths,
    about: dict[str, Any],
) -> dict[str, Any]:
    tokens: list[int] = []
    trained: list[bool] = []
    offsets, outcomes, pieces, targets = [0], [], [], []
    longest = 0
    for draw in shard_range(shard):
        try:
            outcome, examples, size = _tokenize_draw(candidates(draw), tokenizer, lengths)
        except ValueError as error:
            raise ValueError(f"task {about['task']!r}, draw {draw}: {error}") from None
        longest = max(longest, size)
        for ids, flags in examples:
            tokens += ids
            trained += flags
            offsets.append(len(tokens))
            targets.append(sum(flags[1:]))
        outcomes.append(outcome)
        pieces.append(len(examples))
    if not tokens:
        raise ValueError(
            f"task {about['task']!r}: none of the draws {shard_range(shard)} fits in {lengths}"
            f" (the longest has {longest} tokens); raise the row length or drop the task"
        )
    if max(tokens) >= tokenizer.vocab_size or min(tokens) < 0:
        raise ValueError(
            f"task {about['task']!r}: token ids run from {min(tokens)} to {max(tokens)}, the"
            f" tokenizer states a vocabulary of {tokenizer.vocab_size}; its file is damaged"
        )
    np.save(partial / "tokens.npy", np.array(tokens, np.int32))
    np.save(partial / "trained.npy", np.array(trained, np.bool_))
    np.save(partial / "offsets.npy", np.array(offsets, np.int64))
    np.save(partial / "outcomes.npy", np.array(outcomes, np.uint8))
    np.save(partial / "pieces.npy", np.array(pieces, np.int64))
    np.save(partial / "targets.npy", np.array(targets, np.int64))
    return {**about, "shard": shard, "tokens": len(tokens), "largest_id": max(tokens)}


def _tokenize_draw(
    candidates: Iterable[Example], tokenizer: Tokenizer, lengths: Lengths
) -> tuple[Outcome, list[tuple[list[int], list[bool]]], int]:
    """What became of a draw, its examples' (tokens, trained), and its tokens before that."""
    outcome = Outcome.WHOLE
    for example in candidates:
        example = example if lengths.E is None else input_and_answer(example)
        tokens, trained = tokenize_example(example, tokenizer)
        # The first token is nobody's target.
        if not any(trained[1:]):
            return Outcome.DROPPED, EMPTY, len(tokens)
        if not (excess := lengths.excess(trained)):
            return outcome, [(tokens, trained)], len(tokens)
        outcome = Outcome.FEWER_SHOTS
    if lengths.E is None and (pieces := split(tokens, trained, lengths.T + 1)):
        return Outcome.SPLIT, pieces, len(tokens)
    if short := shorten(tokens, trained, excess, tokenizer):
        return Outcome.CUT, [short], len(tokens)
    return Outcome.DROPPED, EMPTY, len(tokens)


class TokenStore:
    """Reads a task's tokenized draws, memory-mapped.

    Pickles as its folder, so that a loader process maps the files itself.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._shards: dict[int, dict[str, np.ndarray]] = {}

    def __getstate__(self) -> Path:
        return self.folder

    def __setstate__(self, folder: Path) -> None:
        self.__init__(folder)

    def example(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The (tokens, trained) of an example, int32 and bool of one length; empty if dropped.

        Examples are numbered through: those of a draw after those of all draws before it.
        """
        shard = 0
        while number >= (held := len(self._shard(shard)["targets"])):
            number -= held
            shard += 1
        arrays = self._shard(shard)
        start, stop = arrays["offsets"][number : number + 2]
        return arrays["tokens"][start:stop], arrays["trained"][start:stop]

    def outcomes(self, count: int) -> np.ndarray:
        """The `Outcome` of each draw in [0, count)."""
        return self._gather(count, lambda arrays: arrays["outcomes"])[:count]

    def pieces(self, count: int) -> np.ndarray:
        """The number of examples of each draw in [0, count)."""
        return self._gather(count, lambda arrays: arrays["pieces"])[:count]

    def lengths(self, count: int) -> np.ndarray:
        """The tokens of each example of the draws [0, count), 0 for one that was dropped."""
        lengths = self._gather(count, lambda arrays: np.diff(arrays["offsets"]))
        return lengths[: self.pieces(count).sum()]

    def targets(self, count: int) -> np.ndarray:
        """The trained targets of each example of the draws [0, count)."""
        targets = self._gather(count, lambda arrays: arrays["targets"])
        return targets[: self.pieces(count).sum()]

    def largest_id(self) -> int:
        """The largest token id in the store."""
        manifests = self.folder.glob(f"*/{cache.MANIFEST}")
        return max((cache.read(file.parent)["largest_id"] for file in manifests), default=0)

    def draw_with(self, token: int) -> int:
        """The first draw with a token id, which must be in the store."""
        shard = 0
        while not len(found := np.flatnonzero(self._shard(shard)["tokens"] == token)):
            shard += 1
        arrays = self._shard(shard)
        example = np.searchsorted(arrays["offsets"], found[0], "right") - 1
        place = np.searchsorted(np.cumsum(arrays["pieces"]), example, "right")
        return shard_range(shard).start + int(place)

    def _gather(self, count: int, column: Callable[[dict], np.ndarray]) -> np.ndarray:
        shards = range(shard_of(count - 1) + 1 if count else 0)
        columns = [column(self._shard(shard)) for shard in shards]
        return np.concatenate([np.zeros(0, np.int64), *columns])

    def _shard(self, shard: int) -> dict[str, np.ndarray]:
        if shard not in self._shards:
            folder = self.folder / f"{shard:02d}"
            cache.read(folder)
            self._shards[shard] = {
                name: np.load(folder / f"{name}.npy", mmap_mode="r")
                for name in ("tokens", "trained", "offsets", "outcomes", "pieces", "targets")
            }
        return self._shards[shard]
