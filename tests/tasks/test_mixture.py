"""The mixture against hand computation: rates, schedules, draws, rendering, and its refusals."""

from __future__ import annotations

import collections
import os
import subprocess
import sys

import pytest

from ift_jax import prompts
from ift_jax.prompts import Special
from ift_jax.tasks import mixture
from ift_jax.tasks.mixture import Draw, Entry, Mixture, Source
from ift_jax.tasks.task import Example, Part, Template

ROWS = tuple({"ask": f"ask{number}", "say": f"say{number}"} for number in range(10))
TEMPLATES = (Template("Q: {ask}\nA:", "{say}"), Template("{ask}", "{say}"))
SOURCE = Source("toy", ROWS, TEMPLATES)
FEW = Entry("toy", shots=(1, 3), shot_share=0.5)


# -- rates ------------------------------------------------------------------------------------


def test_rates_in_proportion_to_capped_rows():
    entries = [Entry("a"), Entry("b", cap=50), Entry("c", cap=1000)]
    # 100, min(300, 50) and min(100, 1000) of 250.
    assert mixture.rates(entries, [100, 300, 100]) == pytest.approx((0.4, 0.2, 0.4), abs=1e-12)


def test_rates_by_weight_whatever_the_rows():
    entries = [Entry("a", weight=3), Entry("b", weight=1), Entry("c", weight=0)]
    assert mixture.rates(entries, [1, 1000, 5]) == pytest.approx((0.75, 0.25, 0), abs=1e-12)


def test_schedule_keeps_to_rates_and_numbers_draws():
    slots = mixture.schedule((0.5, 0.3, 0.2), seed=1, count=20_000)
    counts = collections.Counter(index for index, _ in slots)
    # The standard error of a share is at most 0.0036: the tolerance is four of them.
    assert [counts[i] / 20_000 for i in range(3)] == pytest.approx([0.5, 0.3, 0.2], abs=0.0145)
    for index in range(3):
        assert [n for i, n in slots if i == index] == list(range(counts[index]))
    assert mixture.schedule((0.5, 0.3, 0.2), seed=1, count=500) == slots[:500]
    assert mixture.schedule((0.5, 0.3, 0.2), seed=2, count=500) != slots[:500]


def test_schedule_leaves_out_a_rate_of_zero():
    assert {i for i, _ in mixture.schedule((0.0, 1.0, 0.0), seed=0, count=5000)} == {1}


# -- draws ------------------------------------------------------------------------------------


def test_every_epoch_is_another_permutation():
    rows = [mixture.draw(SOURCE, Entry("toy"), 0, number).row for number in range(50)]
    epochs = [tuple(rows[start : start + 10]) for start in range(0, 50, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len(set(epochs)) == 5


def test_draw_needs_no_earlier_draw():
    late = mixture.draw(SOURCE, FEW, 3, 987)
    mixture._permutation.cache_clear()
    assert mixture.draw(SOURCE, FEW, 3, 987) == late
    assert [mixture.draw(SOURCE, FEW, 3, n) for n in range(990)][987] == late


def test_templates_delimiters_and_shots_are_spread():
    draws = [mixture.draw(SOURCE, FEW, 0, number) for number in range(4000)]
    # Standard errors are at most 0.008: the tolerance is four of them.
    assert sum(d.template for d in draws) / 4000 == pytest.approx(0.5, abs=0.032)
    shots = collections.Counter(len(d.exemplars) for d in draws)
    assert [shots[k] / 4000 for k in (0, 1, 3)] == pytest.approx([0.5, 0.25, 0.25], abs=0.032)
    delimiters = collections.Counter(d.delimiter for d in draws)
    assert [delimiters[i] / 4000 for i in range(4)] == pytest.approx([0.25] * 4, abs=0.032)
    # Independent of one another: a template says nothing of the shots.
    few = [d for d in draws if d.exemplars]
    assert sum(d.template for d in few) / len(few) == pytest.approx(0.5, abs=0.045)


def test_exemplars_are_distinct_other_rows():
    full = Entry("toy", shots=(9,), shot_share=1.0)
    for number in range(200):
        drawn = mixture.draw(SOURCE, full, 0, number)
        assert sorted((drawn.row, *drawn.exemplars)) == list(range(10))


def test_no_exemplars_without_a_share():
    assert mixture.draw(SOURCE, Entry("toy", shots=(3,)), 0, 0).exemplars == ()


def test_tasks_seeds_and_numbers_draw_apart():
    def drawn(source, seed):
        return [mixture.draw(source, FEW, seed, number) for number in range(30)]

    assert drawn(SOURCE, 0) != drawn(SOURCE, 1)
    assert drawn(SOURCE, 0) != drawn(Source("other", ROWS, TEMPLATES), 0)


def test_same_in_another_process_with_another_hash_seed():
    code = (
        "from tests.tasks.test_mixture import *;"
        "print([mixture.draw(SOURCE, FEW, 5, n) for n in range(40)],"
        "mixture.schedule((0.5, 0.5), 5, 40))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": os.getcwd()}
    printed = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    ).stdout
    expected = [mixture.draw(SOURCE, FEW, 5, n) for n in range(40)]
    assert printed == f"{expected} {mixture.schedule((0.5, 0.5), 5, 40)}\n"


def test_draws_are_pinned():
    """Data already prepared, and runs to be resumed, depend on these never changing."""
    assert mixture.draw(SOURCE, FEW, 0, 12) == PINNED_DRAW
    assert mixture.schedule((0.5, 0.5), 0, 8) == PINNED_SLOTS


PINNED_DRAW = Draw(row=9, template=1, exemplars=(7, 2, 6), delimiter=3)
PINNED_SLOTS = [(1, 0), (1, 1), (0, 0), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6)]


