"""The check of handwritten rows, as a person runs it."""

from __future__ import annotations


def test_bad_rows_are_listed_and_good_ones_pass(run, tmp_path):
    good, bad = tmp_path / "good.yaml", tmp_path / "more.jsonl"
    good.write_text("- instruction: Greet.\n  output: Hi\n")
    passed = run("validate_data", f"handwritten:{tmp_path}")
    assert (passed.returncode, passed.stdout) == (0, "1 rows can be used, 0 can't\n")
    bad.write_text(
        '{"instruction": "Add.", "output": "2"}\n{"instruction": "Add."}\n{"output": 3}\n'
    )
    failed = run("validate_data", f"handwritten:{tmp_path}")
    assert failed.returncode == 1
    assert failed.stdout.splitlines() == [
        f"{bad}, line 2: lacks the field 'output'; it has 'instruction'",
        f"{bad}, line 3: lacks the field 'instruction'; it has 'output';"
        " 'output' is a int, 3; expected text",
        "2 rows can be used, 2 can't",
    ]


def test_records_are_read_before_anyone_asks_about_them(run, tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"thing": "snow"}\n[]\n')
    failed = run("validate_data", f"records:{tmp_path / 'rows.jsonl'}")
    assert failed.stdout.splitlines()[-1] == "1 rows can be used, 1 can't"
