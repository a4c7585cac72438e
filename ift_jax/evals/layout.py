"""How questions are laid into rows, with what they share computed once.

A question is a `Request`: one token sequence for each choice. Questions that begin alike (the same
shots) are a `Group`: their common beginning, the prefix, is computed once, and rows of the rest
follow it. Groups stand in an order in which each prefix has most in common with the one before it
(of questions that lost shots, as they are long, a beginning of the others'), which isn't computed
again. In a row, several questions follow each other,

    rest of question 1 | rest of question 2 | …
    segment s, a trunk | segment 2s         | …

with positions that continue from the prefix, so that attention, which goes by segments and
positions, lets each see the prefix and itself. Choices of several tokens branch off their question:

    rest of question 1 | its choice A  | its choice B  | rest of question 2 | …
    segment s          | segment s + 1 | segment s + 2 | segment 2s         | …

A sequence's last token is predicted, never fed; so choices of one token need no token of their own.

An encoder-decoder's encoder reads what a question's sequences have before their scored tokens,
once; only these are laid into the row. Its states depend on all that it reads, so that questions
share nothing.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from ift_jax.dims import BRANCHES

LEAST_PREFIX = 64
"""A prefix costs at least as much as so many tokens: it is a pass of its own through the model.
What fewer tokens have in common is computed again."""

LEAST_ROW = 256
"""Rows of several questions have at least so many tokens: shorter ones would pack worse."""

Cost = Callable[[int, int], float]
"""Of a row of T tokens that follow S others, such as its time."""


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
    """A token to be scored, by what the model says at a place: an index of its row's `reads`."""

    read: int
    label: int
    request: int
    choice: int


@dataclasses.dataclass(frozen=True)
class Row:
    """One packed row.

    Attributes:
        tokens, positions, segments: what is fed.
        reads: the places in it whose next token is asked for.
        scored: what is scored in it.
        length: what it is padded to.
        encoded: what an encoder reads beside it, for all of it.
    """

    tokens: list[int]
    positions: list[int]
    segments: list[int]
    reads: list[int]
    scored: list[Scored]
    length: int = 0
    encoded: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Group:
    """Rows that follow one prefix, which may be empty."""

    prefix: tuple[int, ...]
    rows: list[Row]


@dataclasses.dataclass(frozen=True)
class _Item:
    """A request and what of it is fed.

    Attributes:
        index: the request's.
        paths: its sequences without their last tokens, none of them the beginning of another.
        trunk: what the paths begin with.
        sharable: the beginning of `trunk` up to the first place that is read.
    """

    index: int
    request: Request
    paths: tuple[tuple[int, ...], ...]
    trunk: tuple[int, ...]
    sharable: tuple[int, ...]

    def rest(self, P: int) -> int:
        """How many tokens are fed after a prefix of P."""
        return len(self.trunk) - P + sum(len(path) - len(self.trunk) for path in self.paths)


def plan(requests: Sequence[Request], cost: Cost) -> list[Group]:
    """Lays requests into rows, so that all of it costs little.

    Args:
        requests: what to score, in any order.
        cost: of a row.
    """
    items = [_item(index, each) for index, each in enumerate(requests)]
    items.sort(key=lambda item: item.sharable)
    groups = []
    alone: list[_Item] = []
    for P, members in _shared(items, cost):
        if P:
            groups.append(Group(members[0].trunk[:P], _rows(members, P, cost)))
        else:
            alone += members
    # Backwards, so that a prefix comes before its own beginnings.
    groups.sort(key=lambda group: group.prefix, reverse=True)
    if alone:
        groups.append(Group((), _rows(alone, 0, cost)))
    return groups


def plan_encoded(requests: Sequence[Request], start_id: int) -> list[Group]:
    """Lays requests into rows for an encoder-decoder, each into its own.

    Args:
        requests: what to score; the sequences of each have one context.
        start_id: token that the decoder begins with.
    """
    rows = []
    for index, each in enumerate(requests):
        answers = [s[start:] for s, start in zip(each.sequences, each.starts, strict=True)]
        decoded = Request(tuple((start_id, *a) for a in answers), (1,) * len(answers), each.name)
        row = _lay_out([_item(index, decoded)], 0)
        length = bucket(len(row.tokens), 4, quarters=True)
        encoded = each.sequences[0][: each.starts[0]]
        rows.append(dataclasses.replace(row, length=length, encoded=encoded))
    return [Group((), rows)]


