"""How questions are laid into rows, with what they share computed once.

A question is a `Request`: one token sequence for each choice. The sequences of a question, and of
neighbouring questions where that saves work (the same shots), are laid into one row as

    shared prefix | rest of sequence 1 | rest of sequence 2 | …
    segment -1    | segment 1          | segment 2          | …

with positions that continue from the prefix, so that attention, which goes by segments and
positions, lets each sequence see exactly itself. A sequence's last token is predicted, never fed.

An encoder-decoder's encoder reads what a question's sequences have before their scored tokens,
once; only these are laid into the row. Its states depend on all that it reads, so that questions
share nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from ift_jax.dims import SHARED


@dataclasses.dataclass(frozen=True)
class Request:
    """The token sequences whose endings are to be scored together.

    Attributes:
        sequences: for each choice, its whole token sequence: context and continuation.
        starts: for each choice, the index of its first scored token, at least 1.
        name: what an error message calls it.
    """

    sequences: tuple[tuple[int, ...], ...]
    starts: tuple[int, ...]
    name: str = "request"


@dataclasses.dataclass(frozen=True)
class Scored:
    """A token to be scored: read at index `source` of its row, for a choice of a request."""

    source: int
    label: int
    request: int
    choice: int


@dataclasses.dataclass(frozen=True)
class Row:
    """One packed row.

    Attributes:
        tokens, positions, segments: what is fed.
        scored: what is scored in it.
        encoded: what an encoder reads beside it, for all of it.
    """

    tokens: list[int]
    positions: list[int]
    segments: list[int]
    scored: list[Scored]
    encoded: tuple[int, ...] = ()


@dataclasses.dataclass
class _Group:
    """Requests that will share a row, as the token paths that are fed.

    Attributes:
        requests: indices of the requests.
        paths: sequences without their last tokens, none of them the beginning of another one of
            the same request.
        prefix: what all paths begin with.
    """

    requests: list[int]
    paths: list[tuple[int, ...]]
    prefix: tuple[int, ...]

    @property
    def length(self) -> int:
        return self.joined_length(self.prefix, ())

    def joined_length(self, prefix: tuple[int, ...], more: Sequence[tuple[int, ...]]) -> int:
        """Tokens of the row that has these paths, and `more`, after a shared prefix."""
        return len(prefix) + sum(len(path) - len(prefix) for path in (*self.paths, *more))


def plan(requests: Sequence[Request], cost: Callable[[int], float], row_tokens: int) -> list[Row]:
    """Lays requests into rows, joining neighbours where one longer row costs less than two.

    Args:
        requests: what to score; only neighbours are joined.
        cost: of a row of so many tokens, such as its time: attention makes long rows dearer, a
            shared prefix makes joined ones shorter.
        row_tokens: no rows are joined beyond this length.
    """
    groups: list[_Group] = []
    for index, each in enumerate(requests):
        paths = _paths(each.sequences)
        new = _Group([index], paths, common_prefix(paths))
        if groups:
            last = groups[-1]
            prefix = common_prefix([last.prefix, new.prefix])
            joined = last.joined_length(prefix, new.paths)
            separate = cost(last.length) + cost(new.length)
            if joined <= row_tokens and cost(joined) < separate:
                groups[-1] = _Group([*last.requests, index], [*last.paths, *paths], prefix)
                continue
        groups.append(new)
    return [
        _lay_out(group.paths, group.prefix, {index: requests[index] for index in group.requests})
        for group in groups
    ]


def plan_encoded(requests: Sequence[Request], start_id: int) -> list[Row]:
    """Lays requests into rows for an encoder-decoder, each into its own.

    Args:
        requests: what to score; the sequences of each have one context.
        start_id: token that the decoder begins with.
    """
    rows = []
    for index, each in enumerate(requests):
        fed = [(start_id, *s[start:]) for s, start in zip(each.sequences, each.starts, strict=True)]
        paths = _paths(fed)
        answers = Request(tuple(fed), (1,) * len(fed), each.name)
        row = _lay_out(paths, common_prefix(paths), {index: answers})
        rows.append(dataclasses.replace(row, encoded=each.sequences[0][: each.starts[0]]))
    return rows


def _paths(sequences: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """What is fed of sequences, without what is the beginning of another's."""
    paths: list[tuple[int, ...]] = []
    for fed in sorted((s[:-1] for s in sequences), key=len, reverse=True):
        if not any(path[: len(fed)] == fed for path in paths):
            paths.append(fed)
    return paths


def _lay_out(
    paths: Sequence[tuple[int, ...]], prefix: tuple[int, ...], requests: Mapping[int, Request]
) -> Row:
    """The row of these paths after a shared prefix, in which these requests are scored."""
    P = len(prefix)
    row = Row(list(prefix), list(range(P)), [SHARED] * P, [])
    offsets = []
    for segment, path in enumerate(paths, start=1):
        offsets.append(len(row.tokens) - P)
        row.tokens.extend(path[P:])
        row.positions.extend(range(P, len(path)))
        row.segments.extend([segment] * (len(path) - P))
    for index, each in requests.items():
        for choice, (sequence, start) in enumerate(zip(each.sequences, each.starts, strict=True)):
            fed = sequence[:-1]
            own = next(i for i, path in enumerate(paths) if path[: len(fed)] == fed)
            for i in range(start, len(sequence)):
                source = i - 1 if i - 1 < P else i - 1 + offsets[own]
                row.scored.append(Scored(source, sequence[i], index, choice))
    return row


def common_prefix(paths: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The longest beginning that all the paths have in common."""
    # What the first and the last in sorted order share, all between them share as well.
    first, last = min(paths), max(paths)
    for i, (a, b) in enumerate(zip(first, last, strict=False)):
        if a != b:
            return first[:i]
    return first[: len(last)]


def bucket(n: int, least: int) -> int:
    """The smallest of least·(1, 1.5, 2, 3, 4, 6, 8, …) that holds n: two sizes an octave."""
    size = least
    while size < n:
        size = size * 3 // 2 if size & (size - 1) == 0 else size * 4 // 3
    return size
