"""Colours and type, for a light page and for a dark one.

Colours are told apart with any colour vision and stand out from their ground; lines and points differ in their marks as
well, so that a chart still reads in grey.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Name = Literal["light", "dark"]
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """`ground` is behind everything, `ink` writes, `quiet` writes what matters less."""

    ground: str
    ink: str
    quiet: str
    colours: tuple[str, ...]


THEMES: dict[str, Theme] = {
    # Okabe and Ito's colours, those that are pale on white darkened.
    "light": Theme(
        ground="#ffffff",
        ink="#000000",
        quiet="#555555",
        colours=("#0072B2", "#D17A00", "#00835F", "#B8588F", "#2F93CE", "#A23B00", "#000000", "#7800E1"),
    ),
    "dark": Theme(
        ground="#16191d",
        ink="#e8e8e8",
        quiet="#a8adb3",
        colours=("#56B4E9", "#E69F00", "#00B584", "#E48CBF", "#F0E442", "#F0702A", "#ffffff", "#8FA3FF"),
    ),
}


def settings(theme: Theme) -> dict[Any, Any]:
    """What matplotlib is told, on top of its own defaults and fonts, so that the same table gives the same bytes on
    every machine."""
    written = {f"{part}.color": theme.ink for part in ("text", "xtick", "ytick")}
    return {
        **written,
        "axes.axisbelow": True,
        "axes.edgecolor": theme.quiet,
        "axes.facecolor": theme.ground,
        "axes.labelcolor": theme.ink,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "figure.constrained_layout.h_pad": 0.12,
        "figure.constrained_layout.w_pad": 0.12,
        "figure.facecolor": theme.ground,
        "font.family": "DejaVu Sans",
        "grid.color": theme.quiet,
        "text.parse_math": False,  # a $ is a $
    }
