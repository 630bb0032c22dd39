"""The rich console that all commands print on: long lines stay whole, a client's text stays text.

In: text with our own markup. Out: the terminal, or a pipe. A reader that goes away is not handled
here: `console.main` ends every command the same way.
"""

from rich.console import Console


class Screen(Console):
    """A console without guesses: no highlighting, no emoji, no wrapping of what may be copied."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, emoji=False, soft_wrap=True)

    def on_broken_pipe(self) -> None:
        """Raise, where rich would exit with 1."""
        raise BrokenPipeError
