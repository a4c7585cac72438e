"""What the page says of evaluations made up."""

from __future__ import annotations

import json

import pytest

from ift_jax.evals import published, report
from ift_jax.evals.report.blocks import Alert, Heading, Picture, Table
from tests.evals.report.records import average, evaluation, record, scored

GOOD, BAD = (0.5, 0.2, 0.1, 0.1), (0.01, 0.02, 0.01, 0.01)  # of the letters: 0.9 and 0.05


def made(name, right, *, probabilities=GOOD, **summary):
    """Eight questions on each of three subjects: A is always chosen, and so often right."""
    return evaluation(
        name,
        [
            scored(subject, i, "A" if i < n else "B", probabilities)
            for subject, n in zip(("anatomy", "marketing", "us_foreign_policy"), right, strict=True)
            for i in range(8)
        ],
        **summary,
    )


def flipped(each, subject):
    """The same evaluation with every answer to a subject the other of A and B."""
    other = {"A": "B", "B": "A"}
    records = [
        r | {"choice": other[r["choice"]], "loglikelihoods": [-2.0, -1.0, -4.0, -4.0]}
        if r["subject"] == subject
        else dict(r)
        for r in each.records
    ]
    return evaluation("flipped", records)


def headings(blocks):
    return [block.text for block in blocks if isinstance(block, Heading)]


def table_after(blocks, heading):
    """The first table after a heading."""
    start = next(i for i, b in enumerate(blocks) if isinstance(b, Heading) and b.text == heading)
    return next(block for block in blocks[start:] if isinstance(block, Table))


TABLE_10, TABLE_16 = (
    "MMLU beside Table 10 of the LLaMA paper",
    "MMLU by subject beside Table 16 of the LLaMA paper",
)


def test_the_llama_papers_tables_have_ones_own_models():
    base = made("base", (8, 4, 2), macro=average([record("anatomy", 0, True)]))
    blocks = report.page(report.report([base, flipped(base, "anatomy")]))
    table = table_after(blocks, TABLE_10)
    assert [row[:2] for row in table.rows[:11]] == [
        (each.model, str(each.percent)) for each in published.TABLE_10
    ]
    assert [row[:4] for row in table.rows[11:]] == [
        ("base", "58.3", "test, 24 of 14,042 questions", "micro"),  # 14 of 24
        ("flipped", "25.0", "test, 24 of 14,042 questions", "micro"),  # 6 of 24
    ]
    assert all("protocol original, 5 shots" in row[5] for row in table.rows[11:])
    assert table.strong_rows == {11, 12}
    validation = report.report([made("base", (8, 4, 2), split="val")])
    own = table_after(report.page(validation), TABLE_10).rows[11]
    assert own[2] == "validation, 24 of 14,042 questions"

    table = table_after(blocks, TABLE_16)
    assert list(table.header) == [
        *("", *published.MODELS_16, "base (24 of 14,042)", "flipped (24 of 14,042)")
    ]
    rows = {row[0]: row[1:] for row in table.rows}
    assert len(table.rows) == 57 + 4 + 1 and table.strong_columns == {9, 10}
    assert " ".join(rows["anatomy"]) == "48.0 56.3 70.4 37.0 45.9 51.9 57.8 62.2 100.0 0.0"
    assert rows["us foreign policy"][-3:] == ("87.0", "25.0", "25.0")
    assert rows["virology"][-3:] == ("57.8", "–", "–")
    assert rows["other"][-3:] == ("72.6", "75.0", "25.0")
    assert rows["STEM"][-3:] == ("56.6", "–", "–")
    assert rows["all"][-3:] == ("68.9", "58.3", "25.0")


@pytest.mark.parametrize(
    "change",
    [
        {"language": "ar"},
        {"protocol": {"name": "answer_text", "answer": "text"}},
        {"subject": "cats"},
    ],
)
def test_the_llama_papers_tables_are_of_mmlu_in_english_by_letter(change):
    each = made("base", (8, 4, 2))
    assert {TABLE_10, TABLE_16} <= set(headings(report.page(report.report([each]))))
    if "protocol" in change:
        change = {"protocol": each.summary["protocol"] | change["protocol"]}
    records = each.records
    if "subject" in change:
        records, change = [record | change for record in records], {}
    blocks = report.page(report.report([evaluation("base", records, **change)]))
    assert not {TABLE_10, TABLE_16} & set(headings(blocks))


