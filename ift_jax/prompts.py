"""Prompt formats as data: how an instruction becomes the text before the answer.

Standard library only, so that anyone may import it.
"""

from __future__ import annotations

import dataclasses

from ift_jax.lookup import suggest


@dataclasses.dataclass(frozen=True)
class Format:
    """A prompt format.

    Attributes:
        with_input: pattern over `{instruction}` and `{input}`.
        without_input: pattern over `{instruction}`, for an empty input.
        eos_separator: whether an EOS token stands between the prompt and the answer.
        joint: text between the prompt and the answer: a space where nothing else marks the border.
        source: where the wording comes from.
    """

    with_input: str
    without_input: str
    eos_separator: bool
    joint: str
    source: str

    def prompt(self, instruction: str, input: str = "") -> str:
        """The text before the answer."""
        pattern = self.with_input if input else self.without_input
        return pattern.format(instruction=instruction, input=input)


FORMATS = {
    "plain": Format(
        with_input="{instruction}\n{input}",
        without_input="{instruction}",
        eos_separator=False,
        joint=" ",
        source="the text as it stands: what a base model continues",
    ),
    "flan": Format(
        with_input="{instruction}\n{input}",
        without_input="{instruction}",
        eos_separator=True,
        joint="",
        source="Chung et al. 2022, section 2.2: inputs separated from targets by an EOS token",
    ),
    "alpaca": Format(
        with_input=(
            "Below is an instruction that describes a task, paired with an input that provides"
            " further context. Write a response that appropriately completes the request.\n\n"
            "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:"
        ),
        without_input=(
            "Below is an instruction that describes a task. Write a response that appropriately"
            " completes the request.\n\n### Instruction:\n{instruction}\n\n### Response:"
        ),
        eos_separator=False,
        joint="",
        source="stanford_alpaca train.py @761dc5bf: the response follows the colon directly",
    ),
}


def find(name: str) -> Format:
    """The format of that name.

    Raises:
        ValueError: no such format; lists those that exist.
    """
    if name not in FORMATS:
        raise ValueError(
            f"no prompt format {name!r}.{suggest(name, list(FORMATS))}"
            f" There are: {', '.join(FORMATS)}"
        )
    return FORMATS[name]
