"""Elements without content, written the same way every time."""

from __future__ import annotations


def element(name: str, **attributes: float | str) -> str:
    """``stroke_width`` becomes ``stroke-width``; empty attributes are left out. Values are never anybody's text."""
    found = " ".join(
        f'{key.replace("_", "-")}="{value if isinstance(value, str) else number(value)}"'
        for key, value in attributes.items()
        if value != ""
    )
    return f"<{name} {found}/>"


def number(value: float) -> str:
    """At most two decimals, none where there are none."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
