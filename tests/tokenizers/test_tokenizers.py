"""Tokenizers: both kinds keep the same promises, on text of every script."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import tokenizers as hf
from hypothesis import given, settings
from hypothesis import strategies as st

from ift_jax import tokenizers
from ift_jax.checkpoints.gguf import GGUF, GGUFError
from tests.tokenizers import published

SENTENCES = [
    "The capital of France is Paris.",
    "Question: what is the symbol of gold?\nA. Au\nB. Ag\nAnswer: A",
    "In 1984 there were 27 countries and 365 days.",
    "Café, naïve, résumé: the accents are rare.",
] * 20
BYTES = hf.pre_tokenizers.ByteLevel.alphabet()

# U+2581 is sentencepiece's own sign for a space: the one character that does not come back.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁"), max_size=40)


class Metadata(GGUF):
    """A GGUF file without a file."""

    def __init__(self, metadata):
        self.path, self.metadata, self.tensors = Path("m.gguf"), metadata, {}


def gguf_metadata(**changes):
    """A byte-level BPE over all 256 bytes with three specials and a few merges."""
    merges = ["Ġ t", "h e", "Ġt he", "1 9", "i n"]
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *sorted(BYTES)]
    tokens += [merge.replace(" ", "") for merge in merges]
    metadata = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": np.array([3] * 3 + [1] * (len(tokens) - 3), np.int32),
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    }
    return Metadata(metadata | {f"tokenizer.ggml.{key}": value for key, value in changes.items()})


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    path = tmp_path_factory.mktemp("sp") / "tokenizer.model"
    return {
        "sentencepiece": tokenizers.train_sentencepiece(SENTENCES, 400, path),
        "bpe": tokenizers.from_gguf(gguf_metadata()),
    }


KINDS = pytest.mark.parametrize("kind", ["sentencepiece", "bpe"])


def pieces(tokenizer: tokenizers.SentencePiece, ids: list[int]) -> list[str]:
    model = sentencepiece.SentencePieceProcessor(model_proto=tokenizer._data)
    return model.id_to_piece(ids)


@KINDS
@settings(max_examples=200, deadline=None)
@given(text=TEXTS)
def test_any_text_comes_back_and_its_spans_cover_it(models, kind, text):
    tokenizer = models[kind]
    ids, ends = tokenizer.encode_spans(text)
    assert ids == tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert len(ends) == len(ids)
    assert ends == sorted(ends)
    assert ends[-1:] == ([len(text)] if text else [])
    assert all(type(i) is int for i in ids + ends)


@KINDS
@settings(max_examples=200, deadline=None)
@given(text=TEXTS)
def test_a_token_ends_where_its_last_character_does(models, kind, text):
    """The tokens that end by `end` decode to text[:end]: the definition of an end."""
    tokenizer = models[kind]
    ids, ends = tokenizer.encode_spans(text)
    for end in set(ends):
        upto = [i for i, e in zip(ids, ends, strict=True) if e <= end]
        assert tokenizer.decode(upto) == text[:end]


@KINDS
@pytest.mark.parametrize("character", ["é", "م", "😀", "𓀀", "\n", "\x00", "中"])
def test_all_pieces_of_a_character_end_after_it(models, kind, character):
    text = f"xx{character}{character}y"
    ids, ends = models[kind].encode_spans(text)
    assert set(ends) <= set(range(len(text) + 1))
    # Whatever is not one of the outer letters belongs to one of the two characters.
    inner = [end for end in ends if end in (3, 4)]
    assert inner.count(3) == inner.count(4) >= 1
    if kind == "bpe":
        assert inner.count(3) == len(character.encode())
        assert len(ids) == 2 * len(character.encode()) + 3


def test_spans_against_hand_counted_ones(models):
    ids, ends = models["sentencepiece"].encode_spans(" 19😀")
    assert pieces(models["sentencepiece"], ids) == [
        *("▁", "▁", "1", "9"),
        *("<0xF0>", "<0x9F>", "<0x98>", "<0x80>"),
    ]
    assert ends == [0, 1, 2, 3, 4, 4, 4, 4]
    ids, ends = models["bpe"].encode_spans("in the 19😀")
    # 'in', ' the', ' ', '1', '9' and four bytes: the merge of 1 and 9 never applies.
    assert ends == [2, 6, 7, 8, 9, 10, 10, 10, 10]


def test_space_keeps_its_place_in_the_spans(models):
    """ByteLevel post-processing, as in GPT-2's own file, would trim spaces off the offsets."""
    description = json.loads(models["bpe"]._data)
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    description["pre_tokenizer"] = {**byte_level, "use_regex": False}
    description["post_processor"] = {**byte_level, "use_regex": True}
    description["model"]["vocab"]["aĠ"] = 264
    description["model"]["merges"].append(["a", "Ġ"])
    bpe = tokenizers.BPE(json.dumps(description).encode(), eos="<|im_end|>")
    assert bpe.encode_spans("a b") == ([264, bpe.encode("b")[0]], [2, 3])


