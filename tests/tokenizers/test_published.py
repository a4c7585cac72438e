"""Every family's tokenizer in its published layout, against the reference implementation."""

from __future__ import annotations

import json
import pickle
import unicodedata

import pytest
import sentencepiece
import tokenizers as hf
from hypothesis import given, settings
from hypothesis import strategies as st

from ift_jax import tokenizers
from tests.tokenizers import published
from tests.tokenizers.published import FAMILIES, GOLDEN, TEXTS

REFERENCE = json.loads(GOLDEN.read_text())

every_family = pytest.mark.parametrize("family", FAMILIES)
without_t5 = pytest.mark.parametrize("family", [f for f in FAMILIES if f != "t5"])
every_text = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)

# Marks that compose, characters of several bytes, and what NFKC makes more or fewer of.
AWKWARD = st.text(
    st.one_of(
        st.sampled_from("e\u0301\u0323\u0307\u0651\u064eक\u093c\u0958½ﬁﷺ\u200b\u200d👩 \n\t中a."),
        st.characters(exclude_categories=["Cs"], exclude_characters="▁"),
    ),
    max_size=30,
)
ANY = st.one_of(st.sampled_from(sorted(TEXTS.values())), AWKWARD)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("published")
    return {family: make(root / family) for family, make in FAMILIES.items()}


@pytest.fixture(scope="module")
def loaded(folders):
    return {family: tokenizers.load(folder) for family, folder in folders.items()}


@every_family
def test_ids_and_text_are_the_references(loaded, family):
    for name, expected in REFERENCE[family]["texts"].items():
        ids = loaded[family].encode(TEXTS[name])
        assert ids == expected["ids"], name
        decoded = expected["decoded"]
        if family == "t5":
            decoded = decoded.replace("<unk>", " ⁇ ")  # as sentencepiece writes it
        assert loaded[family].decode(ids) == decoded, name


@pytest.mark.parametrize(
    ("family", "bos", "eos", "size"),
    [
        ("llama", 1, 2, 377),
        ("opt", 2, 2, 302),
        ("falcon", None, 11, 308),
        ("mpt", None, 0, 301),
        ("t5", None, 1, 271),
    ],
)
def test_documents_begin_and_end_as_the_family_was_trained(loaded, family, bos, eos, size):
    tokenizer, reference = loaded[family], REFERENCE[family]
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.vocab_size) == (bos, eos, size)
    assert reference["length"] == size
    assert reference["eos_token_id"] == eos
    # What the reference puts before an empty text (T5's EOS is put after).
    assert reference["empty"] == ([eos] if family == "t5" else [] if bos is None else [bos])


@without_t5
@every_text
def test_text_comes_back(loaded, family, text):
    tokenizer = loaded[family]
    expected = unicodedata.normalize("NFC", text) if family == "mpt" else text
    assert tokenizer.decode(tokenizer.encode(text)) == expected


def test_t5_normalises(loaded):
    t5 = loaded["t5"]
    assert t5.decode(t5.encode("  tabs\t and\n\nnew  lines ")) == "tabs and new lines"
    assert t5.decode(t5.encode("cafe\u0301 ½ ﬁn")) == "café 1⁄2 fin"
    assert t5.decode(t5.encode("and 😀 that")) == "and  ⁇  that"


@without_t5
@settings(max_examples=200, deadline=None)
@given(text=ANY)
def test_tokens_that_end_by_a_place_are_the_text_up_to_it(loaded, family, text):
    tokenizer = loaded[family]
    ids, ends = tokenizer.encode_spans(text)
    assert ids == tokenizer.encode(text)
    assert ends == sorted(ends)
    assert ends[-1:] == ([len(text)] if text else [])
    for end in set(ends):
        upto = [i for i, e in zip(ids, ends, strict=True) if e <= end]
        expected = text[:end]
        if family == "mpt":
            expected = unicodedata.normalize("NFC", expected)
        assert tokenizer.decode(upto) == expected


