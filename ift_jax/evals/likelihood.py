"""The jitted scorer: log-likelihoods of continuations, with what they share computed once.

A question is a `Request`: one token sequence for each choice. The sequences of a question, and of
neighbouring questions where that saves work (the same shots), are laid into one row as

    shared prefix | rest of sequence 1 | rest of sequence 2 | …
    segment -1    | segment 1          | segment 2          | …

with positions that continue from the prefix, so that attention, which goes by segments and
positions, lets each sequence see exactly itself. A sequence's last token is predicted, never fed.
"""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ift_jax.dims import PADDING, SHARED, Batch
from ift_jax.sharding import activation_spec, replicated

ROW_TOKENS = 2048
"""Questions are joined into rows of at most this many tokens; one long question may exceed it."""

BATCH_TOKENS = 8192
"""Rows are batched to about this many tokens a device in a forward pass."""

LOGIT_BYTES = 1 << 28
"""A device's float32 logits of a batch stay below this, if one row's do."""


SCORE_FLOPS = 1000
"""Mask and softmax of one attention score take about as long as so many operations in a matmul.

They are bound by memory, and cost small models with long rows more than their matmuls do.
"""


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

    @property
    def length(self) -> int:
        """Tokens that the longest sequence feeds to the model: all but its last."""
        return max(map(len, self.sequences)) - 1


@dataclasses.dataclass(frozen=True)
class Score:
    """What the model makes of a request's continuations, one entry a choice.

    Attributes:
        loglikelihoods: natural log-likelihood, summed over the continuation's tokens.
        tokens: number of tokens in that sum.
        greedy: whether each of these tokens is the most likely one.
    """

    loglikelihoods: tuple[float, ...]
    tokens: tuple[int, ...]
    greedy: tuple[bool, ...]


def request(
    tokenizer: Any,
    prompt: str,
    continuations: Sequence[str],
    *,
    eos_separator: bool = False,
    name: str = "request",
) -> Request:
    """Tokenizes a prompt with each of its continuations, after BOS where the tokenizer has one.

    Prompt and continuation are tokenized as one text, since the joint may merge; a token belongs
    to the continuation when its text ends in it. With `eos_separator` an EOS token stands between
    the two, which are tokenized apart, as in training.
    """
    bos = () if tokenizer.bos_id is None else (tokenizer.bos_id,)
    sequences, starts = [], []
    for continuation in continuations:
        if eos_separator:
            context = (*bos, *tokenizer.encode(prompt), tokenizer.eos_id)
            sequences.append((*context, *tokenizer.encode(continuation)))
            starts.append(len(context))
        else:
            ids, ends = tokenizer.encode_spans(prompt + continuation)
            sequences.append((*bos, *ids))
            starts.append(len(bos) + sum(end <= len(prompt) for end in ends))
    return Request(tuple(sequences), tuple(starts), name)