def test_truncation_and_padding_are_left_out(models):
    description = json.loads(models["bpe"]._data)
    description["truncation"] = {
        "direction": "Right",
        "max_length": 2,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    description["padding"] = {
        "strategy": {"Fixed": 9},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "<|endoftext|>",
    }
    bpe = tokenizers.BPE(json.dumps(description).encode(), eos="<|im_end|>")
    assert bpe.encode("abcd") == models["bpe"].encode("abcd")
    assert len(bpe.encode("abcd")) == 4


@KINDS
@pytest.mark.parametrize(
    "text", ["</s>", "<s> <unk>", "<|im_end|>", "a<|endoftext|>b", "<0x0A>", "<|im_start|>user"]
)
def test_specials_written_in_text_stay_text(models, kind, text):
    tokenizer = models[kind]
    ids = tokenizer.encode(text)
    assert not {0, 1, 2} & set(ids)  # The specials of both tokenizers.
    assert tokenizer.decode(ids) == text


@KINDS
def test_decode_leaves_specials_out_and_refuses_unknown_ids(models, kind):
    tokenizer = models[kind]
    ids = tokenizer.encode("the")
    assert tokenizer.decode([1, *ids, tokenizer.eos_id]) == "the"
    assert tokenizer.decode(np.array(ids, np.int32)) == "the"
    for bad in (-1, tokenizer.vocab_size):
        with pytest.raises(ValueError, match=f"token id {bad} at position 0"):
            tokenizer.decode([bad])


@KINDS
def test_half_a_surrogate_pair_is_refused(models, kind):
    for encode in (models[kind].encode, models[kind].encode_spans):
        with pytest.raises(ValueError, match="character 2 of a text is '.ud83d'"):
            encode("ab\ud83d")


@KINDS
def test_saved_loaded_and_pickled_tokenizers_are_the_same(models, kind, tmp_path):
    tokenizer = models[kind]
    tokenizer.save(tmp_path / "new" / "folder")
    folder = tmp_path / "new" / "folder"
    copies = [
        tokenizers.load(folder),
        tokenizers.load(folder / tokenizer.filename),
        pickle.loads(pickle.dumps(tokenizer)),
    ]
    for copy in copies:
        assert vars(copy).keys() == vars(tokenizer).keys()
        for name in ("vocab_size", "bos_id", "eos_id", "fingerprint", "filename"):
            assert getattr(copy, name) == getattr(tokenizer, name)
        assert copy.encode("the 19 cafés\n") == tokenizer.encode("the 19 cafés\n")
    assert (folder / tokenizer.filename).read_bytes() == tokenizer._data


def test_training_is_deterministic_and_like_llamas(tmp_path):
    trained = [
        tokenizers.train_sentencepiece(iter(SENTENCES), 400, tmp_path / f"{i}.model")
        for i in range(2)
    ]
    one = trained[0]
    assert one.fingerprint == trained[1].fingerprint
    assert tokenizers.load(tmp_path / "0.model").fingerprint == one.fingerprint
    assert (one.vocab_size, one.bos_id, one.eos_id) == (400, 1, 2)
    model = sentencepiece.SentencePieceProcessor(model_proto=one._data)
    assert model.id_to_piece([0, 1, 2, 3]) == ["<unk>", "<s>", "</s>", "<0x00>"]
    assert model.pad_id() == -1
    assert pieces(one, one.encode("1984\n")) == ["▁", "1", "9", "8", "4", "<0x0A>"]


def test_training_drops_no_long_line(tmp_path):
    """Sentencepiece's default is to skip lines over 4,192 bytes."""
    long = ["zebra " * 2000]
    one = tokenizers.train_sentencepiece(long, 270, tmp_path / "t.model")
    assert pieces(one, one.encode("zebra")) == ["▁zebra"]


def test_a_vocabulary_that_the_texts_do_not_allow(tmp_path):
    with pytest.raises(ValueError, match="no tokenizer of 5000 pieces"):
        tokenizers.train_sentencepiece(["a b c"], 5000, tmp_path / "t.model")


def test_digits_split_by_name_of_the_pre_tokenizer(models):
    gpt2 = tokenizers.from_gguf(gguf_metadata(pre="gpt-2"))
    assert len(models["bpe"].encode("19")) == 2
    assert len(gpt2.encode("19")) == 1


def test_bos_only_where_the_model_adds_it(tmp_path):
    with_bos = tokenizers.from_gguf(gguf_metadata(add_bos_token=True))
    assert (with_bos.bos_id, with_bos.eos_id) == (1, 2)
    assert tokenizers.from_gguf(gguf_metadata(add_bos_token=False)).bos_id is None
    with_bos.save(tmp_path)
    assert tokenizers.load(tmp_path).bos_id == 1
    config = {"bos_token": {"content": "<|im_start|>"}, "eos_token": {"content": "<|im_end|>"}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    assert tokenizers.load(tmp_path).bos_id == 1  # The post-processor adds it.
    config["add_bos_token"] = False
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    assert tokenizers.load(tmp_path).bos_id is None
    description = json.loads(with_bos._data) | {"post_processor": None}
    (tmp_path / "tokenizer.json").write_text(json.dumps(description))
    del config["add_bos_token"]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    assert tokenizers.load(tmp_path).bos_id is None  # GPT-2's kind: named, never added.


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "llama"}, "'llama'.*original tokenizer.model"),
        ({"model": "bert"}, "'bert'.*original tokenizer file"),
        ({"pre": "default"}, "'default', expected one of gpt-2, smollm; use the model's original"),
        ({"pre": None}, "tokenizer.ggml.pre is None"),
        ({"eos_token_id": 9999}, "eos_token_id is 9999, expected 0 to 263"),
        ({"merges": ["Ġ t", "Ġt"]}, "merges 1 is 'Ġt', expected two tokens"),
        ({"merges": ["a b"]}, "merges 0 is 'a b'"),
        ({"token_type": np.zeros(3, np.int32)}, "3 token types"),
        ({"tokens": ["a", "a"]}, "2 tokens, 1 different"),
        ({"tokens": 3}, "'tokenizer.ggml.tokens' is a int"),
    ],
)
def test_gguf_tokenizers_that_cannot_be_rebuilt(changes, words):
    with pytest.raises(GGUFError, match=f"m.gguf: .*{words}"):
        tokenizers.from_gguf(gguf_metadata(**changes))