@settings(max_examples=300, deadline=None)
@given(text=ANY)
def test_t5s_tokens_end_where_all_their_letters_are_read(loaded, text):
    """Its pieces cut what NFKC makes of a text: each ends where the text makes all of it."""
    tokenizer = loaded["t5"]
    model = sentencepiece.SentencePieceProcessor(model_proto=tokenizer._data)
    pieces = model.encode(text, out_type=str)
    ids, ends = tokenizer.encode_spans(text)
    assert ids == tokenizer.encode(text)
    assert ends == sorted(ends)
    assert len(ends) == len(ids)
    for k in range(1 if pieces[:1] == ["▁"] else 0, len(pieces)):
        read = "".join(pieces[: k + 1])
        assert model.normalize(text[: ends[k]]).startswith(read.rstrip("▁"))
        if not read.endswith("▁"):  # Spaces at an end are dropped.
            enough = next(
                e for e in range(len(text) + 1) if model.normalize(text[:e]).startswith(read)
            )
            # Beyond it may stand what NFKC makes nothing of, such as control characters.
            assert model.normalize(f"x{text[enough : ends[k]]}x") == "▁xx"


@pytest.mark.parametrize(
    ("family", "text", "ends"),
    [
        # ▁ before the text, ▁caf é ▁1 ⁄ 2 ▁ fi n: one half is three pieces, the ligature one.
        ("t5", " cafe\u0301  ½ ﬁn ", [4, 6, 9, 9, 9, 10, 11, 12]),
        # caf, é (two bytes), Ġ, ½ (two bytes), Ġ, ﬁ (three bytes), n.
        ("mpt", "cafe\u0301 ½ ﬁn", [3, 5, 6, 7, 7, 8, 9, 9, 9, 10]),
        # ạ (three bytes) and the dot above it, in the other order than composed.
        ("mpt", "xa\u0307\u0323 ", [1, 4, 4, 4, 4, 4, 5]),
        ("mpt", "\u1112\u1161\u11ab.", [3, 3, 3, 4]),
    ],
)
def test_spans_against_hand_counted_ones(loaded, family, text, ends):
    assert loaded[family].encode_spans(text)[1] == ends


@every_family
def test_special_tokens_written_in_text_are_text(loaded, family):
    tokenizer = loaded[family]
    special = {
        "llama": {0, 1, 2},
        "opt": {0, 1, 2, 3, 301},
        "falcon": set(range(12)),
        "mpt": {0, 1},
        "t5": {0, 1, *range(171, 271)},
    }
    assert not special[family] & set(tokenizer.encode(TEXTS["specials"]))
    if family != "t5":
        assert tokenizer.decode(tokenizer.encode(TEXTS["specials"])) == TEXTS["specials"]


@every_family
def test_decoding_leaves_special_tokens_out(loaded, family):
    tokenizer = loaded[family]
    special = {"llama": [1, 2], "opt": [1, 2], "falcon": range(12), "mpt": [0, 1]}
    ids = tokenizer.encode("and")
    for token in special.get(family, [0, 1, *range(171, 271)]):
        assert tokenizer.decode([token, *ids, token]) == "and"
    with pytest.raises(ValueError, match=f"token id {tokenizer.vocab_size} at position 0"):
        tokenizer.decode([tokenizer.vocab_size])


@every_family
def test_a_copy_is_the_same(loaded, family, tmp_path):
    tokenizer = loaded[family]
    tokenizer.save(tmp_path)
    assert (tmp_path / tokenizer.filename).is_file()
    copies = [
        tokenizers.load(tmp_path),
        tokenizers.load(tmp_path / tokenizer.filename),
        pickle.loads(pickle.dumps(tokenizer)),
    ]
    for copy in copies:
        for name in ("vocab_size", "bos_id", "eos_id", "fingerprint", "filename"):
            assert getattr(copy, name) == getattr(tokenizer, name), name
        for text in TEXTS.values():
            assert copy.encode_spans(text) == tokenizer.encode_spans(text)


