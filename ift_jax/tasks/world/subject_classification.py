"""Which subject a statement belongs to, out of a few named ones."""

from __future__ import annotations

from collections.abc import Iterator

from ift_jax.tasks.task import Template
from ift_jax.tasks.world import pool

LICENCE = pool.LICENCE
SOURCE = "statements of the world's mixture facts, and the names of the mixture's subjects"

TEMPLATES = (
    Template("Sentence: {statement}\nTopics: {topics}\nTopic:", "{topic}"),
    Template("What is this about? {statement}\nChoose from: {topics}", "{topic}"),
    Template("Classify the sentence as one of: {topics}.\n{statement}", "{topic}"),
    Template("{statement}\nQuestion: Which of {topics} is it about?\nAnswer:", "{topic}"),
    Template("Labels: {topics}\nText: {statement}\nLabel:", "{topic}"),
)


def rows(split: str) -> Iterator[dict[str, str]]:
    """Rows with `statement`, `topics` (three or four, in a line), `topic`."""
    pool.train_only(split, __name__)
    names = [pool.topic(subject) for subject in pool.subjects()]
    for asked in pool.asked():
        key = (__name__, *asked.key)
        count = 1 + pool.integer(2, 3, *key)
        topics = [asked.topic]
        for name in pool.shuffled(names, *key):
            # State capitals are capitals: the two are never offered together.
            alike = any(name in topic or topic in name for topic in topics)
            if len(topics) < count and not alike:
                topics.append(name)
        yield {
            "statement": asked.statement(__name__),
            "topics": ", ".join(pool.shuffled(topics, *key, "order")),
            "topic": asked.topic,
        }
