"""A small set in Stanford Alpaca's form: an instruction, often an input, and an output.

About half of it is made from the world's mixture facts, the rest is about words and sentences.
"""

from __future__ import annotations

from collections.abc import Iterator

from ift_jax.tasks import alpaca
from ift_jax.tasks.world import pool
from ift_jax.tasks.world.list_lookup import WORDS

LICENCE = f"{pool.LICENCE}; no row is taken from Stanford's data"
SOURCE = "the world's mixture facts, and word lists written for this project"
TEMPLATES = alpaca.TEMPLATES
FACTS, LISTS = 280, 120

_OPPOSITES = (
    "hot:cold big:small tall:short fast:slow early:late open:closed full:empty hard:soft"
    " heavy:light wet:dry old:young rich:poor loud:quiet strong:weak clean:dirty near:far"
    " sharp:blunt wide:narrow deep:shallow happy:sad brave:timid smooth:rough thick:thin"
    " bright:dark cheap:expensive"
)
_PLURALS = (
    "child:children foot:feet tooth:teeth knife:knives leaf:leaves box:boxes dish:dishes"
    " city:cities story:stories half:halves shelf:shelves loaf:loaves man:men woman:women"
    " brush:brushes glass:glasses party:parties toy:toys window:windows cup:cups"
)
_PASTS = (
    "go:went see:saw write:wrote take:took give:gave come:came eat:ate drink:drank run:ran"
    " sing:sang buy:bought bring:brought think:thought find:found keep:kept sleep:slept"
    " leave:left make:made build:built send:sent walk:walked play:played open:opened"
)
_WORD_TASKS = (
    (_OPPOSITES, ("Give the opposite of the word.", "Write a word that means the opposite.")),
    (_PLURALS, ("Write the plural of the word.", "Make the noun plural.")),
    (_PASTS, ("Write the past tense of the verb.", "Put the verb into the past tense.")),
)
_SENTENCES = (
    ("the shop opens at nine", "The shop opens at nine."),
    ("we walked home in the rain", "We walked home in the rain."),
    ("my brother plays the drum", "My brother plays the drum."),
    ("the kettle is on the stove", "The kettle is on the stove."),
    ("she wrote a letter to her friend", "She wrote a letter to her friend."),
    ("the children are in the garden", "The children are in the garden."),
    ("he lost the key to the gate", "He lost the key to the gate."),
    ("they painted the fence green", "They painted the fence green."),
    ("the bus was late again", "The bus was late again."),
    ("i put the bread in the oven", "I put the bread in the oven."),
)
_NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Hugo", "Iris", "Jonas")
_LETTERS = (
    ("Write a short greeting to this person.", "Hello {name}, it is good to see you."),
    ("Thank this person for the help.", "Dear {name}, thank you for your help."),
    ("Invite this person to dinner.", "Dear {name}, please come to dinner on Friday."),
    ("Say goodbye to this person.", "Goodbye {name}, and see you soon."),
)


def rows(split: str) -> Iterator[dict[str, str]]:
    """Rows with `instruction`, `input` (may be empty), `output`."""
    pool.train_only(split, __name__)
    for make in (_about_facts, _about_words, _about_lists, _about_sentences, _letters):
        for instruction, given, output in make():
            yield {"instruction": instruction, "input": given, "output": output}


def _about_facts() -> Iterator[tuple[str, str, str]]:
    for number, asked in enumerate(pool.shuffled(pool.asked(), __name__)[:FACTS]):
        subject, sentence = asked.subject, asked.ending_in_answer
        yield (
            (asked.question, "", sentence),
            (
                f"Name the {asked.noun} that belongs to this {asked.reverse.noun}.",
                asked.given,
                asked.answer,
            ),
            (
                f"Write a sentence about this {subject.entity} and its {subject.value}.",
                f"{asked.fact.entity}, {asked.fact.value}",
                sentence,
            ),
            (f"Which {asked.noun} is mentioned in the text?", sentence, asked.answer),
        )[number % 4]


def _about_words() -> Iterator[tuple[str, str, str]]:
    for table, instructions in _WORD_TASKS:
        for pair in table.split():
            word, answer = pair.split(":")
            yield pool.pick(instructions, word), word, answer


def _about_lists() -> Iterator[tuple[str, str, str]]:
    for number in range(LISTS):
        words = pool.shuffled(WORDS, __name__, number)[: 3 + number % 3]
        line = ", ".join(words)
        yield (
            ("Sort the words alphabetically.", line, ", ".join(sorted(words))),
            ("Count the words in the list.", line, str(len(words))),
            ("Write the list in capital letters.", line, line.upper()),
            (
                "Write one item of this list on each line.",
                line,
                "\n".join(f"- {w}" for w in words),
            ),
            ("Leave out the last word of the list.", line, ", ".join(words[:-1])),
        )[number % 5]


def _about_sentences() -> Iterator[tuple[str, str, str]]:
    for raw, right in _SENTENCES:
        yield "Add the capital letter and the full stop.", raw, right
        yield "Count the words in the sentence.", right, str(len(right.split()))
        yield "Write the last word of the sentence.", right, right.split()[-1].rstrip(".")


def _letters() -> Iterator[tuple[str, str, str]]:
    for name in _NAMES:
        for instruction, pattern in _LETTERS:
            yield instruction, name, pattern.format(name=name)
