"""Seconds and bytes as a person says them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """For example "4.2 s", "48 s", "12 min", "3 h"."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.0f} h"


def expected(seconds: float) -> str:
    """An estimate, which has no second digit: "a few seconds", "about 40 s", "about 3 min"."""
    return "a few seconds" if seconds < 10 else f"about {rounded(seconds)}"


def rounded(seconds: float) -> str:
    """The same for a table: "< 10 s", "40 s", "3 min"."""
    if seconds < 10:
        return "< 10 s"
    return duration(10 * round(seconds / 10)) if seconds < 85 else duration(max(90, seconds))


def size(count: float) -> str:
    """Bytes as "850 MB", "2.5 GB", "36 GB"."""
    if count < 1e9:
        return f"{max(1, round(count / 1e6))} MB"
    return f"{count / 1e9:.1f} GB" if count < 9.95e9 else f"{count / 1e9:.0f} GB"
