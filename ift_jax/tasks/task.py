"""What a task is: rows of text fields, and templates that turn a row into an instruction.

A task file (`tasks/<dataset>.py`) holds

    LICENCE: str                       # of the rows
    SOURCE: str                        # where the rows come from
    TEMPLATES: tuple[Template, ...]    # ways to ask
    def rows(split: str) -> Iterator[dict[str, str]]: ...

and knows no tokenizer and no array. Rendering a row gives an `Example`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from ift_jax.prompts import Special


@dataclasses.dataclass(frozen=True)
class Part:
    """A piece of an example: text or a special token, and whether loss falls on it."""

    content: str | Special
    trained: bool


@dataclasses.dataclass(frozen=True)
class Example:
    """One training example: its parts in order.

    Neighbouring text parts are tokenized together, so that a part border never changes the
    tokens; a token belongs to the part in which its text ends.
    """

    parts: tuple[Part, ...]

    @classmethod
    def pair(cls, inputs: str, targets: str, separator: Special | None = Special.EOS) -> Example:
        """BOS inputs [separator] targets EOS, with loss on the targets and the last EOS.

        Chung et al. 2022 (2210.11416, section 2.2) separate inputs from targets by an EOS token;
        `separator=None` is Stanford Alpaca's way, the response following the prompt directly.
        """
        middle = () if separator is None else (Part(separator, False),)
        return cls(
            (
                Part(Special.BOS, False),
                Part(inputs, False),
                *middle,
                Part(targets, True),
                Part(Special.EOS, True),
            )
        )

    @classmethod
    def plain(cls, text: str) -> Example:
        """BOS text EOS, with loss on all of it: pretraining text."""
        return cls((Part(Special.BOS, False), Part(text, True), Part(Special.EOS, True)))


@dataclasses.dataclass(frozen=True)
class Template:
    """A way to put a row into words, as `str.format` patterns over the row's fields.

    A template with empty `inputs` renders plain text (loss on all of it).

    Attributes:
        inputs: what the model is given.
        targets: what it must answer.
    """

    inputs: str
    targets: str

    def render(self, row: Mapping[str, str]) -> tuple[str, str]:
        """The (inputs, targets) of a row.

        Raises:
            KeyError: the template names a field that the row lacks; names both.
        """
        try:
            return self.inputs.format_map(row), self.targets.format_map(row)
        except KeyError as error:
            raise KeyError(
                f"template {self!r} names the field {error.args[0]!r}; the row has {sorted(row)}"
            ) from None