# -- rendering --------------------------------------------------------------------------------


def texts(example: Example) -> list[str | Special]:
    return [part.content for part in example.parts]


@pytest.mark.parametrize(
    ("format", "middle"),
    [
        ("flan", ["Q: ask4\nA:", Special.EOS, "say4"]),
        ("plain", ["Q: ask4\nA:", " say4"]),
    ],
)
def test_zero_shot(format, middle):
    example = mixture.render(SOURCE, Draw(4, 0, (), 0), prompts.FORMATS[format])
    assert texts(example) == [Special.BOS, *middle, Special.EOS]
    assert [part.content for part in example.parts if part.trained] == [middle[-1], Special.EOS]


def test_few_shot_trains_the_last_answer_only():
    example = mixture.render(SOURCE, Draw(4, 0, (7, 2), 2), prompts.FORMATS["flan"])
    prompt = "Q: ask7\nA: say7\n---\nQ: ask2\nA: say2\n---\nQ: ask4\nA:"
    assert texts(example) == [Special.BOS, prompt, Special.EOS, "say4", Special.EOS]
    assert [part.content for part in example.parts if part.trained] == ["say4", Special.EOS]


def test_context_goes_where_the_format_puts_it():
    rows = (
        {"do": "Add.", "input": "1 + 1", "say": "2"},
        {"do": "Greet.", "input": "", "say": "Hi"},
    )
    source = Source("asked", rows, (Template("{do}", "{say}"),))

    def prompt(draw, format):
        return mixture.render(source, draw, prompts.FORMATS[format]).parts[1].content

    assert prompt(Draw(0, 0, (), 0), "plain") == "Add.\n1 + 1"
    assert "### Instruction:\nAdd.\n\n### Input:\n1 + 1\n\n" in prompt(Draw(0, 0, (), 0), "alpaca")
    few = prompt(Draw(0, 0, (1,), 0), "alpaca")
    assert "### Instruction:\nGreet. Hi\n\nAdd.\n1 + 1\n\n### Response:" in few
    assert "### Input" not in few


def test_plain_text_is_trained_whole_in_every_format():
    source = Source("text", ({"line": "Iron is a metal."},), (Template("", "{line}"),))
    for format in prompts.FORMATS.values():
        example = mixture.render(source, Draw(0, 0, (), 0), format)
        assert example == Example.plain("Iron is a metal.")


def test_answer_joins_the_published_alpaca_prompt_directly():
    example = mixture.render(SOURCE, Draw(4, 1, (), 0), prompts.FORMATS["alpaca"])
    assert example.parts[1].content.endswith("\n\n### Response:")
    assert example.parts[2] == Part("say4", True)


# -- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weight": -1.0}, "weight is -1.0"),
        ({"weight": float("nan")}, "weight is nan"),
        ({"cap": 0}, "cap is 0"),
        ({"weight": 1.0, "cap": 5}, "both weight 1.0 and cap 5"),
        ({"shots": (-1,)}, r"shots is \(-1,\)"),
        ({"shots": ()}, r"shots is \(\)"),
        ({"shot_share": 1.5}, "shot_share is 1.5"),
    ],
)
def test_bad_entry_names_task_and_value(fields, message):
    with pytest.raises(ValueError, match=f"mixture entry 'toy': .*{message}"):
        Entry("toy", **fields)


def test_empty_mixture():
    with pytest.raises(ValueError, match="the mixture is empty"):
        Mixture((), "flan", 0)
    with pytest.raises(ValueError, match="the mixture is empty"):
        mixture.rates((), ())


def test_twice_the_same_task_and_unknown_format():
    with pytest.raises(ValueError, match="lists 'toy' twice"):
        Mixture((Entry("toy"), Entry("toy", cap=3)), "flan", 0)
    with pytest.raises(ValueError, match=r"no prompt format 'flam'\. Did you mean 'flan'"):
        Mixture((Entry("toy"),), "flam", 0)


def test_zero_and_mixed_rates():
    with pytest.raises(ValueError, match="all rates are 0, of a, b"):
        mixture.rates([Entry("a", weight=0), Entry("b", weight=0)], [5, 5])
    with pytest.raises(ValueError, match="some entries have a weight and b none"):
        mixture.rates([Entry("a", weight=1), Entry("b")], [5, 5])


def test_unknown_task_module_that_is_no_task_and_unwanted_path():
    with pytest.raises(ValueError, match=r"no module 'alpacca'.*Did you mean 'alpaca'"):
        mixture.resolve("alpacca")
    with pytest.raises(ValueError, match=r"'mixture' is a module, not a task. Tasks: alpaca, "):
        mixture.resolve("mixture")
    with pytest.raises(ValueError, match=r"'world.open_question' reads no file: .* ':x.json'"):
        mixture.resolve("world.open_question:x.json")
    with pytest.raises(ValueError, match=r"no split 'test'"):
        mixture.resolve("world.open_question@test")


def test_too_few_rows_and_plain_text_for_exemplars():
    with pytest.raises(ValueError, match="'toy' has 10 rows: too few for a row and 10 exemplars"):
        mixture.draw(SOURCE, Entry("toy", shots=(10,), shot_share=0.1), 0, 0)
    text = Source("text", ROWS, (Template("", "{say}"),))
    with pytest.raises(ValueError, match="'text' is plain text, without exemplars"):
        mixture.check_shots(Entry("text", shots=(1,), shot_share=0.1), text)
