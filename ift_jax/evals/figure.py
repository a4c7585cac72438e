"""The report's picture: the loss curve, and each subject's accuracy before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

CHANCE = 0.25

# Blue and vermillion of Okabe and Ito's palette, apart for every kind of colour vision.
BEFORE, AFTER, GREY = "#0072B2", "#D55E00", "#8A8A8A"


def draw(
    path: Path | str,
    subjects: Mapping[str, Mapping[str, Any]],
    losses: Sequence[tuple[int, float]] = (),
    groups: Mapping[str, Sequence[str]] | None = None,
    title: str = "Accuracy by subject",
) -> None:
    """Draws a PNG.

    Args:
        path: where to write it.
        subjects: what `report.compare` gives, for each subject.
        losses: (step, loss) of the training between the two; no curve if empty.
        groups: subjects under headings, from the top; all under none by default.
        title: above the subjects.
    """
    groups = {"": list(subjects)} if groups is None else groups
    rows = sum(len(names) + bool(heading) for heading, names in groups.items())
    size = (11 if losses else 7, max(3.2, 1.3 + 0.24 * rows))
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    if losses:
        # The curve keeps its shape beside a long list of subjects.
        grid = figure.add_gridspec(1, 2, width_ratios=(1, 1.5))
        _draw_losses(figure.add_subplot(grid[0]), losses)
        axes = figure.add_subplot(grid[1])
    else:
        axes = figure.add_subplot()
    _draw_subjects(axes, subjects, groups, rows)
    axes.set_title(title, loc="left", fontsize=11)
    figure.savefig(path)


def _draw_losses(axes: Any, losses: Sequence[tuple[int, float]]) -> None:
    steps, values = np.array(losses, float).T
    axes.plot(steps, values, color=GREY, linewidth=0.8, alpha=0.6, label="each step logged")
    if len(values) >= 20:
        width = max(2, len(values) // 8)
        smooth = np.convolve(values, np.ones(width) / width, "valid")
        label = f"mean of {width} logged steps"
        axes.plot(steps[width - 1 :], smooth, color="black", linewidth=1.5, label=label)
        axes.legend(frameon=False, fontsize=8)
    axes.set(xlabel="step", ylabel="loss (nats per trained token)")
    axes.set_ylim(bottom=0)
    axes.set_title("Training loss", loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_subjects(
    axes: Any,
    subjects: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, Sequence[str]],
    rows: int,
) -> None:
    y, ticks, labels = 0, [], []
    for heading, names in groups.items():
        if heading:
            # On white, so that the line of chance doesn't cross the words.
            behind = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            axes.text(0, y, heading, fontsize=8, fontweight="bold", va="center", bbox=behind)
            y += 1
        for name in sorted(names, key=lambda name: -subjects[name]["after"]):
            each = subjects[name]
            axes.plot([each["before"], each["after"]], [y, y], color=GREY, linewidth=1.2, zorder=1)
            axes.scatter(each["before"], y, s=26, facecolor="white", edgecolor=BEFORE, zorder=2)
            axes.scatter(each["after"], y, s=26, color=AFTER, zorder=3)
            ticks.append(y)
            labels.append(f"{name.replace('_', ' ')} ({each['n_questions']})")
            y += 1
    axes.axvline(CHANCE, color="black", linestyle=":", linewidth=1, zorder=0)
    axes.annotate(
        "chance", (CHANCE, rows - 0.5), xytext=(3, 0), textcoords="offset points", fontsize=8
    )
    axes.set(xlim=(-0.02, 1.02), ylim=(rows - 0.3, -0.7), xlabel="accuracy (questions in brackets)")
    axes.set_yticks(ticks, labels, fontsize=8)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}%")
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    # Shape as well as colour tells the two apart.
    axes.scatter([], [], s=26, facecolor="white", edgecolor=BEFORE, label="before")
    axes.scatter([], [], s=26, color=AFTER, label="after")
    axes.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