@every_family
def test_the_config_beside_it_is_kept(folders, loaded, family, tmp_path):
    loaded[family].save(tmp_path)
    name = "tokenizer_config.json"
    before, after = (
        json.loads((folder / name).read_text()) for folder in (folders[family], tmp_path)
    )
    assert {key: after[key] for key in before} == before
    assert after["add_bos_token"] == (loaded[family].bos_id is not None)


@pytest.mark.parametrize("family", ["llama", "falcon", "mpt", "t5"])
def test_the_file_itself_is_kept_byte_for_byte(folders, loaded, family, tmp_path):
    loaded[family].save(tmp_path)
    name = {"llama": "tokenizer.model", "t5": "spiece.model"}.get(family, "tokenizer.json")
    assert loaded[family].filename == name
    if family in ("llama", "t5"):
        assert (tmp_path / name).read_bytes() == (folders[family] / name).read_bytes()
    else:
        assert (tmp_path / name).read_text() == (folders[family] / name).read_text()


def test_opts_two_files_become_one_that_adds_bos(loaded, tmp_path):
    loaded["opt"].save(tmp_path)
    raw = hf.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    ids = loaded["opt"].encode("the 1984")
    assert raw.encode("the 1984").ids == [2, *ids]


def test_a_bare_sentencepiece_model_names_its_class_for_other_readers(folders, tmp_path):
    """Without one, Hugging Face's reader leaves out BOS and the space before a text."""
    file = tmp_path / "tokenizer.model"
    file.write_bytes((folders["llama"] / file.name).read_bytes())
    bare = tokenizers.load(file)
    bare.save(tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert config == {"tokenizer_class": "LlamaTokenizer", "legacy": False, "add_bos_token": True}
    assert bare.bos_id == 1
    (tmp_path / "tokenizer_config.json").write_text('{"add_bos_token": false}')
    assert tokenizers.load(file).bos_id is None


def test_t5s_sentinels_come_from_its_config(folders, tmp_path):
    (tmp_path / "spiece.model").write_bytes((folders["t5"] / "spiece.model").read_bytes())
    assert tokenizers.load(tmp_path).vocab_size == 171
    config = tmp_path / "tokenizer_config.json"
    config.write_text('{"extra_ids": 7}')
    assert tokenizers.load(tmp_path).vocab_size == 178
    assert tokenizers.load(tmp_path).pieces()[170:172] == ["界", None]
    config.write_text('{"extra_ids": "7"}')
    with pytest.raises(ValueError, match=r"spiece\.model: extra_ids .* is '7', expected a count"):
        tokenizers.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("merges.txt", None, r"merges\.txt: no such file; vocab\.json needs it"),
        ("merges.txt", b"Q q\n", r"merges\.txt: line 1 is 'Q q', expected two tokens of vocab"),
        ("merges.txt", b"#version: 0.2\nt\n", r"merges\.txt: line 2 is 't', expected two"),
        ("merges.txt", b"\xff", r"merges\.txt: not UTF-8"),
        ("vocab.json", b'{"a": 0, "b": 0}', r"vocab\.json: expected an id of its own for each"),
        ("vocab.json", b'{"a": "0"}', r"vocab\.json: expected an id of its own for each token"),
        ("vocab.json", b"[]", r"vocab\.json: a JSON list, expected an object"),
        ("tokenizer_config.json", None, r"vocab\.json: nothing says which token ends a document"),
    ],
)
def test_broken_files_of_opt_are_named(tmp_path, name, content, message):
    folder = FAMILIES["opt"](tmp_path)
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        tokenizers.load(folder)


def test_a_bos_that_opts_vocabulary_lacks_is_named(tmp_path):
    folder = published.opt(tmp_path)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"bos_token": "<s2>"}))
    with pytest.raises(ValueError, match="bos_token '<s2>' is not in the vocabulary"):
        tokenizers.load(folder)
