"""Accuracies, and what tells about them, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ift_jax.evals import languages
from ift_jax.evals.report.blocks import Table, markdown

Entry = Mapping[str, Any]


def percent(share: float) -> str:
    """0.4317 as '43.2%'."""
    return f"{100 * share:.1f}%"


def p_value(p: float) -> str:
    """A p-value in two digits; tiny ones as a bound."""
    return "< 1e-12" if p < 1e-12 else f"{p:.2g}"


def interval(ends: Sequence[float]) -> str:
    """An interval of shares."""
    return " … ".join(map(percent, ends))


def points(ends: Sequence[float]) -> str:
    """An interval of changes, in percentage points."""
    return " … ".join(f"{100 * end:+.1f}" for end in ends)


def words(name: str) -> str:
    """A subject's name as people write it."""
    return name.replace("_", " ")


def table(comparisons: Mapping[str, Entry]) -> str:
    """Comparisons by name, what `compare` gives, as a Markdown table."""
    return markdown([changes(comparisons)]).rstrip("\n")


def changes(comparisons: Mapping[str, Entry], *, bootstrap: bool = False) -> Table:
    """Comparisons by name, what `compare` gives, with or without their bootstrap intervals."""
    holm = all("p_holm" in each for each in comparisons.values())
    header = ["", "questions", "before", "after", "change, points", "95% interval"]
    header += ["bootstrap"] * bootstrap + ["McNemar p"] + ["Holm p"] * holm
    rows, significant = [], set()
    for number, (name, each) in enumerate(comparisons.items()):
        row = [words(name), f"{each['n_questions']:,}", percent(each["before"])]
        row += [percent(each["after"]), f"{100 * each['delta']:+.1f}", points(each["interval"])]
        row += [points(each["bootstrap"])] * bootstrap + [p_value(each["p_value"])]
        if holm:
            row.append(p_value(each["p_holm"]))
            significant |= {number} if each["p_holm"] < 0.05 else set()
        rows.append(row)
    return Table(header, rows, strong_rows=frozenset(significant))


def summary_table(summary: Mapping[str, Any]) -> str:
    """The averages of one evaluation, as Markdown under a line that says what was asked how."""
    letter = summary["majority_letter"]
    asked = (
        f"{summary['label']} questions, protocol {summary['protocol']['name']},"
        f" {summary['shots']} shots, prompt format {summary['prompt_format']}; "
    )
    if letter["letter"] is None:
        asked += "no choice could be read from any answer"
    else:
        shown = languages.find(summary.get("language", "en")).letter(letter["letter"])
        asked += f"most frequent choice {shown} in {percent(letter['share'])}"
    return f"{asked}\n\n{markdown([accuracies(summary)])}".rstrip("\n")


def accuracies(evaluation: Entry) -> Table:
    """One evaluation's averages, with intervals."""
    shown = {
        "all questions (micro)": evaluation["micro"],
        "mean over subjects (macro)": evaluation["macro"],
        **evaluation["categories"],
        **evaluation["subjects"],
    }
    rows = [
        (words(name), f"{e['n_questions']:,}", percent(e["accuracy"]), interval(e["interval"]))
        for name, e in shown.items()
    ]
    return Table(("", "questions", "accuracy", "95% interval"), rows)


def averages(evaluations: Sequence[Entry]) -> Table:
    """The averages of several evaluations, one a row."""
    header = ("", "all questions (micro)", "95% interval", "mean over subjects (macro)")
    header += ("95% interval", "prompt format", "most frequent choice", "unreadable answers")
    rows = []
    for each in evaluations:
        row = [each["name"]]
        for average in (each["micro"], each["macro"]):
            row += [percent(average["accuracy"]), interval(average["interval"])]
        row += [each["prompt_format"], _most_frequent(each), f"{each['unreadable']:,}"]
        rows.append(row)
    return Table(header, rows)


def letters(found: Entry) -> Table:
    """How often each letter is right and chosen."""
    rows = [
        (
            letter,
            percent(each["key"]),
            percent(each["chosen"]),
            interval(each["interval"]),
            "–" if each["recall"] is None else percent(each["recall"]),
        )
        for letter, each in found["letters"].items()
    ]
    return Table(("letter", "right", "chosen", "95% interval", "accuracy where right"), rows)


def reliability(calibration: Entry) -> Table:
    """A reliability diagram as a table."""
    rows = [
        (
            f"{each['low']:.2f} … {each['high']:.2f}",
            f"{each['n_questions']:,}",
            percent(each["confidence"]),
            percent(each["accuracy"]),
            interval(each["interval"]),
        )
        for each in calibration["bins"]
    ]
    return Table(("confidence", "questions", "mean confidence", "accuracy", "95% interval"), rows)


def by_verdict(names: Sequence[str], found: Mapping[str, Entry]) -> Table:
    """Accuracies on clean and touched questions; what `contamination.split` gives."""
    header = ["", "questions"]
    for name in names:
        header += [name, "95% interval"]
    for name in names[1:]:
        header += [f"change to {name}, points", "95% interval", "McNemar p"]
    rows = []
    for verdict, each in found.items():
        row = [verdict, f"{each['accuracies'][0]['n_questions']:,}"]
        for one in each["accuracies"]:
            row += [percent(one["accuracy"]), interval(one["interval"])]
        for one in each["changes"]:
            row += [f"{100 * one['delta']:+.1f}", points(one["interval"]), p_value(one["p_value"])]
        rows.append(row)
    return Table(header, rows)


def _most_frequent(evaluation: Entry) -> str:
    if evaluation["letters"] is None:
        return "–"
    shares = {l: each["chosen"] for l, each in evaluation["letters"]["letters"].items()}
    letter = max(shares, key=shares.__getitem__)
    return f"{letter} {percent(shares[letter])}"