class Scorer:
    """Scores requests with one model family at one size; compiles once for each shape of batch.

    Args:
        functions: the family's functions (`layers.functional.Functions`).
        mesh: device mesh to split the rows over, or None for the default device.
        row_tokens, batch_tokens: see `ROW_TOKENS` and `BATCH_TOKENS`.
    """

    def __init__(
        self,
        functions: Any,
        mesh: jax.sharding.Mesh | None = None,
        *,
        row_tokens: int = ROW_TOKENS,
        batch_tokens: int = BATCH_TOKENS,
    ):
        self._functions = functions
        self._mesh = mesh
        self._row_tokens = row_tokens
        self._batch_tokens = batch_tokens
        self._parts = 1 if mesh is None else mesh.shape["data"] * mesh.shape["fsdp"]
        # Every process gets all results: they are small, and each then holds the same records.
        self._jitted = jax.jit(self._forward, out_shardings=mesh and replicated(mesh))

    def score(
        self,
        params: Any,
        requests: Sequence[Request],
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Score]:
        """Scores each request, in the given order.

        Args:
            params: the family's parameters by name.
            requests: neighbours that share a prefix are computed together, so keep them together.
            progress: called with (rows done, rows in all) after each batch.

        Raises:
            ValueError: a token id outside the vocabulary, a sequence longer than the model's
                context, an empty continuation, or a likelihood that isn't finite.
        """
        for each in requests:
            check_request(each, self._functions.config)
        sums = [np.zeros(len(each.sequences)) for each in requests]
        counts = [np.zeros(len(each.sequences), int) for each in requests]
        greedy = [np.ones(len(each.sequences), bool) for each in requests]
        rows = plan(requests, self._cost, self._row_tokens)
        done = 0
        for batch_rows, B, T, X in self._batches(rows):
            logp_BX, best_BX = self._run(params, batch_rows, B, T, X)
            for row, logp_X, best_X in zip(batch_rows, logp_BX, best_BX, strict=False):
                for scored, logp, best in zip(row.scored, logp_X, best_X, strict=False):
                    sums[scored.request][scored.choice] += logp
                    counts[scored.request][scored.choice] += 1
                    greedy[scored.request][scored.choice] &= bool(best)
            done += len(batch_rows)
            if progress:
                progress(done, len(rows))
        for each, sum_C in zip(requests, sums, strict=True):
            if not np.isfinite(sum_C).all():
                raise ValueError(
                    f"{each.name}: log-likelihoods {sum_C.tolist()} are not finite; the parameters"
                    " hold or give NaN or infinity: evaluate an earlier checkpoint"
                )
        return [
            Score(tuple(s.tolist()), tuple(n.tolist()), tuple(g.tolist()))
            for s, n, g in zip(sums, counts, greedy, strict=True)
        ]

    def _cost(self, T: int) -> int:
        """Time of a row's forward pass, in matmul operations."""
        config = self._functions.config
        return self._functions.flops(T, 0) + SCORE_FLOPS * config.L * config.N * T * T

    def _batches(self, rows: Sequence[Row]):
        """Groups rows into few static shapes; yields (rows, B, T, X), with at most B rows."""
        buckets = collections.defaultdict(list)
        for row in rows:
            buckets[bucket(len(row.tokens), 32)].append(row)
        V = self._functions.config.V
        for T, members in sorted(buckets.items()):
            X = bucket(max(len(row.scored) for row in members), 4)
            most = max(1, min(self._batch_tokens // T, LOGIT_BYTES // (4 * X * V))) * self._parts
            B = math.ceil(len(members) / math.ceil(len(members) / most))
            B = math.ceil(B / self._parts) * self._parts
            for start in range(0, len(members), B):
                yield members[start : start + B], B, T, X

    def _run(self, params: Any, rows: Sequence[Row], B: int, T: int, X: int):
        """Log-likelihood and whether it is the most likely token, of each scored token: B X."""
        tokens_BT = np.zeros((B, T), np.int32)
        positions_BT = np.zeros((B, T), np.int32)
        segments_BT = np.full((B, T), PADDING, np.int32)
        sources_BX = np.zeros((B, X), np.int32)
        labels_BX = np.zeros((B, X), np.int32)
        for b, row in enumerate(rows):
            n, x = len(row.tokens), len(row.scored)
            tokens_BT[b, :n] = row.tokens
            positions_BT[b, :n] = row.positions
            segments_BT[b, :n] = row.segments
            sources_BX[b, :x] = [scored.source for scored in row.scored]
            labels_BX[b, :x] = [scored.label for scored in row.scored]
        arrays = (tokens_BT, positions_BT, segments_BT, sources_BX, labels_BX)
        if self._mesh is None:
            return map(np.asarray, self._jitted(params, *arrays))
        by_rows = jax.sharding.NamedSharding(self._mesh, activation_spec("B X"))
        placed = [
            jax.make_array_from_callback(array.shape, by_rows, array.__getitem__)
            for array in arrays
        ]
        with jax.set_mesh(self._mesh):
            return map(np.asarray, self._jitted(params, *placed))

    def _forward(self, params, tokens_BT, positions_BT, segments_BT, sources_BX, labels_BX):
        x_BTD = self._functions.hidden(params, Batch(tokens_BT, positions_BT, segments_BT))
        x_BXD = jnp.take_along_axis(x_BTD, sources_BX[:, :, None], axis=1)
        logits_BXV = self._functions.unembed(params, x_BXD).astype(jnp.float32)
        label_BX = jnp.take_along_axis(logits_BXV, labels_BX[:, :, None], axis=-1)[:, :, 0]
        logp_BX = label_BX - jax.nn.logsumexp(logits_BXV, axis=-1)
        return logp_BX, jnp.argmax(logits_BXV, axis=-1) == labels_BX


@dataclasses.dataclass(frozen=True)
class Scored:
    """A token to be scored: read at index `source` of its row, for a choice of a request."""

    source: int
    label: int
    request: int
    choice: int


@dataclasses.dataclass(frozen=True)
class Row:
    """One packed row: tokens with their positions and segments, and what is scored in it."""

    tokens: list[int]
    positions: list[int]
    segments: list[int]
    scored: list[Scored]


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
        paths: list[tuple[int, ...]] = []
        for fed in sorted((s[:-1] for s in each.sequences), key=len, reverse=True):
            if not any(path[: len(fed)] == fed for path in paths):
                paths.append(fed)
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
    return [_lay_out(group, requests) for group in groups]


def _lay_out(group: _Group, requests: Sequence[Request]) -> Row:
    P = len(group.prefix)
    row = Row(list(group.prefix), list(range(P)), [SHARED] * P, [])
    offsets = []
    for segment, path in enumerate(group.paths, start=1):
        offsets.append(len(row.tokens) - P)
        row.tokens.extend(path[P:])
        row.positions.extend(range(P, len(path)))
        row.segments.extend([segment] * (len(path) - P))
    for index in group.requests:
        each = requests[index]
        for choice, (sequence, start) in enumerate(zip(each.sequences, each.starts, strict=True)):
            fed = sequence[:-1]
            own = next(i for i, path in enumerate(group.paths) if path[: len(fed)] == fed)
            for i in range(start, len(sequence)):
                source = i - 1 if i - 1 < P else i - 1 + offsets[own]
                row.scored.append(Scored(source, sequence[i], index, choice))
    return row


def check_request(each: Request, config: Any) -> None:
    """Checks a request against a model's sizes.

    Raises:
        ValueError: see `Scorer.score`; names the request and the choice.
    """
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
        if len(sequence) - 1 > config.max_length:
            raise ValueError(
                f"{each.name}, choice {choice}: {len(sequence) - 1} tokens do not fit the model's"
                f" context of {config.max_length}; shorten the question or use fewer shots"
            )


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
