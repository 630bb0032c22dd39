"""The client of an Elasticsearch whose answers are written here; of the real one: tests/stack."""

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from evidence.elastic import documents
from evidence.elastic.bulk import Document
from evidence.ledger import Head
from evidence.settings import Elasticsearch
from evidence.signing import load_signer
from evidence.store import EmbeddedStore
from streams.elastic import Elastic, options_of
from streams.heads import NotPublished
from tests._events import NOON_MS, action

NAME = "breachline/default/evidence"
DOCUMENT = Document("streams", "a", b"{}")
OLD, NEW = "b2xkOmtleQ==", "bmV3OmtleQ=="


class Server:
    """Takes every document once, from whoever has the key `accepts`."""

    def __init__(self):
        self.kept: dict[str, dict[str, Any]] = {}
        self.accepts = None
        self.asked: list[tuple[str, str]] = []

    def __enter__(self):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                path, key = self.path.partition("?")[0], self.headers.get("Authorization", "")
                outer.asked.append((path, key))
                status, answer = outer.answer(path, key, body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("X-Elastic-Product", "Elasticsearch")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST  # noqa: N815  as http.server asks

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_fault):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._http.server_port}"

    def answer(self, path, key, body):
        if self.accepts is not None and key != f"ApiKey {self.accepts}":
            return 401, {"error": {"type": "security_exception", "reason": "expired"}}
        if path == "/_bulk":
            lines = body.splitlines()
            items = [self._create(*pair) for pair in zip(lines[::2], lines[1::2], strict=True)]
            return 200, {"errors": False, "items": items}
        if path.endswith("/_search"):
            newest = sorted(self.kept.values(), key=lambda one: -one["breachline"]["head"]["size"])
            return 200, {"hits": {"hits": [{"_source": one} for one in newest[:1]]}}
        return 200, {"_source": self.kept[path.rpartition("/")[2].replace("%2F", "/")]}

    def _create(self, about, source):
        name = json.loads(about)["create"]["_id"]
        known = name in self.kept
        self.kept.setdefault(name, json.loads(source))
        return {"create": {"status": 409 if known else 201}}


@pytest.fixture
def server():
    with Server() as running:
        yield running


def made(server, **given):
    return Elastic(Elasticsearch.model_validate({"hosts": [server.url], **given}))


def closing(work):
    """Runs `work(elastic)`, an async function, and closes what it used."""

    async def run(elastic):
        try:
            return await work(elastic)
        finally:
            await elastic.close()

    return lambda elastic: asyncio.run(run(elastic))


def test_what_is_sent_stands_there_once(server):
    @closing
    async def run(elastic):
        return [await elastic.send([DOCUMENT]) for _ in range(2)]

    first, second = run(made(server))
    assert (first.stored, second.already, first.trouble, second.trouble) == (1, 1, None, None)


def test_a_key_that_was_renewed_in_its_file_is_taken_up(server, tmp_path):
    file = tmp_path / "api_key"
    file.write_text(OLD)
    server.accepts = NEW

    @closing
    async def run(elastic):
        refused = await elastic.send([DOCUMENT])
        file.write_text(NEW)
        return refused, await elastic.send([DOCUMENT])

    refused, taken = run(made(server, api_key_file=file))
    assert (refused.trouble.kind, refused.done, taken.trouble, taken.done) == ("login", 0, None, 1)
    assert server.asked == [("/_bulk", f"ApiKey {OLD}"), ("/_bulk", f"ApiKey {NEW}")]


def test_a_key_file_that_cannot_be_used_is_a_trouble_like_others(server, tmp_path):
    elastic = made(server, api_key_file=tmp_path / "missing")

    @closing
    async def run(elastic):
        with pytest.raises(NotPublished, match="api_key_file"):
            await elastic.put(Head(1, "a\n1\nAA==\n\n"), NOON_MS)
        return await elastic.send([DOCUMENT])

    sent = run(elastic)
    assert (sent.trouble.kind, sent.done) == ("login", 0)
    assert "api_key_file" in sent.trouble.words


def test_options_are_those_of_the_settings(tmp_path):
    file = tmp_path / "api_key"
    file.write_text(f"{NEW}\n")
    given = {"hosts": ["https://one.test", "https://two.test"], "timeout": "5s"}
    settings = Elasticsearch.model_validate(
        {**given, "api_key_file": file, "ca_file": tmp_path / "ca"}
    )
    options = options_of(settings)
    assert (options.hosts, options.api_key) == (("https://one.test", "https://two.test"), NEW)
    assert (options.ca_file, options.timeout_s) == (tmp_path / "ca", 5)


@pytest.fixture
def store(tmp_path):
    with EmbeddedStore.open(tmp_path / "store") as opened:
        opened.ledger.sign_with(NAME, [load_signer(tmp_path, NAME, create=True)])
        yield opened


def grown(store, name):
    store.log.append_intent(action(name))
    return store.ledger.head()


def test_heads_stand_there_once_and_another_history_is_told(server, store, tmp_path):
    one, two = grown(store, "act-1"), grown(store, "act-2")

    @closing
    async def publish(elastic):
        await elastic.put(one, NOON_MS)
        await elastic.put(two, NOON_MS)
        await elastic.put(two, NOON_MS)

    publish(made(server))
    assert sorted(server.kept) == [f"{NAME}@1", f"{NAME}@2"]
    assert server.kept[f"{NAME}@2"]["breachline"]["head"]["note"] == two.note

    @closing
    async def rolled_back(elastic):
        with pytest.raises(NotPublished, match="was told of 2 entries, and this log of 1"):
            await elastic.put(one, NOON_MS)

    rolled_back(made(server))

    with EmbeddedStore.open(tmp_path / "another") as other:
        other.ledger.sign_with(NAME, [load_signer(tmp_path, NAME, create=False)])
        rewritten = grown(other, "act-9")
    server.kept = {f"{NAME}@1": json.loads(documents.head(one, NOON_MS).source)}

    @closing
    async def forked(elastic):
        with pytest.raises(NotPublished, match="rolled back or rewritten"):
            await elastic.put(rewritten, NOON_MS)

    forked(made(server))


def test_nobody_there_is_said(store):
    head = grown(store, "act-1")

    @closing
    async def run(elastic):
        with pytest.raises(NotPublished, match="nobody answers at"):
            await elastic.put(head, NOON_MS)
        return await elastic.send([DOCUMENT])

    sent = run(Elastic(Elasticsearch.model_validate({"hosts": ["http://127.0.0.1:9"]})))
    assert (sent.trouble.kind, sent.done) == ("unreachable", 0)
