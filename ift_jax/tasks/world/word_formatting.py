"""Write given words out again in a stated form: copying, and doing as told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ift_jax.tasks.task import Template
from ift_jax.tasks.world import pool
from ift_jax.tasks.world.list_lookup import WORDS

LICENCE = pool.LICENCE
SOURCE = "written for this project: everyday words and ways to write them"
COUNT = 800

TEMPLATES = (
    Template("{order}\n{words}", "{answer}"),
    Template("Words: {words}\n{order}\nResult:", "{answer}"),
    Template("Do as told. {order}\nWords: {words}", "{answer}"),
    Template("Input: {words}\nTask: {order}\nOutput:", "{answer}"),
    Template("{words}\nInstruction: {order}", "{answer}"),
)

_ORDERS: dict[str, Callable[[Sequence[str]], str]] = {
    "Copy the words.": " ".join,
    "Copy the words with commas between them.": ", ".join,
    "Write each word on its own line.": "\n".join,
    "Write the first word.": lambda words: words[0],
    "Write the last word.": lambda words: words[-1],
    "Write the words in reverse order.": lambda words: " ".join(reversed(words)),
    "Number the words.": lambda words: " ".join(f"{n}. {w}" for n, w in enumerate(words, 1)),
    "Put each word in brackets.": lambda words: " ".join(f"({word})" for word in words),
    "Copy the words and write END after them.": lambda words: " ".join((*words, "END")),
    "How many words are there?": lambda words: str(len(words)),
}


def rows(split: str) -> Iterator[dict[str, str]]:
    """Rows with `words`, `order`, `answer`."""
    pool.train_only(split, __name__)
    for number in range(COUNT):
        key = (__name__, number)
        words = pool.shuffled(WORDS, *key)[: pool.integer(2, 5, *key, "count")]
        order = pool.pick(tuple(_ORDERS), *key, "order")
        yield {"words": " ".join(words), "order": order, "answer": _ORDERS[order](words)}
