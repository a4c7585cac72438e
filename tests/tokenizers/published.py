"""Small tokenizers in the layouts in which the families are published, and texts to try them on.

What is particular of each, from its own files: names and ids of special tokens, fields of
tokenizer_config.json, how text is cut and normalised. The words are made up.

Run in an environment with transformers, from the repository, this writes what the reference makes
of `TEXTS` to tests/golden/tokenizers.json: python -m tests.tokenizers.published
"""

from __future__ import annotations

import io
import json
import pathlib
import tempfile
import unicodedata

import sentencepiece
import tokenizers
from sentencepiece import sentencepiece_model_pb2

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "tokenizers.json"

TEXTS = {
    "english": "Hello, world! It's 19:45 and that's the $3.50 in 1984...",
    "arabic": "الس\u064e\u0651لَامُ عَلَيْكُمْ، كيف الحال؟ ١٢٣",
    "arabic as typed": "الس\u0651\u064eلَامُ",
    "chinese": "中文：你好，世界。",
    "hindi": "नमस्ते दुनिया, क\u093cलम \u0958लम",
    "emoji": "👩\u200d👩\u200d👧\u200d👦 👍🏿 ok 🇫🇷",
    "both ways": "שָׁלוֹם hello עולם \u200f(مرحبا 123)\u200e world",
    "space": "tabs\tand\n\nnew lines\r\n  and   spaces    end  ",
    "composed": "café cafe\u0301 ½ ﬁn a\u0307\u0323x",
    "specials": "a <s> </s><pad><unk><mask><|endoftext|><|padding|>>>TITLE<< <extra_id_0>",
}

LETTERS = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
# In the letters that stand for bytes: Ġ is a space, Ċ a line break, Ø§ the Arabic alif.
MERGES = """
Ġ t,h e,Ġt he,i n,r e,o n,a n,an d,Ġ a,Ġ Ġ,ĠĠ ĠĠ,Ċ Ċ,' s,. .,.. .,! !,l l,ll o
1 9,8 4,19 84,0 0,2 3,1 23,12 3,3 .,1 2
Ø §,Ù Ħ,Ø§ ÙĦ,Ù İ,ä ¸,ä¸ Ń,à ¤,¤ ¨,ð Ł,ðŁ ĳ,c a,ca f,Ã ©,e Ì
""".strip().replace("\n", ",")  # fmt: skip


def merges() -> list[list[str]]:
    """Those whose two sides exist by then."""
    made, known = [], set(LETTERS)
    for merge in (line.split(" ") for line in MERGES.split(",")):
        if known >= {*merge}:
            made.append(merge)
            known.add("".join(merge))
    return made


def vocabulary(first: list[str], last: list[str] = ()) -> dict[str, int]:
    tokens = [*first, *LETTERS, *("".join(merge) for merge in merges()), *last]
    return {token: i for i, token in enumerate(tokens)}


