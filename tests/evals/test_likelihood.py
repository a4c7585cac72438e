"""The scorer against hand computation and against one plain forward pass a choice."""

from __future__ import annotations

import math

import jax
import numpy as np
import pytest

from ift_jax import lookup
from ift_jax.dims import BRANCHES, Batch
from ift_jax.evals.layout import Request, bucket, common_prefix, plan
from ift_jax.evals.likelihood import Scorer, Usage, request
from ift_jax.layers.functional import Functions as Real
from ift_jax.models import t5
from ift_jax.sharding import make_mesh, param_shardings
from tests.evals.toys import Functions, Tokenizer, by_hand
from tests.models.golden import random_params


def random_requests(
    seed: int, n: int, V: int, *, shared: int = 0, longest: int = 40
) -> list[Request]:
    """Requests of 1 to 5 choices; some choices begin another one, or have a longer context."""
    random = np.random.default_rng(seed)
    shots = tuple(random.integers(0, V, shared).tolist())
    found = []
    for i in range(n):
        context = (*shots, *random.integers(0, V, random.integers(1, longest)).tolist())
        sequences, starts = [], []
        for _ in range(random.integers(1, 6)):
            answer = random.integers(0, 3, random.integers(1, 7)).tolist()
            sequences.append((*context, *answer))
            starts.append(len(context) - (len(context) > 3 and int(random.integers(0, 2))))
        found.append(Request(tuple(sequences), tuple(starts), f"request {i}"))
    return found


def test_scores_equal_hand_computation_in_question_order():
    functions = Functions()
    params = functions.init()
    requests = random_requests(1, 30, functions.config.V)
    scores = Scorer(functions, batch_tokens=256).score(params, requests)
    assert len(scores) == len(requests)
    for each, score in zip(requests, scores, strict=True):
        for c, (sequence, start) in enumerate(zip(each.sequences, each.starts, strict=True)):
            expected = by_hand(params, sequence, start)
            assert score.loglikelihoods[c] == pytest.approx(expected.sum(), abs=1e-5, rel=1e-5)
            assert score.tokens[c] == len(expected)


def test_greedy_says_whether_every_token_is_the_most_likely():
    functions = Functions(V=8)
    params = functions.init(3)

    def most_likely(sequence: tuple[int, ...]) -> int:
        x_D = sum((1 + j / 10) * params["embed.w"][token] for j, token in enumerate(sequence))
        return int(np.argmax(x_D @ params["head.w"]))

    def go_on(sequence: tuple[int, ...], steps: int) -> tuple[int, ...]:
        for _ in range(steps):
            sequence = (*sequence, most_likely(sequence))
        return sequence

    context = (1, 2, 3)
    best = go_on(context, 3)
    wrong_end = (*best[:-1], (best[-1] + 1) % 8)
    wrong_start = go_on((*context, (best[3] + 1) % 8), 2)
    (score,) = Scorer(functions).score(params, [Request((best, wrong_end, wrong_start), (3, 3, 3))])
    assert score.greedy == (True, False, False)


def llama():
    from ift_jax.models import llama

    config = llama.Config(
        L=2, D=32, N=4, K=2, H=8, F=48, V=96, max_length=256, tied=False, param_dtype="float32"
    )
    functions = Real(llama, config)
    return functions, functions.init(jax.random.key(0))


def nested_requests() -> list[Request]:
    """Questions after 150 tokens, after the first 100 of these, after 80 of these and 50 others."""
    shots = np.random.default_rng(3).integers(1, 90, 200).tolist()
    kinds = (shots[:150], shots[:100], [*shots[:80], *shots[150:]])
    return [asked((*kind, i, 90 + k)) for i in range(6) for k, kind in enumerate(kinds)]


