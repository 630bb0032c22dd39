"""The real Elasticsearch, for tests: one node on loopback, all it writes in the caller's folder.

Made of the jars that Elastic publishes for those who test plugins. What lives in modules of the
full distribution is not there: `GET /`, `_data_stream`, ILM, painless, security, by-query calls.
"""

import hashlib
import json
import subprocess
import tempfile
import urllib.error
import urllib.request
import zipfile
from functools import cache
from pathlib import Path
from typing import Self

from tests.stack._maven import NotHereError, alone, jars, java
from tests.stack._process import Process, free_ports

VERSION = "9.5.3"
HOST = "127.0.0.1"
OLDEST_JAVA = 21
READY_TIMEOUT_S = 120
JAVA_OPTIONS = (
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # tests are over before the second compiler has paid off
    "-Dorg.apache.logging.log4j.level=INFO",
)
SETTINGS = {
    "cluster.name": "breachline-test",
    "discovery.type": "single-node",
    "network.host": HOST,
    "node.name": "one",
    "node.processors": 2,
    # A disk that is nearly full is the machine's matter, not these tests'.
    "cluster.routing.allocation.disk.threshold_enabled": False,
}
FOR_TESTS_OF_THEIRS = (
    "byte-buddy", "ecj", "framework", "hamcrest", "junit", "lucene-test-framework", "mockito",
    "mocksocket", "objenesis", "randomizedtesting",
)  # fmt: skip
HTTP = ("netty-", "transport-netty4")
HTTP_MODULE = f"""\
name=transport-netty4
description=HTTP
version={VERSION}
elasticsearch.version={VERSION}
java.version={OLDEST_JAVA}
classname=org.elasticsearch.transport.netty4.Netty4Plugin
"""
READY = "Elasticsearch takes requests"
MAIN = f"""\
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

public class Main {{
    public static void main(String[] words) throws Exception {{
        Path home = Path.of(words[0]);
        LogConfigurator.configureESLogging();
        var place = Settings.builder().put("path.home", home).build();
        var environment = InternalSettingsPreparer.prepareEnvironment(
            place, Map.of(), Path.of(words[1]), () -> "one");
        var modules = PluginsLoader.loadModulesBundles(home.resolve("modules"), true);
        var loader = PluginsLoader.createPluginsLoader(modules, Set.of(), Map.of(), true);
        var node = new Node(environment, loader);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {{
            try {{
                node.prepareForClose();
                node.close();
            }} catch (Exception fault) {{
                fault.printStackTrace();
            }}
        }}));
        node.start();
        System.out.println("{READY}");
        Thread.currentThread().join();
    }}
}}
"""


def elasticsearch_jars():
    """The folder of the server's jars, and of a compiler: a Java that only runs things will do."""
    return jars(
        f"elasticsearch-{VERSION}",
        f"org.elasticsearch.test:framework:{VERSION}",
        f"org.elasticsearch.plugin:transport-netty4:{VERSION}",
        "org.eclipse.jdt:ecj:3.44.0",
    )


@cache
def server():
    """The folder with `lib`, `modules` and `main`, laid out once beside the jars."""
    made_by = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    folder = elasticsearch_jars() / f"server-{made_by}"
    with alone(elasticsearch_jars() / "server.lock"):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent) as part:
                _lay_out(Path(part, "server"))
                Path(part, "server").rename(folder)
    return folder


def _lay_out(folder):
    http = folder / "modules" / "transport-netty4"
    for place in (http, folder / "lib", folder / "main"):
        place.mkdir(parents=True)
    (http / "plugin-descriptor.properties").write_text(HTTP_MODULE)
    for jar in sorted(elasticsearch_jars().glob("*.jar")):
        if jar.name.startswith("elasticsearch-entitlement-9"):
            _copy_undescribed(jar, folder / "lib" / jar.name)
        elif not jar.name.startswith(FOR_TESTS_OF_THEIRS):
            taker = http if jar.name.startswith(HTTP) else folder / "lib"
            (taker / jar.name).hardlink_to(jar)
    _compile(folder)


def _copy_undescribed(jar, copy):
    """The sandbox's module, which nothing here starts, without its demand for all of a JDK."""
    with zipfile.ZipFile(jar) as given, zipfile.ZipFile(copy, "w") as taken:
        name = "Automatic-Module-Name: org.elasticsearch.entitlement"
        taken.writestr("META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\r\n{name}\r\n\r\n")
        for part in given.namelist():
            if part not in {"module-info.class", "META-INF/MANIFEST.MF"}:
                taken.writestr(part, given.read(part))


def _compile(folder):
    source = folder / "Main.java"
    source.write_text(MAIN)
    (compiler,) = elasticsearch_jars().glob("ecj-*.jar")
    path = ":".join(map(str, sorted((folder / "lib").iterdir())))
    done = subprocess.run(
        [
            java(OLDEST_JAVA), "-cp", compiler, "org.eclipse.jdt.internal.compiler.batch.Main",
            f"-{OLDEST_JAVA}", "-nowarn", "-cp", path, "-d", folder / "main", source,
        ],
        check=False, timeout=READY_TIMEOUT_S, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if done.returncode:
        raise NotHereError(f"compiling the start of Elasticsearch: {done.stdout[-3000:]}")


class Elasticsearch:
    """One node. `with Elasticsearch(folder) as node:` starts it, and kills it at the end.

    It may be stopped or killed and started again, on the same port and data.
    """

    def __init__(self, home, settings=None):
        """Settings of Elasticsearch go before ours."""
        self.home = Path(home)
        self.port, transport_port = free_ports(2)
        self._settings = SETTINGS | {
            "http.port": self.port,
            "transport.port": transport_port,
            "path.data": str(self.home / "data"),
            "path.logs": str(self.home),
            **(settings or {}),
        }
        self.process: Process | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_fault):
        self.close()

    @property
    def url(self):
        """What clients take as a host."""
        return f"http://{HOST}:{self.port}"

    @property
    def is_running(self):
        return self.process is not None and self.process.is_running

    def start(self):
        """Start it, and wait until it takes requests."""
        if self.is_running:
            raise RuntimeError(f"starting the Elasticsearch at {self.url}: it is running")
        config = self.home / "config"
        config.mkdir(parents=True, exist_ok=True)
        # Each value as JSON: YAML reads it as the same value.
        lines = (f"{name}: {json.dumps(value)}\n" for name, value in self._settings.items())
        (config / "elasticsearch.yml").write_text("".join(lines))
        place = server()
        self.process = Process(
            [
                java(OLDEST_JAVA), *JAVA_OPTIONS, "-p", place / "lib",
                "--add-modules", "ALL-MODULE-PATH", "-cp", place / "main", "Main", place, config,
            ],
            self.home / "elasticsearch.log", cwd=self.home,
        )  # fmt: skip
        self.process.wait_for(READY, READY_TIMEOUT_S)
        return self

    def stop(self):
        """SIGTERM: it closes its files."""
        self._started().stop()

    def kill(self):
        """SIGKILL: it has no time for anything."""
        self._started().kill()

    def close(self):
        """What is left of it ends; nothing if nothing is left."""
        if self.is_running:
            self.kill()

    def ask(self, method, path, body=None):
        """The status and the JSON that it answers to one request: no client of ours between."""
        request = urllib.request.Request(
            f"{self.url}/{path}", method=method, headers={"Content-Type": "application/json"},
            data=None if body is None else json.dumps(body).encode(),
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, json.load(refusal)

    def _started(self):
        if self.process is None:
            raise RuntimeError(f"the Elasticsearch at {self.url} was never started: call start()")
        return self.process