def write(folder: pathlib.Path, **files) -> pathlib.Path:
    """Writes JSON files, by name without the suffix."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        text = json.dumps(content, ensure_ascii=False, indent=2)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    return folder


def added(token_id: int, content: str, special: bool = True) -> dict:
    """Hugging Face's entry; what isn't special is looked for after normalisation."""
    as_written = {"single_word": False, "lstrip": False, "rstrip": False}
    return {
        "id": token_id,
        "content": content,
        **as_written,
        "normalized": not special,
        "special": special,
    }


def tokenizer_json(vocab, added_tokens, normalizer, pre_tokenizer, post_processor) -> dict:
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added_tokens,
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": post_processor,
        "decoder": byte_level(add_prefix_space=True),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "vocab": vocab,
            "merges": [" ".join(merge) for merge in merges()],
        },
    }


def byte_level(**changes) -> dict:
    return {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    } | changes


def opt(folder: pathlib.Path) -> pathlib.Path:
    """facebook/opt-*: GPT-2's two files, fairseq's special tokens, </s> first in every text."""

    def named(content: str) -> dict:
        return {
            "content": content,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": True,
        }

    tokens = {f"{role}_token": named("</s>") for role in ("unk", "bos", "eos")}
    tokens["pad_token"] = named("<pad>")
    write(
        folder,
        vocab=vocabulary(["<s>", "<pad>", "</s>", "<unk>"], ["madeupword0000", "<mask>"]),
        special_tokens_map=tokens,
        tokenizer_config={
            "errors": "replace",
            **{role: {**token, "__type": "AddedToken"} for role, token in tokens.items()},
            "add_prefix_space": False,
            "add_bos_token": True,
            "special_tokens_map_file": None,
            "tokenizer_class": "GPT2Tokenizer",
        },
    )
    lines = "\n".join(" ".join(merge) for merge in merges())
    (folder / "merges.txt").write_text(f"#version: 0.2\n{lines}\n", encoding="utf-8")
    return folder


def falcon(folder: pathlib.Path) -> pathlib.Path:
    """tiiuae/falcon-*: punctuation and three digits at a time cut off, no BOS."""
    names = "TITLE ABSTRACT INTRODUCTION SUMMARY COMMENT ANSWER QUESTION DOMAIN PREFIX SUFFIX"
    specials = [*(f">>{name}<<" for name in f"{names} MIDDLE".split()), "<|endoftext|>"]
    pre_tokenizers = [
        {"type": "Punctuation", "behavior": "Contiguous"},
        byte_level(),
        {"type": "Digits", "individual_digits": False},
        {
            "type": "Split",
            "pattern": {"Regex": "[0-9][0-9][0-9]"},
            "behavior": "Isolated",
            "invert": False,
        },
    ]
    return write(
        folder,
        tokenizer=tokenizer_json(
            vocabulary(specials),
            [added(i, token) for i, token in enumerate(specials)],
            None,
            {"type": "Sequence", "pretokenizers": pre_tokenizers},
            None,
        ),
        tokenizer_config={
            "add_prefix_space": False,
            "eos_token": "<|endoftext|>",
            "model_input_names": ["input_ids", "attention_mask"],
            "model_max_length": 2048,
            "special_tokens_map_file": None,
            "tokenizer_class": "PreTrainedTokenizerFast",
        },
        special_tokens_map={
            "additional_special_tokens": specials[:-1],
            "eos_token": "<|endoftext|>",
        },
    )


def mpt(folder: pathlib.Path) -> pathlib.Path:
    """mosaicml/mpt-*: GPT-NeoX-20B's; composes characters, has runs of spaces, names a BOS."""
    vocab = vocabulary(["<|endoftext|>", "<|padding|>"])
    runs = [added(len(vocab) + i, " " * n, special=False) for i, n in enumerate((4, 3, 2))]
    special = {f"{role}_token": "<|endoftext|>" for role in ("bos", "eos", "unk")}
    return write(
        folder,
        tokenizer=tokenizer_json(
            vocab,
            [added(0, "<|endoftext|>"), added(1, "<|padding|>"), *runs],
            {"type": "NFC"},
            byte_level(),
            byte_level(),
        ),
        tokenizer_config={
            "add_prefix_space": False,
            **special,
            "clean_up_tokenization_spaces": True,
            "model_max_length": 2048,
            "tokenizer_class": "GPTNeoXTokenizer",
        },
        special_tokens_map=special,
    )


def t5(folder: pathlib.Path) -> pathlib.Path:
    """google/t5-v1_1-*, google/flan-t5-*: a unigram model behind NFKC, 100 sentinels after it."""
    settings = {"model_type": "unigram", "normalization_rule_name": "nmt_nfkc"}
    model = _trained(pad_id=0, eos_id=1, unk_id=2, bos_id=-1, **settings)
    words = ["▁He", "llo", "▁the", "▁and", "▁that", "▁in", "▁a", "▁lines", "▁new", "▁caf", "▁1"]
    words += ["▁ال", "你好", "世界", "fi", "19", "84", "..."]
    # What T5 lacks: '<', and emoji.
    letters = {*unicodedata.normalize("NFKC", "".join(TEXTS.values())), *map(chr, range(33, 127))}
    letters -= {letter for letter in letters if letter.isspace() or letter == "<" or letter >= "🇦"}
    words = ["▁", *words, *sorted(letters)]
    model.pieces.add(piece="<pad>", score=0, type=PIECE.CONTROL)
    model.pieces.add(piece="</s>", score=0, type=PIECE.CONTROL)
    model.pieces.add(piece="<unk>", score=0, type=PIECE.UNKNOWN)
    for i, word in enumerate(words):
        # The longer a piece the likelier, as the sum over a text prefers fewer.
        model.pieces.add(piece=word, score=-2.0 - i / 100)
    sentinels = [f"<extra_id_{i}>" for i in range(100)]
    special = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    write(
        folder,
        tokenizer_config={
            **special,
            "extra_ids": 100,
            "additional_special_tokens": sentinels,
            "model_max_length": 512,
            "sp_model_kwargs": {},
            "tokenizer_class": "T5Tokenizer",
        },
        special_tokens_map={**special, "additional_special_tokens": sentinels},
    )
    (folder / "spiece.model").write_bytes(model.SerializeToString())
    return folder