@pytest.mark.parametrize("shared", [0, 60, "nested"])
def test_packed_rows_equal_one_plain_forward_a_choice(shared):
    functions, params = llama()
    requests = requests_that_share(shared, 2, 6, longest=12)
    scores = Scorer(functions).score(params, requests)

    @jax.jit
    def plain(tokens_BT, positions_BT, segments_BT):
        x_BTD = functions.hidden(params, Batch(tokens_BT, positions_BT, segments_BT))
        return jax.nn.log_softmax(functions.unembed(params, x_BTD))

    T = 160
    for each, score in zip(requests, scores, strict=True):
        for c, (sequence, start) in enumerate(zip(each.sequences, each.starts, strict=True)):
            n = len(sequence)
            tokens_BT = np.zeros((1, T), np.int32)
            tokens_BT[0, :n] = sequence
            segments_BT = (np.arange(T) < n).astype(np.int32)[None]
            logp_TV = plain(tokens_BT, np.arange(T)[None], segments_BT)[0]
            expected = sum(float(logp_TV[i - 1, sequence[i]]) for i in range(start, n))
            assert score.loglikelihoods[c] == pytest.approx(expected, abs=1e-5 * (n - start) * 4)


def requests_that_share(shared: int | str, seed: int, n: int, **sizes: int) -> list[Request]:
    """Random requests with so many tokens in common, or those of `nested_requests`."""
    if shared == "nested":
        return nested_requests()
    return random_requests(seed, n, 96, shared=shared, **sizes)


def cost(T: int, S: int) -> int:
    """Of a row: its tokens, and a little for what they attend to."""
    return T * (100 + T + S)


def asked(context: tuple[int, ...]) -> Request:
    """A question with four letters for answers."""
    return Request(tuple((*context, letter) for letter in range(4)), (len(context),) * 4)


def fed(groups) -> list[list[tuple[int, ...]]]:
    """The token paths that each group's rows feed after its prefix, sorted."""
    found = []
    for group in groups:
        paths = []
        for row in group.rows:
            assert len(row.tokens) <= row.length
            for segment in sorted(set(row.segments)):
                places = [i for i, each in enumerate(row.segments) if each == segment]
                paths.append(tuple(row.tokens[i] for i in places))
                first = row.positions[places[0]]
                assert [row.positions[i] for i in places] == [*range(first, first + len(places))]
        found.append(sorted(paths))
    return found


def test_shots_are_computed_once_for_all_questions_that_have_them():
    shots, few = tuple(range(50)) * 4, tuple(range(50)) * 3
    with_all = [asked((*shots, *[50 + i] * 30)) for i in range(10)]
    with_less = [asked((*few, *[60 + i] * 40)) for i in range(10)]
    order = np.random.default_rng(0).permutation(20)
    groups = plan([[*with_all, *with_less][i] for i in order], cost)
    groups.sort(key=lambda group: -len(group.prefix))
    # Twenty times the fourth fifty would cost more than the first three once more.
    assert [group.prefix for group in groups] == [shots, few]
    assert fed(groups) == [
        sorted((50 + i,) * 30 for i in range(10)),
        sorted((60 + i,) * 40 for i in range(10)),
    ]
    # Once more the fourth fifty is cheaper than a group of its own.
    (group,) = plan([with_all[0], *with_less[:2]], lambda T, S: T)
    assert group.prefix == few


def test_what_prefixes_have_in_common_is_computed_once():
    functions, params = llama()
    scorer = Scorer(functions)
    groups = plan(nested_requests(), scorer._cost)
    lengths = [len(group.prefix) for group in groups]
    assert sorted(lengths) == [100, 130, 150]
    scorer.score(params, nested_requests())
    rows = 3 * 256
    # The one that comes first whole, of the sibling what differs, of the beginning nothing.
    first, second = lengths[0], {130: 50, 150: 70}[max(lengths[1:])]
    assert scorer.usage.computed == rows + bucket(first, 64, quarters=True) + bucket(
        second, 64, quarters=True
    )
    assert scorer.usage.useful == 3 * 6 * 2 + first + second


def test_what_shares_too_little_goes_without_a_prefix():
    requests = random_requests(5, 10, 64)
    (group,) = plan(requests, cost)
    assert group.prefix == ()
    (group,) = plan([asked((1, 2, 3, i)) for i in range(3)], cost)
    assert group.prefix == ()
    assert fed([group]) == [[(1, 2, 3, i) for i in range(3)]]