def check_request(each: Request, functions: Any) -> None:
    """Checks a request against a model's sizes.

    Raises:
        ValueError: a token id outside the vocabulary, a sequence longer than the model's context,
            or an empty continuation; names the request and the choice.
    """
    config = functions.config
    if not each.sequences or len(each.sequences) != len(each.starts):
        raise ValueError(
            f"{each.name}: {len(each.sequences)} sequences and {len(each.starts)} starts,"
            " expected at least one sequence and as many starts"
        )
    for choice, (sequence, start) in enumerate(zip(each.sequences, each.starts, strict=True)):
        if not 1 <= start < len(sequence):
            raise ValueError(
                f"{each.name}, choice {choice}: scored tokens start at {start} of {len(sequence)};"
                " expected at least one token before and one in the continuation"
            )
        low, high = min(sequence), max(sequence)
        if low < 0 or high >= config.V:
            raise ValueError(
                f"{each.name}, choice {choice}: token id {low if low < 0 else high} is outside the"
                f" model's vocabulary of {config.V}; the tokenizer belongs to another model"
            )
        if functions.encoder_decoder and sequence[:start] != each.sequences[0][: each.starts[0]]:
            raise ValueError(
                f"{each.name}, choice {choice}: another context than choice 0 has; an"
                " encoder-decoder reads one for all choices: keep the EOS separator"
            )
        if (longest := fed_tokens(each, functions)) > config.max_length:
            raise ValueError(
                f"{each.name}, choice {choice}: {longest} tokens do not fit the model's"
                f" context of {config.max_length}; shorten the question or use fewer shots"
            )


def fed_tokens(each: Request, functions: Any) -> int:
    """The most tokens that a model has to take in at once for a request."""
    if not functions.encoder_decoder:
        return max(map(len, each.sequences)) - 1
    answers = (len(s) - start for s, start in zip(each.sequences, each.starts, strict=True))
    return max(*each.starts, *answers)


def _item(index: int, each: Request) -> _Item:
    paths: list[tuple[int, ...]] = []
    for fed in sorted((s[:-1] for s in each.sequences), key=len, reverse=True):
        if not any(path[: len(fed)] == fed for path in paths):
            paths.append(fed)
    trunk = common_prefix(paths)
    return _Item(index, each, tuple(paths), trunk, trunk[: min(each.starts) - 1])


@dataclasses.dataclass
class _Range:
    """A range of sorted items, of which each begins with the same P tokens, and its best groups.

    Attributes:
        items: those of the range.
        P: how many tokens they begin with in common.
        parts: ranges that it consists of.
        groups: for each one the length of its prefix, 0 for none, and its items.
        cost: of the groups.
        begun: how many of their prefixes are computed from their first token on.
    """

    items: list[_Item]
    P: int
    parts: list[_Range]
    groups: list[tuple[int, list[_Item]]]
    cost: float
    begun: int = 0


def _shared(items: Sequence[_Item], cost: Cost) -> list[tuple[int, list[_Item]]]:
    """Splits sorted items into groups: the length of each one's prefix, 0 for none, and its items.

    Items that begin alike are neighbours, and ranges of them form a tree: what a range begins with
    all of its parts begin with. From its leaves up, a range's parts join a group of its own where
    that costs less than the groups they have; those that stay have their prefixes computed from
    there on.
    """

    def close(each: _Range) -> _Range:
        """A range whose parts are all known, with its groups."""
        prefix, row = cost(max(each.P, LEAST_PREFIX), 0), cost(LEAST_ROW, each.P)
        own = [sum(cost(item.rest(each.P), each.P) for item in p.items) for p in each.parts]
        # After this prefix those of the parts go on from there, each with one row more.
        after = [part.cost - part.begun * max(0, prefix - row) for part in each.parts]
        joined = [here < there for here, there in zip(own, after, strict=True)]
        each.items = [item for part in each.parts for item in part.items]
        each.groups = [group for part in each.parts for group in part.groups]
        each.begun = sum(part.begun for part in each.parts)
        each.cost = sum(part.cost for part in each.parts)
        if each.P and (total := prefix + sum(map(min, own, after))) < each.cost:
            inside = list(itertools.compress(each.parts, joined))
            outside = itertools.compress(each.parts, (not join for join in joined))
            each.groups = [group for part in outside for group in part.groups]
            if inside:
                each.groups.append((each.P, [item for part in inside for item in part.items]))
            each.begun, each.cost = 1, total
        return each

    in_common = [alike(one.sharable, two.sharable) for one, two in itertools.pairwise(items)]
    unfinished: list[_Range] = []  # each is the last part of the one before it
    for item, P in zip(items, [*in_common, -1], strict=True):
        last = _Range([item], 0, [], [(0, [item])], cost(item.rest(0), 0))
        while unfinished and unfinished[-1].P > P:
            unfinished[-1].parts.append(last)
            last = close(unfinished.pop())
        if not unfinished or unfinished[-1].P < P:
            unfinished.append(_Range([], P, [], [], 0))
        unfinished[-1].parts.append(last)
    return [group for each in unfinished for part in each.parts for group in part.groups]