def test_files_that_are_no_tokenizers(tmp_path, models):
    with pytest.raises(ValueError, match=r"none of tokenizer\.model, spiece"):
        tokenizers.load(tmp_path)
    with pytest.raises(ValueError, match="no such file"):
        tokenizers.load(tmp_path / "gone")
    (tmp_path / "tokenizer.model").write_bytes(b"not a model")
    with pytest.raises(ValueError, match=r"tokenizer\.model: 11 bytes, not a sentencepiece"):
        tokenizers.load(tmp_path)
    models["bpe"].save(tmp_path / "bpe")
    path = tmp_path / "bpe" / "tokenizer.json"
    for content, words in [
        ("{", "not JSON"),
        ("[]", "a JSON list"),
        ("{}", "not a tokenizer.json"),
        (
            json.dumps({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "b"]]}}),
            "not a",
        ),
    ]:
        path.write_text(content)
        with pytest.raises(ValueError, match=rf"tokenizer\.json: {words}"):
            tokenizers.load(path)


def test_an_end_of_document_token_must_be_named_and_known(tmp_path, models):
    models["bpe"].save(tmp_path)
    config = tmp_path / "tokenizer_config.json"
    config.write_text('{"eos_token": null}')
    with pytest.raises(ValueError, match=r"eos_token is None; write {\"eos_token\""):
        tokenizers.load(tmp_path)
    config.write_text('{"eos_token": "<end>"}')
    with pytest.raises(ValueError, match="eos_token '<end>' is not in the vocabulary"):
        tokenizers.load(tmp_path)
    config.write_text('{"eos_token": "a"}')
    with pytest.raises(ValueError, match="'a' would be recognised in text"):
        tokenizers.load(tmp_path)
    config.unlink()
    with pytest.raises(ValueError, match="nothing says which token ends a document"):
        tokenizers.load(tmp_path)


