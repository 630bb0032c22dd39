"""The listeners that a configuration asks for, and the inbox that they share.

Settings come in; what `run` and `ship` start, and end, goes out.
"""

from collections.abc import Mapping
from pathlib import Path

from streams.listen.http import HttpListener
from streams.listen.inbox import Inbox
from streams.listen.journald import JournaldListener
from streams.listen.listeners import Listener, Listeners
from streams.listen.settings import ListenSettings
from streams.listen.syslog import SyslogListener


def configured(
    settings: ListenSettings, inbox: Inbox, environ: Mapping[str, str], folder: Path
) -> Listeners:
    """All of them, not yet started. `folder` is where one keeps how far it has read."""
    found: list[Listener] = []
    if settings.http is not None:
        found.append(HttpListener(settings.http, inbox, environ))
    found += [SyslogListener(one, inbox) for one in settings.syslog]
    if settings.journald is not None:
        found.append(JournaldListener(settings.journald, inbox, folder / "journald.cursor"))
    return Listeners(found)