def _rows(items: Sequence[_Item], P: int, cost: Cost) -> list[Row]:
    """Rows of a group's items after a prefix of P tokens, of the length that costs least."""
    lengths = [item.rest(P) for item in items]
    size, candidates = LEAST_ROW, []
    while True:
        packed = _pack([i for i, length in enumerate(lengths) if length <= size], lengths, size)
        long = sum(cost(_own_length(length), P) for length in lengths if length > size)
        candidates.append((len(packed) * cost(size, P) + long, size, packed))
        if size >= max(lengths):
            break
        size *= 2
    _, size, packed = min(candidates)
    rows = [_lay_out([items[i] for i in row], P, size) for row in packed]
    for item, length in zip(items, lengths, strict=True):
        if length > size:
            rows.append(_lay_out([item], P, _own_length(length)))
    return rows


def _own_length(tokens: int) -> int:
    """What a row of one item is padded to."""
    return bucket(tokens, 32, quarters=True)


def _pack(chosen: Sequence[int], lengths: Sequence[int], size: int) -> list[list[int]]:
    """Packs what was chosen into rows, the longest first, each into the fullest that has room."""
    rows: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (tokens left, row), sorted
    for i in sorted(chosen, key=lambda i: -lengths[i]):
        place = bisect.bisect_left(room, (lengths[i], -1))
        if place == len(room):
            room.append((size, len(rows)))
            rows.append([])
        left, row = room.pop(place)
        rows[row].append(i)
        bisect.insort(room, (left - lengths[i], row))
    return rows


def _lay_out(items: Sequence[_Item], P: int, length: int = 0) -> Row:
    """The row of these items after a prefix of P tokens."""
    row = Row([], [], [], [], [], length)

    def feed(path: tuple[int, ...], first: int, segment: int) -> int:
        """Appends a path's tokens from its `first`; returns the place of its token 0."""
        offset = len(row.tokens) - first
        row.tokens.extend(path[first:])
        row.positions.extend(range(first, len(path)))
        row.segments.extend([segment] * (len(path) - first))
        return offset

    for number, item in enumerate(items, start=1):
        trunk = len(item.trunk)
        segment = number * BRANCHES
        at_trunk = feed(item.trunk, P, segment)
        branches = [path for path in item.paths if len(path) > trunk]
        at = [feed(path, trunk, segment + n) for n, path in enumerate(branches, start=1)]
        read: dict[int, int] = {}
        for choice, (sequence, start) in enumerate(
            zip(item.request.sequences, item.request.starts, strict=True)
        ):
            fed = sequence[:-1]
            branch = next((b for b, path in enumerate(branches) if path[: len(fed)] == fed), None)
            for i in range(start - 1, len(fed)):
                place = i + (at_trunk if i < trunk else at[branch])
                if place not in read:
                    read[place] = len(row.reads)
                    row.reads.append(place)
                row.scored.append(Scored(read[place], sequence[i + 1], item.index, choice))
    return row


def common_prefix(paths: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The longest beginning that all the paths have in common."""
    # What the first and the last in sorted order share, all between them share as well.
    first, last = min(paths), max(paths)
    return first[: alike(first, last)]


def alike(one: Sequence[int], two: Sequence[int]) -> int:
    """How many tokens two paths begin with in common."""
    shorter = min(len(one), len(two))
    if one[:shorter] == two[:shorter]:
        return shorter
    return next(i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b)


def bucket(n: int, least: int, *, quarters: bool = False) -> int:
    """The smallest of least·(1, 1.5, 2, 3, 4, 6, 8, …) that holds n: two sizes an octave.

    Four with `quarters`: least·(1, 1.25, 1.5, 1.75, 2, 2.5, …).
    """
    octave = least
    while 2 * octave < n:
        octave *= 2
    parts = 4 if quarters else 2
    return next(
        size for size in (octave + octave * part // parts for part in range(parts + 1)) if size >= n
    )
