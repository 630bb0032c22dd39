"""Looks at what the listeners of a configuration need, without listening.

Settings and environment come in, results for `doctor` go out.
"""

import shutil
from collections.abc import Iterator, Mapping

from console.result import Result
from streams.listen._tls import server_context
from streams.listen.journald import PROGRAM
from streams.listen.settings import Http, ListenSettings, Syslog
from streams.listen.tokens import Tokens


def listening_results(settings: ListenSettings, environ: Mapping[str, str]) -> Iterator[Result]:
    """A result for each listener, in the order in which they start."""
    if settings.http is not None:
        yield _http(settings.http, environ)
    for one in settings.syslog:
        yield _syslog(one)
    if settings.journald is not None:
        units = ", ".join(settings.journald.units)
        if shutil.which(PROGRAM) is None:
            yield Result("listen", "wrong", f"{PROGRAM} is not here", "install systemd, or ship")
        else:
            yield Result("listen", "ok", f"the journal of {units}")


def _http(http: Http, environ: Mapping[str, str]) -> Result:
    try:
        Tokens(http, environ).check()
        if http.certificate_file is not None:
            server_context(http.certificate_file, http.key_file, None)
    except ValueError as error:
        return _wrong(error)
    says = f"{'HTTPS' if http.certificate_file else 'HTTP'} on {http.address}"
    if not http.has_token:
        return Result(
            "listen", "note", f"{says}, without a token",
            "any program of this machine can send lines: give token_env or token_file",
        )  # fmt: skip
    return Result("listen", "ok", f"{says}, with a token")


def _syslog(syslog: Syslog) -> Result:
    says = f"syslog over {syslog.protocol.upper()} on {syslog.address}"
    if syslog.certificate_file is not None:
        try:
            server_context(syslog.certificate_file, syslog.key_file, syslog.ca_file)
        except ValueError as error:
            return _wrong(error)
    if syslog.ca_file is None:
        todo = "whoever reaches it can send lines, and forge them: use tls with ca_file"
        return Result("listen", "note", says, todo)
    return Result("listen", "ok", f"{says}, with certificates of senders")


def _wrong(error: ValueError) -> Result:
    says, _, todo = str(error).rpartition(": ")
    return Result("listen", "wrong", says or str(error), todo if says else "")