def llama(folder: pathlib.Path) -> pathlib.Path:
    """meta-llama/Llama-2-*: BPE without normalisation, unknown characters as bytes, BOS first."""
    settings = {"model_type": "bpe", "normalization_rule_name": "identity", "byte_fallback": True}
    settings |= {"remove_extra_whitespaces": False, "split_digits": True, "vocab_size": 270}
    model = _trained(unk_id=0, bos_id=1, eos_id=2, pad_id=-1, **settings)
    model.pieces.add(piece="<unk>", score=0, type=PIECE.UNKNOWN)
    model.pieces.add(piece="<s>", score=0, type=PIECE.CONTROL)
    model.pieces.add(piece="</s>", score=0, type=PIECE.CONTROL)
    for byte in range(256):
        model.pieces.add(piece=f"<0x{byte:02X}>", score=0, type=PIECE.BYTE)
    joined = ["▁▁", "▁▁▁▁", "▁t", "he", "▁the", "in", "an", "and", "▁and", "...", "ال", "世界"]
    letters = ["▁", *map(chr, range(33, 127)), *"اللسمكيعن", *"世界文"]
    for i, piece in enumerate([*joined, *dict.fromkeys(letters)]):
        model.pieces.add(piece=piece, score=-i)
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    write(
        folder,
        tokenizer_config={
            "add_bos_token": True,
            "add_eos_token": False,
            **special,
            "clean_up_tokenization_spaces": False,
            "legacy": False,
            "model_max_length": 4096,
            "sp_model_kwargs": {},
            "tokenizer_class": "LlamaTokenizer",
        },
        special_tokens_map=special,
    )
    (folder / "tokenizer.model").write_bytes(model.SerializeToString())
    return folder


PIECE = sentencepiece_model_pb2.ModelProto.SentencePiece


def _trained(**settings) -> sentencepiece_model_pb2.ModelProto:
    """A model without pieces: what its settings say, and the table of its normalisation."""
    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["abc"]),
        model_writer=file,
        hard_vocab_limit=False,
        minloglevel=2,
        **{"vocab_size": 7, **settings},
    )
    model = sentencepiece_model_pb2.ModelProto.FromString(file.getvalue())
    del model.pieces[:]
    return model


FAMILIES = {"llama": llama, "opt": opt, "falcon": falcon, "mpt": mpt, "t5": t5}


def reference(folder: pathlib.Path) -> dict:
    """What transformers makes of a folder: special ids, and each text's ids."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    special = ("bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id")
    texts = {}
    for name, text in TEXTS.items():
        ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        decoded = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
        texts[name] = {"ids": ids, "decoded": decoded}
    return {
        **{role: getattr(tokenizer, role) for role in special},
        "length": len(tokenizer),
        "empty": tokenizer("")["input_ids"],
        "texts": texts,
    }


def main() -> None:
    golden = {}
    with tempfile.TemporaryDirectory() as scratch:
        for family, make in FAMILIES.items():
            folder = make(pathlib.Path(scratch) / family)
            write(folder, config={"model_type": family})
            golden[family] = reference(folder)
    # Which the reference takes for what they name, whatever it is told.
    del golden["t5"]["texts"]["specials"]
    GOLDEN.write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
