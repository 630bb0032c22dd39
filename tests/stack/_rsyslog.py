"""A real rsyslog that follows one log and ships it, as its own documentation configures it.

Out of Debian's packages, unprivileged, in a folder of the test's own; see `_process.py`.
"""

from pathlib import Path

from tests.stack._debian import environment, program, unpacked
from tests.stack._process import Process

PACKAGES = ("rsyslog", "rsyslog-elasticsearch", "libestr0", "libfastjson4", "liblognorm5",
            "libcurl4")  # fmt: skip
TOKEN = "sesame-of-the-shippers"

GLOBAL = """\
global(workDirectory="{folder}" maxMessageSize="64k")
module(load="imfile")
{modules}
input(type="imfile" File="{log}" Tag="nginx:" addMetadata="on" ruleset="ship")
"""
QUEUE = """queue.type="LinkedList" queue.size="200000" queue.dequeueBatchSize="2000"
    queue.filename="ship" queue.saveOnShutdown="on" queue.lowWatermark="1000"
    action.resumeRetryCount="-1" action.resumeInterval="1" """
BULK = """\
template(name="line" type="list" option.jsonf="on") {{
  property(outname="message" name="msg" format="jsonf")
}}
template(name="place" type="string"
  string="%hostname%-%$!metadata!filename%-%$!metadata!fileoffset%")
ruleset(name="ship") {{
  action(type="omelasticsearch" server="http://127.0.0.1" serverport="{port}" template="line"
    searchIndex="access" bulkmode="on" bulkid="place" dynbulkid="on" writeoperation="create"
    maxbytes="4m" uid="rsyslog" pwd="{token}" errorfile="{folder}/errors"
    {queue})
}}
"""
TCP = """\
ruleset(name="ship") {{
  action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" TCP_Framing="octet-counted"
    template="RSYSLOG_SyslogProtocol23Format" {queue})
}}
"""


def rsyslogd():
    """The program; NotHereError where it cannot be had."""
    return program("rsyslogd", *PACKAGES)


class Rsyslog:
    """Follows `log` and ships it by `how` (BULK or TCP) to a port of this machine."""

    def __init__(self, folder, log, port, how):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        binary = Path(rsyslogd())
        words = [binary, "-n", "-f", folder / "rsyslog.conf", "-i", folder / "pid"]
        home = unpacked(*PACKAGES) if "breachline-test" in binary.parts else None
        self._environment = environment(home) if home else None
        if home:
            (modules,) = home.glob("usr/lib/*/rsyslog")
            words += ["-M", modules]
        self._words = words
        loaded = 'module(load="omelasticsearch")' if how is BULK else ""
        text = GLOBAL + how
        (folder / "rsyslog.conf").write_text(
            text.format(folder=folder, log=log, port=port, modules=loaded, token=TOKEN, queue=QUEUE)
        )

    def __enter__(self):
        more = {"env": self._environment} if self._environment else {}
        self.process = Process(self._words, self.folder / "out", **more)
        return self

    def __exit__(self, *_):
        if self.process.is_running:
            self.process.kill()

    @property
    def errors(self):
        """What the receiver refused for good, as rsyslog wrote it down."""
        path = self.folder / "errors"
        return path.read_text() if path.exists() else ""
