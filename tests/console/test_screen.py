import io

import pytest
from rich.markup import escape

from console.screen import Screen


def printed(text, monkeypatch, **given):
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    Screen().print(text, **given)
    return out.getvalue()


def test_a_long_line_stays_whole_and_numbers_stay_plain(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("FORCE_COLOR", "1")
    line = "sha256 " + 30 * "0123456789 " + "203.0.113.7"
    assert printed(line, monkeypatch) == line + "\n"


def test_only_our_own_markup_counts_and_no_emoji(monkeypatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    text = "u-1:100:2 [red]x[/red]"
    assert printed(f"[bold]{escape(text)}[/]", monkeypatch) == f"{text}\n"


def test_a_closed_pipe_is_an_error_that_main_knows(monkeypatch):
    class Closed(io.StringIO):
        def write(self, _text):
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", Closed())
    with pytest.raises(BrokenPipeError):
        Screen().print("x")
