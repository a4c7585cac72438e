"""Find an item in a labelled list: the label's item, or the item's label.

Linking an option to its letter is what answering a multiple-choice question by letter needs
besides knowing the answer. The items are everyday words, about which nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator

from ift_jax.tasks.task import Template
from ift_jax.tasks.world import pool

LICENCE = pool.LICENCE
SOURCE = "written for this project: everyday words in random lists"
COUNT = 1500

TEMPLATES = (
    Template("{items}\nQuestion: {ask}\nAnswer:", "{answer}"),
    Template("{ask}\n{items}\nAnswer:", "{answer}"),
    Template("Look at the list.\n{items}\n{ask}", "{answer}"),
    Template("List:\n{items}\nQ: {ask}\nA:", "{answer}"),
    Template("Here is a list.\n{items}\nUse it to answer: {ask}", "{answer}"),
)

_LABELS = ("ABCD", "ABCD", "ABCDE", "1234", "12345", "abcd")
_ASK_ITEM = ("What is {label}?", "Which item is {label}?", "Which word has the label {label}?")
_ASK_LABEL = (
    "What is the label of {item}?",
    "Which label goes with {item}?",
    "Where is the word {item}?",
)
_WORDS = (
    "apple basket bell blanket boat book bottle box bread bridge broom brush bucket button candle"
    " carpet chain chair clock cloud coat comb cup curtain desk door drum fence flag fork garden"
    " gate glass glove hammer hat jar jacket kettle key knife ladder lamp leaf letter lock map"
    " mirror nail needle nest oven paint paper pen pencil pillow pipe plate pocket pot ribbon"
    " ring road roof rope sail scarf shelf shirt shoe shop sock soap spoon stairs stamp stone"
    " stool stove table tent thread ticket tower towel tray vase wall wheel window wire"
)
WORDS = tuple(_WORDS.split())


def rows(split: str) -> Iterator[dict[str, str]]:
    """Rows with `items` (one a line), `ask`, `answer`."""
    pool.train_only(split, __name__)
    for number in range(COUNT):
        key = (__name__, number)
        labels = pool.pick(_LABELS, *key, "labels")
        items = dict(zip(labels, pool.shuffled(WORDS, *key), strict=False))
        label = pool.pick(labels, *key, "label")
        by_label = bool(pool.integer(0, 1, *key, "direction"))
        ask = pool.pick(_ASK_ITEM if by_label else _ASK_LABEL, *key, "ask")
        yield {
            "items": "\n".join(f"{mark}. {word}" for mark, word in items.items()),
            "ask": ask.format(label=label, item=items[label]),
            "answer": items[label] if by_label else label,
        }