def test_check_ids_names_the_first_id_outside():
    tokenizers.check_ids([0, 9], 10, "row 3 of a.json")
    tokenizers.check_ids(np.zeros((0, 4)), 10, "an empty batch")
    with pytest.raises(ValueError, match="row 3 of a.json: token id 10 at position 1 .* 0 to 9"):
        tokenizers.check_ids([0, 10, -1], 10, "row 3 of a.json")
    with pytest.raises(ValueError, match="step 7: token id -1 at position 1, 2 "):
        tokenizers.check_ids(np.array([[0, 1, 2], [3, 4, -1]]), 10, "step 7")
    with pytest.raises(ValueError, match="float64, expected integers"):
        tokenizers.check_ids([0.5], 10, "a batch")


def test_check_fits_names_both_sizes(models):
    tokenizers.check_fits(models["sentencepiece"], 400)
    with pytest.raises(ValueError, match=r"tokenizer\.model has 400 tokens .* V=399 rows; use"):
        tokenizers.check_fits(models["sentencepiece"], 399)


@pytest.fixture(scope="session")
def llama():
    folder = Path(os.environ.get("IFT_JAX_DATA", "")) / "tokenizers" / "llama"
    if "IFT_JAX_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("IFT_JAX_DATA names no folder with tokenizers/llama")
    return tokenizers.load(folder)


@pytest.mark.real_data
class TestLlama:
    """On LLaMA's own tokenizer, under $IFT_JAX_DATA/tokenizers/llama."""

    def test_ids(self, llama):
        assert (llama.vocab_size, llama.bos_id, llama.eos_id) == (32000, 1, 2)

    def test_a_space_and_a_letter_are_two_pieces(self, llama):
        ids, ends = llama.encode_spans(" A")
        assert (pieces(llama, ids), ends) == (["▁", "▁A"], [0, 2])
        assert pieces(llama, llama.encode("Answer: A"))[-1] == "▁A"

    @settings(max_examples=300, deadline=None)
    @given(text=TEXTS)
    def test_any_text_comes_back_and_its_spans_cover_it(self, llama, text):
        ids, ends = llama.encode_spans(text)
        assert llama.decode(ids) == text
        assert ends == sorted(ends)
        assert ends[-1:] == ([len(text)] if text else [])

    def test_llama2cs_file_of_it_is_the_same(self, llama):
        file = Path(os.environ["IFT_JAX_DATA"]) / "tokenizers" / "llama" / "tokenizer.bin"
        rebuilt = tokenizers.load(file)
        assert rebuilt.pieces() == llama.pieces()
        for text in [*SENTENCES, *published.TEXTS.values()]:
            assert rebuilt.encode_spans(text) == llama.encode_spans(text)