def test_low_answer_mass_is_warned_of():
    good, bad = made("good", (8, 4, 2)), made("bad", (8, 4, 2), probabilities=BAD)
    blocks = report.page(report.report([good, bad]))
    (alert,) = (block for block in blocks if isinstance(block, Alert))
    assert alert.text.startswith("bad puts 5.0% of its probability on the letters, on average")
    table = table_after(blocks, "Probability of answering with a letter")
    assert table.rows == [("good", "90.0%", "90.0%", "100.0%"), ("bad", "5.0%", "5.0%", "0.0%")]


def test_changes_are_shown_with_corrected_p_values():
    base = made("base", (8, 4, 2))
    after = flipped(base, "anatomy")
    for each in after.records[16:]:
        each["choice"] = each["key"]
    blocks = report.page(report.report([base, after]))
    (text,) = (b.text for b in blocks if "Holm's correction" in getattr(b, "text", ""))
    # Eight losses and no gain: 2/2⁸ = 0.0078, three times that is 0.023. Six gains and no loss:
    # 2/2⁶ = 0.031, twice that is 0.062.
    assert text == (
        "After Holm's correction for 3 comparisons, the change of 1 of 3 subjects is significant"
        " at 5%: anatomy."
    )
    start = blocks.index(next(b for b in blocks if getattr(b, "text", "") == text))
    table = blocks[start + 1]
    assert table.header[-3:] == ["bootstrap", "McNemar p", "Holm p"]
    assert table.rows[0][:5] == ["anatomy", "8", "100.0%", "0.0%", "-100.0"]
    assert table.rows[0][-3:] == ["-100.0 … -100.0", "0.0078", "0.023"]
    assert table.rows[2][-2:] == ["0.031", "0.062"]
    assert table.strong_rows == {0}


def test_answers_that_could_not_be_read_are_counted_apart():
    records = [record("anatomy", i, True) for i in range(3)]
    records += [record("anatomy", 3, False, choice=None)]
    blocks = report.page(report.report([evaluation("base", records)]))
    (row,) = table_after(blocks, "Accuracy").rows
    assert row[:2] == ["base", "75.0%"] and row[-2:] == ["A 100.0%", "1"]
    assert any("1 answers could not be read" in getattr(b, "text", "") for b in blocks)
    assert "Calibration" not in headings(blocks)  # nothing has log-likelihoods


def test_answers_in_words_have_no_letters():
    records = [record("anatomy", i, None, key="yes", choice="no") for i in range(3)]
    blocks = report.page(report.report([evaluation("base", records)]))
    (row,) = table_after(blocks, "Accuracy").rows
    assert row[-2] == "–" and "Letters chosen" not in headings(blocks)


def test_an_evaluation_in_arabic(tmp_path):
    letters = "أبجد"
    records = [scored("تشريح", i, letters[i % 4], GOOD, letters) for i in range(8)]
    report.write(tmp_path, report.report([evaluation("base", records, language="ar")]))
    text = (tmp_path / "report.md").read_text("utf-8")
    assert "| \u2067أ\u2069 | 25.0% | 100.0% |" in text and "| \u2067تشريح\u2069 | 8 |" in text
    text = (tmp_path / "report.html").read_text("utf-8")
    assert '<td class="left"><bdi dir="rtl" lang="ar">أ</bdi></td>' in text


def test_what_is_written(tmp_path):
    each = made("base", (8, 4, 2))
    result = report.report([each, made("tuned", (8, 4, 2))])
    report.write(tmp_path / "out", result, losses=[(1, 3.0), (2, 2.5)])
    assert json.loads((tmp_path / "out" / "report.json").read_text("utf-8")) == result
    blocks = report.page(result)
    assert (tmp_path / "out" / "report.md").read_text("utf-8") == report.markdown(blocks)
    (picture,) = (block for block in blocks if isinstance(block, Picture))
    assert (tmp_path / "out" / picture.file).read_bytes().startswith(b"\x89PNG")


def test_formatting():
    assert report.percent(0.43167) == "43.2%"
    assert report.p_value(0.0312) == "0.031"
    assert report.p_value(1e-30) == "< 1e-12"