def test_the_place_that_is_read_belongs_to_the_row():
    """Of two equal questions, and where one begins the other."""
    context = tuple(range(200))
    (group,) = plan([asked(context), asked(context), asked((*context, 7))], cost)
    assert group.prefix == context[:-1]
    assert fed([group]) == [[(199,), (199,), (199, 7)]]


def test_questions_are_packed_and_their_choices_branch_off():
    letters = [asked((i,) * 64) for i in range(19)]
    texts = Request(((*[40] * 50, 7, 1, 2), (*[40] * 50, 8, 3, 3, 1, 5, 6, 7, 9, 9, 9)), (50, 50))
    long = asked((63,) * 257)
    (group,) = plan([*letters, texts, long], cost)
    *packed, own = group.rows
    assert [(row.length, len(row.tokens)) for row in packed] == [(256, 256)] * 4 + [(256, 253)]
    assert (own.length, own.tokens) == (320, [63] * 257)
    first, last = packed[-1].segments[-61:-60], packed[-1].segments[-61:]
    (trunk,) = first
    assert trunk == 4 * BRANCHES
    assert last == [trunk] * 50 + [trunk + 1] * 9 + [trunk + 2] * 2
    assert packed[-1].positions[-61:] == [*range(50), *range(50, 59), 50, 51]


def test_a_place_is_read_once_for_all_its_choices():
    (group,) = plan([asked((5, 6, 7))], cost)
    (row,) = group.rows
    assert (row.tokens, row.reads) == ([5, 6, 7], [2])
    assert [(s.read, s.label, s.choice) for s in row.scored] == [(0, i, i) for i in range(4)]


def test_padding_is_counted():
    functions = Functions()
    scorer = Scorer(functions)
    scorer.score(functions.init(), [asked((1, 2, 3)), asked((4, 5))])
    assert scorer.usage == Usage(computed=256, useful=5)
    scorer.score(functions.init(), [asked((*range(60), *range(10), i)) for i in range(9)])
    assert scorer.usage == Usage(computed=256 + 80 + 256, useful=5 + 70 + 9)


@pytest.mark.parametrize(
    ("shared", "answered"),
    # Of the nested ones, all that have the first of three prefixes, or the second.
    [(0, slice(20)), (100, slice(20)), ("nested", slice(6)), ("nested", slice(6, 12))],
)
def test_what_is_done_is_left_out_and_all_else_the_same_to_the_bit(shared, answered):
    functions, params = llama()
    requests = requests_that_share(shared, 8, 30)
    scorer = Scorer(functions, batch_tokens=128)
    expected = dict(scorer.scores(params, requests))
    assert sorted(expected) == [*range(len(requests))]
    full = scorer.usage.computed
    done = [*expected][answered]
    computed = scorer.usage.computed
    rest = dict(scorer.scores(params, requests, done))
    assert rest == {index: expected[index] for index in expected if index not in done}
    assert scorer.usage.computed - computed < full
    assert dict(scorer.scores(params, requests, range(len(requests)))) == {}


@pytest.mark.parametrize(
    ("family", "shared"), [("llama", 0), ("llama", 70), ("llama", "nested"), ("t5", 0)]
)
def test_scores_do_not_depend_on_the_mesh(family, shared):
    functions, params = llama()
    requests = requests_that_share(shared, 6, 5, longest=12)
    if family == "t5":
        functions = t5_functions()
        params = random_params(functions)
        requests = [Request(((5, 6, 7), (5, 9, 7)), (1, 1)), Request(((1, 2), (1, 3)), (1, 1))]
    expected = Scorer(functions).score(params, requests)
    mesh = make_mesh("data:2,fsdp:2,tensor:2")
    placed = jax.device_put(params, param_shardings(mesh, functions.letters, functions.abstract))
    got = Scorer(functions, mesh).score(placed, requests)
    for one, two in zip(expected, got, strict=True):
        np.testing.assert_allclose(one.loglikelihoods, two.loglikelihoods, atol=1e-4)


