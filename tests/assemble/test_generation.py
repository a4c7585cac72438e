"""What models are asked and how answers are shown."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from ift_jax.assemble import generation
from ift_jax.assemble.generation import Printer, Prompt, Settings
from ift_jax.assemble.models import open_model
from ift_jax.generate.sample import GREEDY, Sampling
from ift_jax.generate.text import quiet
from ift_jax.sharding import make_mesh

PERU, FRANCE = Prompt("The capital of Peru is"), Prompt("The capital of France is")


def settings(**changed) -> Settings:
    fields = {"prompt_format": None, "sampling": GREEDY, "seed": 0, "stop": ()}
    return Settings(**fields | {"max_new_tokens": 8, "batch": 2} | changed)


@pytest.fixture(scope="module")
def mesh():
    return make_mesh("data:8")


@pytest.fixture(scope="module")
def bundled(mesh):
    return open_model("bundled", mesh)


def test_answers_do_not_depend_on_how_many_are_made_at_once(bundled, mesh):
    drawing = settings(sampling=Sampling(1.5), seed=3)
    larger = dataclasses.replace(drawing, batch=9)
    asked = [FRANCE] * 9  # of which eight fit the mesh at once
    shown = [""] * 9

    def show(number: int, text: str, ended: bool) -> None:
        shown[number] += text

    by_twos, _ = generation.answer(bundled, mesh, asked, drawing, show)
    at_once, _ = generation.answer(bundled, mesh, asked, larger, quiet)
    assert by_twos == at_once == shown
    assert len(set(by_twos)) > 3


def test_a_stop_string_ends_an_answer(bundled, mesh):
    asked = [PERU, FRANCE]
    answers, decoder = generation.answer(bundled, mesh, asked, settings(stop=["a"]), quiet)
    assert answers == ["Lim", "P"]
    assert re.fullmatch(
        r"[\d.]+ tokens/s \(\d+ tokens timed\)|too few .*", generation.speed(decoder)
    )


def test_a_prompt_that_does_not_fit_is_refused_before_anything_is_loaded(bundled, mesh):
    def answer(asked: Prompt):
        unloadable = dataclasses.replace(bundled, load=None)
        generation.answer(unloadable, mesh, [PERU, asked], settings(), quiet)

    with pytest.raises(ValueError, match="prompt 1: prompt format 'plain' has no place for a sys"):
        answer(Prompt("Hi", system="Be brief."))
    with pytest.raises(ValueError, match="prompt 1: .* exceed the model's context"):
        answer(Prompt("Hi " * 1000))


# -- prompts in a file ------------------------------------------------------------------------


def test_prompts_of_a_file(tmp_path):
    path = tmp_path / "prompts.jsonl"
    rows = [
        {"instruction": "Add.", "input": "1 2", "output": "3"},
        {"instruction": "And 4?", "system": "Sum.", "history": [["1 2?", "3"], ["5?", "8"]]},
    ]
    path.write_text("\n\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    assert generation.read_prompts(path) == [
        Prompt("Add.", "1 2"),
        Prompt("And 4?", system="Sum.", history=(("1 2?", "3"), ("5?", "8"))),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no lines; expected a JSON object on each"),
        ('{"instruction": "a"}\nHi\n', "line 2: not JSON: .*; write an object on each line"),
        ('["a"]', "line 1: a JSON list; expected an object"),
        ('{"input": "a"}', "line 1: 'instruction' is None; expected text"),
        ('{"instruction": 3}', "line 1: 'instruction' is 3; expected text"),
        ('{"instruction": "a", "prompt": "b"}', "unknown field 'prompt'; there are instruction,"),
        ('{"instruction": "a", "history": [["b"]]}', r"'history' is not a list of \[instruction"),
        ('{"instruction": "a", "history": "b"}', "'history' is not a list"),
        ("[" * 100_000, "line 1: not JSON"),
    ],
)
def test_a_file_that_is_not_as_described(tmp_path, text, message):
    path = tmp_path / "prompts.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"{path.name}.*{message}"):
        generation.read_prompts(path)


# -- showing ----------------------------------------------------------------------------------


def test_one_answer_is_printed_as_it_grows(capsys):
    show = Printer([PERU], stream=True)
    printed = []
    for piece in ("\n ", "Li", "ma. \n", "\nYes.\n"):
        show(0, piece, False)
        printed.append(capsys.readouterr().out)
    show(0, "", True)
    assert printed == ["", "Li", "ma.", " \n\nYes."]
    assert capsys.readouterr().out == "\n"


@pytest.mark.parametrize("stream", [True, False])
def test_answers_are_printed_in_the_order_of_their_prompts(capsys, stream):
    show = Printer([Prompt("Add.", "1\n2"), PERU, FRANCE], stream)
    show(0, "", False)
    show(2, "Paris", False)
    show(1, "Lima", True)
    assert capsys.readouterr().out == ("» Add.\n» 1\n» 2\n" if stream else "")
    show(0, "3", True)
    first = "3" if stream else "» Add.\n» 1\n» 2\n3"
    begun = f"» {FRANCE.instruction}\nParis" if stream else ""
    assert capsys.readouterr().out == f"{first}\n\n» {PERU.instruction}\nLima\n\n{begun}"
    show(2, ".", True)
    assert capsys.readouterr().out == ("." if stream else f"» {FRANCE.instruction}\nParis.") + "\n"


def test_two_answers_side_by_side():
    texts = ("\nLima is the capital of Peru.\n\nIt is.", "Lima")
    assert generation.side_by_side(("base", "runs/tuned"), texts, width=27) == (
        "base         │ runs/tuned\n"
        "──────────── │ ────────────\n"
        "Lima is the  │ Lima\n"
        "capital of   │\n"
        "Peru.        │\n"
        "             │\n"
        "It is.       │"
    )
