"""The listeners that a configuration asks for, and the inbox that they share.

Settings come in; what brings `run` and `ship` their lines goes out.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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


@contextmanager
def receiving(
    settings: ListenSettings, environ: Mapping[str, str], folder: Path
) -> Iterator[tuple[Inbox, Listeners]]:
    """All of them, listening until the end of the block, and the inbox for what they bring.

    Raises:
        ValueError: one of them cannot, in words for a person; then none does.
    """
    inbox = Inbox(settings.max_waiting)
    listeners = configured(settings, inbox, environ, folder)
    listeners.start()
    try:
        yield inbox, listeners
    finally:
        # Who waits is told that there is nothing to wait for, before nobody listens.
        inbox.close()
        listeners.close()