def test_prompt_and_answer_are_tokenized_as_one_text():
    tokenizer = Tokenizer()
    each = request(tokenizer, "Answer:", [" A", " B", " C"])
    # ' A' is one piece, ' B' two, and ' C' merges with the colon before it.
    assert [tokenizer.decode(s) for s in each.sequences] == [
        "<bos>Answer: A", "<bos>Answer: B", "<bos>Answer: C",
    ]  # fmt: skip
    endings = [
        tokenizer.decode(s[start:]) for s, start in zip(each.sequences, each.starts, strict=True)
    ]
    assert endings == [" A", " B", ": C"]


def test_an_eos_separator_stands_between_prompt_and_answer():
    tokenizer = Tokenizer()
    each = request(tokenizer, "Answer:", ["A", " C"], eos_separator=True)
    assert [tokenizer.decode(s) for s in each.sequences] == [
        "<bos>Answer:<eos>A", "<bos>Answer:<eos> C",
    ]  # fmt: skip
    assert each.starts == (9, 9)


@pytest.mark.parametrize(
    ("sequence", "start", "message"),
    [
        ((1, 64), 1, r"q7, choice 0: token id 64 is outside the model's vocabulary of 64"),
        ((-1, 2), 1, r"token id -1 is outside"),
        ((1,) * 258, 1, r"257 tokens do not fit the model's context of 256"),
        ((1, 2), 2, r"start at 2 of 2"),
        ((1, 2), 0, r"start at 0 of 2"),
    ],
)
def test_bad_requests(sequence, start, message):
    functions = Functions()
    with pytest.raises(ValueError, match=message):
        Scorer(functions).score(functions.init(), [Request((sequence,), (start,), "q7")])


def test_the_longest_sequence_that_fits_is_scored():
    functions = Functions()
    each = Request(((1,) * 257,), (256,))
    (score,) = Scorer(functions).score(functions.init(), [each])
    assert math.isfinite(score.loglikelihoods[0])


def test_diverged_parameters_are_an_error():
    functions = Functions()
    params = functions.init()
    params["head.w"][0, 0] = math.nan
    with pytest.raises(ValueError, match="q1: log-likelihoods .* are not finite"):
        Scorer(functions).score(params, [Request(((1, 2),), (1,), "q1")])


def test_few_shapes_are_compiled():
    functions = Functions(max_length=1024)
    scorer = Scorer(functions, batch_tokens=2048)
    random, requests = np.random.default_rng(7), []
    for subject in range(12):
        shots = tuple(random.integers(0, 64, 300 + 3 * subject).tolist())
        for _ in range(10 + 5 * subject):
            requests.append(
                asked((*shots, *random.integers(0, 64, random.integers(20, 90)).tolist()))
            )
    scorer.score(functions.init(), requests)
    assert scorer._begin._cache_size() == 2  # prefixes of 320 and of 384 tokens
    assert scorer._follow._cache_size() <= 2 * 4  # of 384 slots; batches of 1, 2, 4 and 8 rows
    assert scorer.usage.useful / scorer.usage.computed > 0.85


def test_buckets():
    assert [bucket(n, 32) for n in (1, 32, 33, 49, 65, 97, 129)] == [32, 32, 48, 64, 96, 128, 192]
    quarters = [bucket(n, 32, quarters=True) for n in (1, 33, 41, 49, 57, 65, 97, 113)]
    assert quarters == [32, 40, 48, 56, 64, 80, 112, 128]
    assert common_prefix([(1, 2, 3), (1, 2), (1, 2, 4)]) == (1, 2)
    assert common_prefix([(1, 2)]) == (1, 2)
    assert common_prefix([(1,), (2,)]) == ()


def test_letters_of_a_sentencepiece_model_are_located_in_context(tmp_path):
    """LLaMA's own model splits ' A' so; apart from its prompt, 'A' would get a dummy space."""
    from ift_jax import tokenizers

    texts = ["Answer: Apple Answer: Axe Answer: Bee Answer: Boat fiZ"] * 20
    tokenizer = tokenizers.train_sentencepiece(texts, 290, tmp_path / "tokenizer.model")
    each = request(tokenizer, "A. no\nAnswer:", [" A", " B", " Z"])
    pieces = tokenizer._model
    answers = [
        pieces.id_to_piece(list(s[start:]))
        for s, start in zip(each.sequences, each.starts, strict=True)
    ]
    assert answers == [["▁A"], ["▁B"], ["▁", "Z"]]
    prompt = (tokenizer.bos_id, *tokenizer.encode("A. no\nAnswer:"))
    for sequence, start in zip(each.sequences, each.starts, strict=True):
        assert sequence[:start] == prompt


