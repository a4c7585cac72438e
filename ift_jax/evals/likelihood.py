"""The jitted scorer: log-likelihoods of continuations, in rows as `evals.layout` makes them."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ift_jax.dims import SHARED, Batch
from ift_jax.evals import batches
from ift_jax.evals.layout import (
    LEAST_PREFIX,
    Group,
    Request,
    Row,
    alike,
    bucket,
    check_request,
    plan,
    plan_encoded,
)
from ift_jax.sharding import activation_spec, replicated

BATCH_TOKENS = {"cpu": 2048}
OTHER_BATCH_TOKENS = 8192
"""Rows are batched to at most this many tokens a device in a forward pass. On a CPU larger batches
leave its cache: they took a tenth more time."""

SCORE_FLOPS = 600
"""An attention score's products, mask and softmax take about as long as so many operations of a
weight's matmul: they are bound by memory. Measured on a CPU, at H = 64."""


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
    the two, which are tokenized apart, as in training, and as an encoder-decoder needs it.
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


@dataclasses.dataclass
class Usage:
    """Tokens that a model computed: of them, `useful` ones, the rest padding."""

    computed: int = 0
    useful: int = 0


@dataclasses.dataclass
class _PrefixCache:
    """The cache of one group's prefix; `group` is its number."""

    group: int | None = None
    cache: Any = None


