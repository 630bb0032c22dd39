"""Ways in which a command ends other than by success; `console.main` gives each its exit code.

Refused      2  wrong usage, configuration or log, said before anything is read
Unreachable  3  a dependency that the command cannot do without
Negative     1  the command's own "no": verification failed, limit met
"""

from collections.abc import Sequence


class Refused(Exception):
    """What was asked cannot be done as asked; one message a problem."""

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("; ".join(self.problems))


class Unreachable(Exception):
    """A dependency did not answer."""


class Negative(Exception):
    """The command worked, and its answer is no."""


def words(error: Exception) -> str:
    """What an error says, without its number: `out.zip: no space left on device`."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error) or type(error).__name__
    what = f"{error.strerror[:1].lower()}{error.strerror[1:]}"
    return what if error.filename is None else f"{error.filename}: {what}"
