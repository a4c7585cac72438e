"""Who sees whom, and attention itself, against a loop in float64."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ift_jax.dims import BRANCHES, PADDING, SHARED, Batch
from ift_jax.layers import attention
from ift_jax.layers.attention import Cache, attend, together, visible, write
from ift_jax.sharding import make_mesh

# A prefix that two examples share, the examples, and padding; what each sees, by hand.
SEGMENTS = np.array([[SHARED, SHARED, 1, 1, 2, PADDING]], np.int32)
POSITIONS = np.array([[0, 1, 2, 3, 2, 0]], np.int32)
SEEN = np.array(
    [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 0],
    ],
    bool,
)


def reference(q_BTNH, k_BSKH, v_BSKH, visible_BTS, scale=None, bias_BNTS=None):
    """Softmax attention one head, one query at a time; query head n reads key head n // G."""
    B, T, N, H = q_BTNH.shape
    scale = 1 / np.sqrt(H) if scale is None else scale
    group = N // k_BSKH.shape[2]
    x_BTNH = np.zeros(q_BTNH.shape)
    for b, t, n in np.ndindex(B, T, N):
        seen_S = visible_BTS[b, t]
        if seen_S.any():
            scores = k_BSKH[b, seen_S, n // group] @ q_BTNH[b, t, n] * scale
            if bias_BNTS is not None:
                scores = scores + bias_BNTS[b, n, t, seen_S]
            weights = np.exp(scores - scores.max())
            x_BTNH[b, t, n] = weights / weights.sum() @ v_BSKH[b, seen_S, n // group]
    return x_BTNH


def random_qkv(*, B=1, T=6, S=6, N=6, K=2, H=4):
    rng = np.random.default_rng(0)
    return tuple(2 * rng.normal(size=shape) for shape in ((B, T, N, H), (B, S, K, H), (B, S, K, H)))


def test_a_row_with_a_shared_prefix_two_examples_and_padding():
    seen = visible(POSITIONS, SEGMENTS, POSITIONS, SEGMENTS)
    np.testing.assert_array_equal(seen[0], SEEN)


def test_branches_see_their_trunk_and_not_each_other():
    trunk, other = BRANCHES, 2 * BRANCHES
    segments = np.array([[SHARED, trunk, trunk + 1, trunk + 2, other, other + 1]], np.int32)
    seen = visible(np.arange(6)[None], segments, np.arange(6)[None], segments)[0]
    expected = [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 0, 1, 0, 0],
        [1, 0, 0, 0, 1, 0],
        [1, 0, 0, 0, 1, 1],
    ]
    np.testing.assert_array_equal(seen, np.array(expected, bool))


def test_together_are_keys_before_and_after_of_the_same_example():
    seen = together(SEGMENTS, SEGMENTS)[0]
    expected = SEEN.copy()
    expected[0, 1] = expected[2, 3] = True
    np.testing.assert_array_equal(seen, expected)


def test_order_is_that_of_positions():
    turned = slice(None, None, -1)
    seen = visible(POSITIONS, SEGMENTS, POSITIONS[:, turned], SEGMENTS[:, turned])
    np.testing.assert_array_equal(seen[0], SEEN[:, turned])


def test_grouped_heads_equal_a_loop():
    q_BTNH, k_BSKH, v_BSKH = random_qkv()
    x_BTNH = attend(*map(jnp.float32, (q_BTNH, k_BSKH, v_BSKH)), jnp.array(SEEN[None]))
    # float32 against float64, on values near 1.
    expected = reference(q_BTNH, k_BSKH, v_BSKH, SEEN[None])
    np.testing.assert_allclose(x_BTNH, expected, atol=1e-5)
    assert np.abs(expected[0, 0, 0] - expected[0, 0, 5]).max() > 0.1  # the groups differ


def test_what_sees_nothing_gives_zeros_and_finite_gradients():
    q_BTNH, k_BSKH, v_BSKH = map(jnp.float32, random_qkv())
    seen = jnp.array(SEEN[None])
    np.testing.assert_array_equal(attend(q_BTNH, k_BSKH, v_BSKH, seen)[0, 5], 0)

    def total(q_BTNH, k_BSKH, v_BSKH):
        return jnp.sum(attend(q_BTNH, k_BSKH, v_BSKH, seen) ** 2)

    dq_BTNH, dk_BSKH, dv_BSKH = jax.grad(total, (0, 1, 2))(q_BTNH, k_BSKH, v_BSKH)
    for gradient in (dq_BTNH, dk_BSKH, dv_BSKH):
        assert np.isfinite(gradient).all() and np.any(gradient)
        np.testing.assert_array_equal(gradient[0, 5], 0)


@pytest.fixture
def blocks_of_four(monkeypatch):
    """Rows of 8, 12, … queries are attended from in blocks; those of any other length whole."""
    monkeypatch.setattr(attention, "QUERY_BLOCK", 4)


def packed(*, T, S):
    """visible_BTS of the last T tokens of two packed rows of S, which end in padding."""
    positions_BS, segments_BS = np.zeros((2, 2, S), np.int32)
    for row, lengths in enumerate([(5, 3, S - 10), (1, S - 4)]):
        start = 0
        for segment, length in enumerate(lengths, start=1):
            positions_BS[row, start : start + length] = np.arange(length)
            segments_BS[row, start : start + length] = segment
            start += length
    segments_BS[1, 0] = SHARED
    return visible(positions_BS[:, -T:], segments_BS[:, -T:], positions_BS, segments_BS)


@pytest.mark.parametrize(("T", "S"), [(12, 12), (8, 14), (16, 16)])
@pytest.mark.parametrize(("N", "K"), [(6, 2), (3, 3), (4, 1)])
def test_blocks_of_queries_equal_a_loop(blocks_of_four, T, S, N, K):
    arrays = random_qkv(B=2, T=T, S=S, N=N, K=K)
    seen = packed(T=T, S=S)
    x_BTNH = attend(*map(jnp.float32, arrays), seen)
    np.testing.assert_allclose(x_BTNH, reference(*arrays, np.asarray(seen)), atol=1e-5)


@pytest.mark.parametrize("T", [7, 8])  # whole, and in blocks
@pytest.mark.parametrize(("N", "K"), [(6, 2), (4, 1)])
def test_scores_are_scaled_and_then_biased_by_head_query_and_key(blocks_of_four, T, N, K):
    S = 14
    arrays = random_qkv(B=2, T=T, S=S, N=N, K=K)
    seen = packed(T=T, S=S)
    table_NPS = np.random.default_rng(1).normal(size=(N, 100, S))
    positions_BT = np.random.default_rng(2).integers(0, 100, (2, T))
    bias_BNTS = np.moveaxis(table_NPS[:, positions_BT], 0, 1)
    x_BTNH = attend(
        *map(jnp.float32, arrays),
        seen,
        scale=0.3,
        bias=lambda at_BT: jnp.moveaxis(jnp.float32(table_NPS)[:, at_BT], 0, 1),
        positions_BT=jnp.asarray(positions_BT),
    )
    expected = reference(*arrays, np.asarray(seen), 0.3, bias_BNTS)
    np.testing.assert_allclose(x_BTNH, expected, atol=1e-5)


@pytest.mark.parametrize(("T", "S"), [(12, 12), (8, 14)])
def test_gradients_through_blocks_equal_those_of_whole_rows(monkeypatch, T, S):
    arrays = tuple(map(jnp.float32, random_qkv(B=2, T=T, S=S)))
    seen = packed(T=T, S=S)

    def gradients(block):
        monkeypatch.setattr(attention, "QUERY_BLOCK", block)
        return jax.grad(lambda arrays: jnp.sum(attend(*arrays, seen) ** 2))(arrays)

    for blocked, whole in zip(gradients(4), gradients(S), strict=True):
        assert np.abs(whole).max() > 0.1
        np.testing.assert_allclose(blocked, whole, atol=1e-5)


@pytest.mark.parametrize(("mesh", "blocked"), [("fsdp:4,tensor:2", 1), ("fsdp:4,sequence:2", 0)])
def test_queries_that_are_split_over_devices_are_not_blocked_too(blocks_of_four, mesh, blocked):
    arrays = tuple(map(jnp.float32, random_qkv(B=4, T=8, S=8, N=6, K=2)))
    seen = jnp.tril(jnp.ones((4, 8, 8), bool))
    with jax.set_mesh(make_mesh(mesh)):
        assert str(jax.make_jaxpr(attend)(*arrays, seen)).count("scan[") == blocked
        x_BTNH = jax.jit(attend)(*arrays, seen)
    np.testing.assert_allclose(x_BTNH, reference(*arrays, np.asarray(seen)), atol=1e-5)


@pytest.mark.parametrize(("T", "block"), [(16, 2), (14, 256), (15, 256)])
def test_rows_in_order_are_attended_in_parts(monkeypatch, T, block):
    """In four, and blocks within them, in two, and whole; forwards and backwards, with a bias."""
    monkeypatch.setattr(attention, "LEAST_PART", 4)
    monkeypatch.setattr(attention, "QUERY_BLOCK", block)
    arrays = random_qkv(B=2, T=T, S=T, N=6, K=2)
    seen, positions_BT = packed(T=T, S=T), jnp.tile(jnp.arange(T), (2, 1))
    bias_NTS = np.random.default_rng(1).normal(size=(6, T, T))

    def bias(at_BT):
        return jnp.moveaxis(jnp.float32(bias_NTS)[:, at_BT], 0, 1)

    @functools.partial(jax.jit, static_argnums=1)
    def run(arrays, ordered, seen=seen):
        return attend(
            *arrays, seen, scale=0.3, bias=bias, positions_BT=positions_BT, ordered=ordered
        )

    expected = reference(*arrays, np.asarray(seen), 0.3, np.broadcast_to(bias_NTS, (2, 6, T, T)))
    floats = tuple(map(jnp.float32, arrays))
    np.testing.assert_allclose(run(floats, True), expected, atol=1e-5)
    gradients = [
        jax.jit(jax.grad(lambda arrays, on=ordered: jnp.sum(run(arrays, on) ** 2)))(floats)
        for ordered in (True, False)
    ]
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)
    # What stands in a later part isn't computed, whatever is seen.
    all_seen = jnp.ones_like(seen)
    differs = np.abs(run(floats, True, all_seen) - run(floats, False, all_seen)).max(axis=(0, 2, 3))
    parts = {16: 4, 14: 2, 15: 1}[T]
    assert (differs > 1e-3).tolist() == [t < T - T // parts for t in range(T)]


@pytest.mark.parametrize(("mesh", "products"), [("fsdp:4,tensor:2", 8), ("fsdp:4,sequence:2", 2)])
def test_positions_that_are_split_over_devices_are_not_parted_too(monkeypatch, mesh, products):
    monkeypatch.setattr(attention, "LEAST_PART", 2)
    arrays = tuple(map(jnp.float32, random_qkv(B=4, T=8, S=8, N=6, K=2)))
    seen = jnp.tril(jnp.ones((4, 8, 8), bool))
    with jax.set_mesh(make_mesh(mesh)):
        text = str(jax.make_jaxpr(lambda *qkv: attend(*qkv, seen, ordered=True))(*arrays))
    assert text.count("dot_general[") == products


def test_far_negative_scores_are_not_lost_beside_what_is_not_seen():
    """Of a row whose prefix it doesn't see: exp of them would be 0 in float32."""
    q_BTNH = jnp.full((1, 2, 1, 4), 10.0)
    k_BTKH, v_BTKH = -15 * q_BTNH, jnp.arange(8.0).reshape(1, 2, 1, 4)
    ones_BT, positions_BT = np.ones((1, 2), np.int32), np.array([[0, 1]], np.int32)
    batch = Batch(ones_BT, positions_BT, ones_BT)
    cache = Cache(None, None, positions_BT, np.full((1, 2), PADDING, np.int32), None)
    seen = attention.attend_after(
        q_BTNH, k_BTKH, v_BTKH, batch, (k_BTKH, v_BTKH), cache, bias=lambda _: None
    )
    np.testing.assert_allclose(seen[0, :, 0], [[0, 1, 2, 3], [2, 3, 4, 5]], atol=1e-6)


@pytest.mark.parametrize(
    ("ordered", "mesh", "made_again"),
    # A part's blocks, or the part; where positions are split, the row.
    [(False, "fsdp:-1", 1), (True, "fsdp:-1", 4), (True, "fsdp:4,sequence:2", 1)],
)
def test_the_backward_pass_keeps_no_scores_of_a_long_row(monkeypatch, ordered, mesh, made_again):
    """The largest array kept from forwards to backwards, in elements, against N·T·S scores."""
    monkeypatch.setattr(attention, "LEAST_PART", 8)
    T = S = 32
    arrays = tuple(map(jnp.float32, random_qkv(B=4, T=T, S=S, N=6, K=2, H=4)))
    seen = jnp.tril(jnp.ones((4, T, S), bool))

    def kept(most, block):
        monkeypatch.setattr(attention, "KEPT", most)
        monkeypatch.setattr(attention, "QUERY_BLOCK", block)

        def run(*arrays):
            return attend(*arrays, seen, ordered=ordered)

        with jax.set_mesh(make_mesh(mesh)):
            _, backward = jax.vjp(run, *arrays)
            # The scores' way is made again once, not in part and whole.
            text = str(jax.make_jaxpr(run)(*arrays))
        return max(leaf.size for leaf in jax.tree.leaves(backward)), text.count("prevent_cse=")

    assert kept(T, T)[0] > 4 * T * S
    # visible_BTS itself; queries in one block, in several, and in blocks that don't fit.
    for block in (T, 8, 4, 3):
        size, times = kept(8, block)
        assert size <= 4 * T * S and times == made_again


def test_ordered_needs_a_key_for_each_query():
    arrays = map(jnp.float32, random_qkv(B=1, T=2, S=3))
    with pytest.raises(ValueError, match="2 queries and 3 keys"):
        attend(*arrays, jnp.ones((1, 2, 3), bool), ordered=True)


def test_unseen_values_cannot_leak_even_when_scores_are_huge():
    q_BTNH, k_BSKH, v_BSKH = map(jnp.float32, random_qkv())
    seen = jnp.array(SEEN[None])
    loud = attend(q_BTNH, k_BSKH.at[0, 5].set(1e4), v_BSKH.at[0, 5].set(1e4), seen)
    np.testing.assert_array_equal(loud, attend(q_BTNH, k_BSKH, v_BSKH, seen))


def test_bfloat16_keeps_its_dtype_and_its_precision():
    arrays = [jnp.bfloat16(x) for x in random_qkv()]
    x_BTNH = attend(*arrays, jnp.array(SEEN[None]))
    assert x_BTNH.dtype == jnp.bfloat16
    expected = reference(*(np.asarray(x, np.float64) for x in arrays), SEEN[None])
    # Scores and softmax in float32; the weights and the result are rounded to 8 bits.
    np.testing.assert_allclose(np.float64(x_BTNH), expected, atol=0.03)


def test_a_cache_takes_entries_in_order_and_the_rest_is_padding():
    cache = Cache.empty(L=2, B=1, S=5, K=1, H=2, dtype=jnp.float32)
    for tokens in (2, 1):
        start = int(cache.end)
        positions_BT = np.arange(start, start + tokens, dtype=np.int32)[None]
        ones_BT = np.ones_like(positions_BT)
        cache = cache.note(Batch(ones_BT, positions_BT, ones_BT))
        new_BTKH = jnp.full((1, tokens, 1, 2), start + 1.0)
        k_LBSKH = jnp.stack([write(k_BSKH, new_BTKH, cache.end) for k_BSKH in cache.k_LBSKH])
        cache = cache.advance(k_LBSKH, cache.v_LBSKH, tokens)
    assert cache.end == 3
    assert cache.segments_BS.tolist() == [[1, 1, 1, PADDING, PADDING]]
    assert cache.positions_BS.tolist() == [[0, 1, 2, 0, 0]]
    assert cache.k_LBSKH[:, 0, :, 0, 1].tolist() == [[1, 1, 3, 0, 0]] * 2
    for slots, seen in ((7, [1, 1, 0, 0, 0, 0, 0]), (2, [1, 1])):
        beginning = cache.beginning(2, slots)
        assert beginning.end == 2
        assert beginning.segments_BS.tolist() == [seen]
        assert beginning.k_LBSKH.shape == beginning.v_LBSKH.shape == (2, 1, slots, 1, 2)
        assert beginning.k_LBSKH[:, 0, :2, 0, 1].tolist() == [[1, 1]] * 2
        assert beginning.positions_BS[0, :2].tolist() == [0, 1]


def test_rows_that_share_what_they_follow(monkeypatch):
    """Two cached rows, one of them shorter; two rows follow each, with two examples and padding."""
    rng = np.random.default_rng(1)
    U, B, S, T, N, K, H = 2, 4, 5, 6, 6, 2, 4
    q_BTNH, k_BTKH, v_BTKH = (2 * rng.normal(size=(B, T, n, H)) for n in (N, K, K))
    k_USKH, v_USKH = (2 * rng.normal(size=(U, S, K, H)) for _ in range(2))
    lengths = (5, 3)
    key_segments_US = np.array([[SHARED] * n + [PADDING] * (S - n) for n in lengths], np.int32)
    key_positions_US = np.tile(np.arange(S, dtype=np.int32), (U, 1))
    segments_BT = np.tile(np.array([1, 1, 1, 2, 2, PADDING], np.int32), (B, 1))
    after = np.array([0, 1, 2, 0, 1, 0], np.int32)
    positions_BT = np.stack([lengths[b // 2] + after for b in range(B)])
    slopes_N = np.linspace(0.1, 0.6, N)

    def bias(key_positions_BS):
        def of_queries(positions_BT):
            distance_BTS = positions_BT[:, :, None] - key_positions_BS[:, None, :]
            return -slopes_N[:, None, None] * distance_BTS[:, None]

        return of_queries

    def followed(array_US, array_BS):
        return np.concatenate([np.repeat(array_US, B // U, axis=0), array_BS], axis=1)

    keys = followed(key_positions_US, positions_BT), followed(key_segments_US, segments_BT)
    expected = reference(
        q_BTNH,
        followed(k_USKH, k_BTKH),
        followed(v_USKH, v_BTKH),
        np.asarray(visible(positions_BT, segments_BT, *keys)),
        bias_BNTS=bias(keys[0])(positions_BT),
    )
    batch = Batch(np.zeros((B, T), np.int32), positions_BT, segments_BT)
    cache = Cache(None, None, key_positions_US, key_segments_US, None)
    arrays = [jnp.asarray(x, jnp.float32) for x in (q_BTNH, k_BTKH, v_BTKH)]
    shared = tuple(x.astype(np.float32) for x in (k_USKH, v_USKH))
    for block in (256, 4):  # at once, and what is followed in blocks
        monkeypatch.setattr(attention, "QUERY_BLOCK", block)
        seen = attention.attend_after(*arrays, batch, shared, cache, bias=bias)
        np.testing.assert_allclose(seen, expected, atol=1e-5)