class Scorer:
    """Scores requests with one model family at one size; compiles once for each shape of batch.

    Args:
        functions: the family's functions (`layers.functional.Functions`).
        mesh: device mesh to split the rows over, or None for the default device.
        batch_tokens: see `BATCH_TOKENS`; None goes by the platform.

    Attributes:
        usage: of all that was scored so far.
    """

    def __init__(
        self,
        functions: Any,
        mesh: jax.sharding.Mesh | None = None,
        *,
        batch_tokens: int | None = None,
    ):
        self.usage = Usage()
        self._functions = functions
        self._mesh = mesh
        self._batch_tokens = batch_tokens or BATCH_TOKENS.get(
            jax.default_backend(), OTHER_BATCH_TOKENS
        )
        self._parts = 1 if mesh is None else mesh.shape["data"] * mesh.shape["fsdp"]
        # Every process gets all results: they are small, and each then holds the same records.
        everywhere = mesh and replicated(mesh)
        self._by_rows = mesh and jax.sharding.NamedSharding(mesh, activation_spec("B X"))
        self._whole = jax.jit(self._score_whole, out_shardings=everywhere)
        self._begin = jax.jit(self._read_prefix, static_argnames="S")
        self._cut = jax.jit(lambda cache, P, S: cache.beginning(P, S), static_argnames="S")
        self._extend = jax.jit(lambda *read: functions.extend(*read)[1], donate_argnums=2)
        self._follow = jax.jit(self._score_following, out_shardings=everywhere)

    def score(self, params: Any, requests: Sequence[Request]) -> list[Score]:
        """Scores each request, in the given order; see `scores`."""
        return [score for _, score in sorted(self.scores(params, requests))]

    def scores(
        self, params: Any, requests: Sequence[Request], done: Collection[int] = ()
    ) -> Iterator[tuple[int, Score]]:
        """Scores requests batch by batch, in an order that saves work.

        Args:
            params: the family's parameters by name.
            requests: what to score; those that begin alike are computed together.
            done: places of requests whose scores are known. They are left out, and all else is
                computed in the batches that it would be in without them: to the same bits.

        Yields:
            A request's place and its score, as soon as its batch is done.

        Raises:
            ValueError: a token id outside the vocabulary, a sequence longer than the model's
                context, an empty continuation, or a likelihood that isn't finite.
        """
        for each in requests:
            check_request(each, self._functions)
        groups = self._groups(requests)
        # While a batch is computed, the next one is laid out, and the last one's results are read.
        running: collections.deque[tuple[list[Row], Any]] = collections.deque()
        with contextlib.nullcontext() if self._mesh is None else jax.set_mesh(self._mesh):
            for batch in self._run(params, groups, done):
                running.append(batch)
                if len(running) > 1:
                    yield from _scores(*running.popleft(), requests, done)
            for batch in running:
                yield from _scores(*batch, requests, done)

    def compiled(
        self, params: Mapping[str, jax.ShapeDtypeStruct], requests: Sequence[Request]
    ) -> Iterator[tuple[str, jax.stages.Compiled]]:
        """Compiles what `scores` would run on these requests, for devices that need not be here.

        But that each prefix is computed whole, whatever it has in common with another.

        Args:
            params: shape, dtype and sharding of each parameter, on the scorer's mesh.
            requests: what would be scored.

        Yields:
            A program's name and the program: first that of a prefix, where one is shared.
        """

        def abstract(leaf: Any, where: jax.sharding.Sharding = self._by_rows) -> Any:
            return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where)

        groups = self._groups(requests)
        widths = batches.widths(groups)
        with jax.set_mesh(self._mesh):
            for group in groups:
                program, read = self._whole, (params,)
                if group.prefix:
                    batch, S = self._prefix_batch(group.prefix, 0)
                    lowered = self._begin.lower(params, jax.tree.map(abstract, batch), S=S)
                    yield "prefix", (prefix := lowered.compile())
                    # Its cache lies where the compiler wants it.
                    cache = jax.tree.map(abstract, lowered.out_info, prefix.output_shardings)
                    program, read = self._follow, (params, cache)
                for shape in dict.fromkeys(shape for _, shape in self._batches(group, widths)):
                    arrays = jax.tree.map(abstract, batches.arrays([], shape))
                    name = f"{shape.B} rows of {shape.T + shape.E} tokens"
                    yield name, program.lower(*read, *arrays).compile()

    def _groups(self, requests: Sequence[Request]) -> list[Group]:
        if self._functions.encoder_decoder:
            return plan_encoded(requests, self._functions.config.start_id)
        return plan(requests, self._cost)

    def _run(
        self, params: Any, groups: Sequence[Group], done: Collection[int]
    ) -> Iterator[tuple[list[Row], Any]]:
        """Starts each batch; yields its rows and, B X, each scored token's results to come."""
        widths, held = batches.widths(groups), _PrefixCache()
        for number, group in enumerate(groups):
            for rows, shape in self._batches(group, widths):
                if all(scored.request in done for row in rows for scored in row.scored):
                    continue
                arrays = self._placed(batches.arrays(rows, shape))
                self.usage.computed += shape.B * (shape.T + shape.E)
                self.usage.useful += sum(len(row.tokens) + len(row.encoded) for row in rows)
                if not group.prefix:
                    yield rows, self._whole(params, *arrays)
                    continue
                if held.group != number:
                    self._hold(held, params, groups, number)
                yield rows, self._follow(params, held.cache, *arrays)

    def _hold(self, held: _PrefixCache, params: Any, groups: Sequence[Group], number: int) -> None:
        """Computes the cache of a group's prefix, from that of the group before it if it can be.

        Always in the same way, so that a run that is resumed computes the same bits.
        """

        def shared(number: int) -> int:
            before = groups[number - 1].prefix if number else ()
            P = alike(before, groups[number].prefix)
            return P if P >= LEAST_PREFIX else 0

        first = number
        while first != held.group and shared(first):
            first -= 1
        if first == held.group:
            first += 1
        else:
            held.cache = None  # freed before another is computed, which has nothing of it
        for each in range(first, number + 1):
            P, prefix = shared(each), groups[each].prefix
            batch, S = self._prefix_batch(prefix, P)
            if P:
                held.cache = self._cut(held.cache, P, S)
            if len(prefix) > P:
                self.usage.computed += batch.tokens_BT.size
                self.usage.useful += len(prefix) - P
                read = params, self._placed(batch)
                held.cache = self._extend(*read, held.cache) if P else self._begin(*read, S=S)
        held.group = number

    def _prefix_batch(self, prefix: Sequence[int], P: int) -> tuple[Batch, int]:
        """A prefix from token P on as one row for each part of the mesh, so that none asks another;
        its cache's slots."""
        rest = prefix[P:]
        T = bucket(len(rest), 64, quarters=True) if rest else 0
        row = Row(list(rest), list(range(P, len(prefix))), [SHARED] * len(rest), [0], [])
        shape = batches.Shape(self._parts, T, 0, 1, 1)
        batch, *_ = batches.arrays([row] * self._parts, shape)
        return batch, bucket(P + T, 64, quarters=True)

    def _cost(self, T: int, S: int) -> int:
        """Time of a row of T tokens after S others, in operations of weights' matmuls."""
        c = self._functions.config
        return T * self._functions.flops(1, 0) + SCORE_FLOPS * c.L * c.N * T * (S + T)

    def _batches(
        self, group: Group, widths: Mapping[tuple[int, int], tuple[int, int]]
    ) -> Iterator[tuple[list[Row], batches.Shape]]:
        return batches.make(
            group.rows,
            widths,
            V=self._functions.config.V,
            tokens=self._batch_tokens,
            parts=self._parts,
        )

    def _placed(self, arrays: Any) -> Any:
        """Arrays split over the mesh by rows."""
        if self._mesh is None:
            return arrays
        return jax.tree.map(
            lambda x: jax.make_array_from_callback(x.shape, self._by_rows, x.__getitem__), arrays
        )

    def _read_prefix(self, params: Any, batch: Batch, S: int) -> Any:
        cache = self._functions.init_cache(params, batch, S)
        return self._functions.extend(params, batch, cache)[1]

    def _score_whole(self, params: Any, batch: Batch, *asked: jax.Array) -> Any:
        return self._read(params, self._functions.hidden(params, batch), *asked)

    def _score_following(self, params: Any, cache: Any, batch: Batch, *asked: jax.Array) -> Any:
        return self._read(params, self._functions.follow(params, batch, cache), *asked)

    def _read(
        self,
        params: Any,
        x_BTD: jax.Array,
        places_BU: jax.Array,
        reads_BX: jax.Array,
        labels_BX: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """Log-likelihood and whether it is the most likely token, of each scored token: B X."""
        x_BUD = jnp.take_along_axis(x_BTD, places_BU[:, :, None], axis=1)
        logits_BUV = self._functions.unembed(params, x_BUD).astype(jnp.float32)
        total_BU = jax.nn.logsumexp(logits_BUV, axis=-1)
        best_BU = jnp.argmax(logits_BUV, axis=-1)
        rows_B1 = jnp.arange(places_BU.shape[0])[:, None]
        logp_BX = logits_BUV[rows_B1, reads_BX, labels_BX] - total_BU[rows_B1, reads_BX]
        return logp_BX, best_BU[rows_B1, reads_BX] == labels_BX


def _scores(
    rows: Sequence[Row], results: Any, requests: Sequence[Request], done: Collection[int]
) -> Iterator[tuple[int, Score]]:
    """What a batch's results say of the requests in its rows that aren't done."""
    logp_BX, best_BX = map(np.asarray, results)
    found = collections.defaultdict(list)
    for row, logp_X, best_X in zip(rows, logp_BX, best_BX, strict=False):
        for scored, logp, best in zip(row.scored, logp_X, best_X, strict=False):
            found[scored.request].append((scored.choice, float(logp), bool(best)))
    for index, tokens in found.items():
        if index not in done:
            yield index, _score(requests[index], tokens)


def _score(each: Request, tokens: Sequence[tuple[int, float, bool]]) -> Score:
    """A request's score from (choice, log-likelihood, whether greedy) of each of its tokens."""
    sum_C = np.zeros(len(each.sequences))
    count_C = np.zeros(len(each.sequences), int)
    greedy_C = np.ones(len(each.sequences), bool)
    for choice, loglikelihood, best in tokens:
        sum_C[choice] += loglikelihood
        count_C[choice] += 1
        greedy_C[choice] &= best
    if not np.isfinite(sum_C).all():
        raise ValueError(
            f"{each.name}: log-likelihoods {sum_C.tolist()} are not finite; the parameters hold or"
            " give NaN or infinity: evaluate an earlier checkpoint"
        )
    return Score(tuple(sum_C.tolist()), tuple(count_C.tolist()), tuple(greedy_C.tolist()))