def plain_forward(functions, params, T=100):
    """(logp_T, greedy_T) of a sequence from `start`, by one forward pass of rows padded to T."""

    @jax.jit
    def forward(batch):
        return functions.unembed(params, functions.hidden(params, batch))[0]

    def row(tokens):
        tokens_BT = np.zeros((1, T), np.int32)
        tokens_BT[0, : len(tokens)] = tokens
        return (
            tokens_BT,
            np.arange(T)[None],
            (np.arange(T) < len(tokens)).astype(np.int32)[None],
        )

    def scored(sequence, start):
        if functions.encoder_decoder:
            fed, first = (functions.config.start_id, *sequence[start:-1]), 0
            batch = Batch(*row(fed), None, None, *row(sequence[:start]))
        else:
            batch, first = Batch(*row(sequence[:-1])), start - 1
        answer = np.array(sequence[start:])
        logits_TV = forward(batch)[first : first + len(answer)]
        logp_TV = jax.nn.log_softmax(logits_TV)
        return logp_TV[np.arange(len(answer)), answer], logits_TV.argmax(-1) == answer

    return scored


@pytest.mark.parametrize("family", lookup.names("models", "Model"))
def test_every_family_scores_as_one_plain_forward_pass_a_choice(family):
    """In batches of several shapes; answers of unequal lengths, some beginning another one."""
    module = lookup.find("models", family)
    functions = Real(module, module.SIZES["tiny"])
    params = jax.jit(functions.init)(jax.random.key(2))
    random, requests = np.random.default_rng(5), []
    begun = {shared: tuple(random.integers(1, 60, shared).tolist()) for shared in (0, 70)}
    for shared, length in ((0, 3), (70, 20), (0, 40), (70, 5), (70, 20)):
        context = (*begun[shared], *random.integers(1, 60, length - 1 + shared % 2).tolist(), 9)
        length = len(context)
        answers = [random.integers(1, 5, count).tolist() for count in (1, 2, 4, 1)]
        answers[2][:2] = answers[1]
        sequences = tuple((*context, *answer) for answer in answers)
        requests.append(Request(sequences, (length,) * 4))
    letters = (*begun[70], *random.integers(1, 60, 9).tolist())
    requests += [asked(letters), asked((*letters, 8, 7))]
    scores = Scorer(functions, batch_tokens=128).score(params, requests)
    plain = plain_forward(functions, params)
    for each, score in zip(requests, scores, strict=True):
        for choice, (sequence, start) in enumerate(zip(each.sequences, each.starts, strict=True)):
            logp_T, greedy_T = plain(sequence, start)
            assert score.loglikelihoods[choice] == pytest.approx(float(logp_T.sum()), abs=1e-5)
            assert score.tokens[choice] == len(sequence) - start
            assert score.greedy[choice] == bool(greedy_T.all())


def t5_functions():
    config = t5.Config(L=2, encoder_layers=3, D=16, N=4, H=8, F=24, V=64, max_length=100)
    return Real(t5, config)


@pytest.mark.parametrize(
    ("sequences", "starts", "message"),
    [
        (((1,) * 110, (1,) * 105), (101, 101), "q7, choice 0: 101 tokens do not fit"),
        (((1,) * 110, (1,) * 105), (5, 5), "q7, choice 0: 105 tokens do not fit"),
        (((1, 2, 3), (1, 4, 3)), (2, 2), "q7, choice 1: another context than choice 0"),
        (((1, 2, 3), (1, 2, 3)), (2, 1), "q7, choice 1: another context than choice 0"),
    ],
)
def test_what_an_encoder_decoder_cannot_read_is_refused(sequences, starts, message):
    functions = t5_functions()
    with pytest.raises(ValueError, match=message):
        Scorer(functions).score({}, [Request(sequences, starts, "q7")])
