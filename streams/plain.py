"""Text that cannot steer a terminal: what a client wrote is shown, never obeyed.

Text in, text out: control characters, escape sequences and bidirectional marks become visible.
"""


def plain(text: str, keep: str = "") -> str:
    """Text whose characters all show as themselves; those of `keep` stay as they are."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else _visible(c) for c in text)


def _visible(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
