import asyncio
import gzip
import json
import socket
import ssl
import threading
import zlib

import httpx
import pytest
import zstandard
from elasticsearch import ApiError, AsyncElasticsearch, Elasticsearch
from elasticsearch.helpers import BulkIndexError, async_streaming_bulk, bulk

from streams.listen import http as http_module
from streams.listen.http import RETRY_AFTER_S, HttpListener
from streams.listen.settings import Http
from tests.streams.listen._certificates import Authority
from tests.streams.listen._served import Served, until

TOKEN = "t0ken-of-the-tests"
ENVIRON = {"INTAKE_TOKEN": TOKEN}
LINE = b'192.0.2.1 - - [22/Nov/2026:09:00:01 +0000] "GET / HTTP/1.1" 200 5 "-" "a"'
BOMB = gzip.compress(bytes(64 << 20), mtime=0)
PACKED = gzip.compress(LINE, mtime=0)


def served(*, environ=ENVIRON, max_bytes=64 << 20, hold=False, **settings):
    http = Http.model_validate({"address": "127.0.0.1:0", **settings})
    return Served(lambda inbox: HttpListener(http, inbox, environ), max_bytes=max_bytes, hold=hold)


def url(here):
    scheme, _, rest = here.listener.says.partition(" on ")
    return f"{scheme.lower()}://{rest.partition(',')[0]}"


@pytest.fixture
def here():
    with served() as running:
        yield running


@pytest.fixture
def client(here):
    with httpx.Client(base_url=url(here)) as client:
        yield client


def bulk_body(*documents, action="create"):
    return b"".join(
        json.dumps({action: {"_index": "logs-x", "_id": id_}}).encode() + b"\n" + doc + b"\n"
        for id_, doc in documents
    )


# -- lines


def test_lines_are_taken_as_they_are_and_answered_with_their_number(here, client):
    answer = client.post("/lines?source=gw", content=LINE + b"\n\nnonsense\r\n" + LINE)
    assert (answer.status_code, answer.json()) == (200, {"lines": 3})
    (parcel,) = here.parcels()
    assert (parcel.name, list(parcel.lines)) == ("gw", [LINE, b"nonsense", LINE])


@pytest.mark.parametrize(
    ("body", "kind", "lines"),
    [
        (b'[{"a":1},{"b":2}]', "application/json", [b'{"a":1}', b'{"b":2}']),
        (b'{"a": 1}\n{"b": 2}\n', "application/json", [b'{"a": 1}', b'{"b": 2}']),
        (b'[{"a":1},{"b":2}]', "text/plain", [b'[{"a":1},{"b":2}]']),
        (b"[half", "application/json", [b"[half"]),
        (b"", "text/plain", []),
    ],
)
def test_arrays_of_json_are_lines_too(here, client, body, kind, lines):
    answer = client.post("/lines", content=body, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json(), here.lines()) == (200, {"lines": len(lines)}, lines)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("zstd", zstandard.compress)],
)
def test_a_packed_body_is_unpacked(here, client, encoding, pack):
    body = b"\n".join([LINE] * 20_000)
    headers = {"Content-Encoding": encoding}
    assert client.post("/lines", content=pack(body), headers=headers).json() == {"lines": 20_000}
    assert here.lines() == [LINE] * 20_000


def test_a_body_that_is_equal_to_a_recent_one_is_kept_and_counted(here, client, caplog):
    for _ in range(3):
        client.post("/lines", content=LINE)
    client.post("/lines", content=LINE + b" ")
    assert here.lines() == [LINE, LINE, LINE, LINE + b" "]
    assert here.inbox.counts()["equal", "http"] == 2
    assert [message for message in caplog.messages if "equal to a recent one" in message] == [
        caplog.messages[0]
    ]


# -- bulk calls


def test_a_bulk_call_is_answered_as_elasticsearch_does(here, client):
    body = bulk_body(("1", b'{"message": "one"}'), ("2", b"not json"))
    answer = client.post("/_bulk?filter_path=errors,items.*.status", content=body)
    created = {"create": {"status": 201}}
    assert (answer.status_code, answer.json()) == (
        200, {"errors": False, "items": [created, created]},
    )  # fmt: skip
    assert answer.headers["X-Elastic-Product"] == "Elasticsearch"
    # A bad line must not block its shipper: it is taken, and becomes a counted reject.
    assert here.lines() == [b'{"message": "one"}', b"not json"]


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [("POST", "/_bulk", "http"), ("PUT", "/_bulk", "http"), ("POST", "/logs-y/_bulk", "logs-y"),
     ("POST", "/logs-y/_bulk/", "logs-y")],
)  # fmt: skip
def test_where_bulk_calls_go(here, client, method, path, name):
    answer = client.request(method, path, content=b'{"index":{}}\n{"a":1}\n')
    assert (answer.status_code, [parcel.name for parcel in here.parcels()]) == (200, [name])


def test_what_was_sent_before_is_answered_as_created(here, client):
    body = bulk_body(("1", b'{"message": "one"}'))
    answers = [client.post("/_bulk", content=body).json() for _ in range(2)]
    assert [answer["items"][0]["create"]["status"] for answer in answers] == [201, 201]
    assert here.inbox.counts()["repeated", "http"] == 1
    assert ("equal", "http") not in here.inbox.counts()


def test_other_actions_are_refused_each_by_itself(here, client):
    body = bulk_body(("1", b"{}")) + b'{"delete":{"_id":"1"}}\n'
    answer = client.post("/x/_bulk", content=body).json()
    statuses = [entry["status"] for item in answer["items"] for entry in item.values()]
    assert (answer["errors"], statuses, here.lines()) == (True, [201, 400], [b"{}"])


def test_a_single_document(here, client):
    assert client.post("/logs/_doc", content=b'{\n "a": 1\n}').status_code == 201
    assert client.put("/logs/_create/7", content=b'{"a": 2}').json()["_id"] == "7"
    assert client.post("/logs/_doc", content=b"{half").status_code == 400
    assert here.lines() == [b'{"a":1}', b'{"a": 2}']


# -- what is refused


@pytest.mark.parametrize(
    ("path", "content", "headers", "status", "says"),
    [
        ("/_bulk", b"", {}, 400, "request body is required"),
        ("/_bulk", b"{}\n{}\n", {}, 400, "line [1]"),
        ("/_bulk", b'{"index":{}}\n{}\nx\n{}\n', {}, 400, "line [3]"),
        ("/_bulk", b"x" * 200_000, {}, 413, "at most 100,000 bytes"),
        ("/lines", b"x" * 200_000, {}, 413, "at most 100,000 bytes"),
        ("/lines", BOMB, {"Content-Encoding": "gzip"}, 413, "at most"),
        ("/lines", zstandard.compress(bytes(64 << 20)), {"Content-Encoding": "zstd"}, 413, "most"),
        ("/lines", b"x", {"Content-Encoding": "br"}, 415, "send Content-Encoding gzip"),
        ("/lines", b"no gzip", {"Content-Encoding": "gzip"}, 400, "not of its Content-Encoding"),
        ("/lines", PACKED[:-10], {"Content-Encoding": "gzip"}, 400, "cut off"),
        ("/logs/_search", b"{}", {}, 404, "POST /lines"),
        ("/%ff%fe/_x/y", b"{}", {}, 404, "nothing answers"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_refused_with_the_reason(path, content, headers, status, says):
    with served(max_body=100_000) as here, httpx.Client(base_url=url(here)) as client:
        answer = client.post(path, content=content, headers=headers)
        document = answer.json()
        assert (answer.status_code, document["status"]) == (status, status)
        assert says in document["error"]["reason"]
        assert here.lines() == []
        assert client.post("/lines", content=LINE).json() == {"lines": 1}


def test_a_body_of_unknown_length_is_cut_off_at_the_bound():
    def chunks():
        for _ in range(1000):
            yield b"x" * 10_000

    with served(max_body=100_000) as here:
        try:
            status = httpx.post(url(here) + "/lines", content=chunks()).status_code
        except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
            status = 413  # told while it was still sending
        assert (status, here.lines()) == (413, [])


def test_without_room_senders_are_to_try_again_and_then_can():
    with served(max_bytes=2_000, hold=True) as here, httpx.Client(base_url=url(here)) as client:
        filling = threading.Thread(
            target=lambda: httpx.post(url(here) + "/lines", content=b"\n".join([LINE] * 12))
        )
        filling.start()
        until(lambda: here.inbox.held_bytes)
        answer = client.post("/_bulk", content=bulk_body(("1", LINE)))
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, f"{RETRY_AFTER_S}")
        assert answer.json()["error"]["type"] == "es_rejected_execution_exception"
        assert here.inbox.counts()["refused", "http"] == 1
        here.hold = False
        filling.join(10)
        assert client.post("/_bulk", content=bulk_body(("1", LINE))).status_code == 200


def test_nobody_is_told_of_what_was_not_made_durable():
    answers = []
    with served(hold=True) as here:

        def send():
            answers.append(httpx.post(url(here) + "/lines", content=LINE))

        sending = threading.Thread(target=send)
        sending.start()
        until(lambda: here.inbox.held_bytes)
        here.inbox.close()
        sending.join(10)
        answers.append(httpx.post(url(here) + "/lines", content=LINE))
    assert [answer.status_code for answer in answers] == [503, 503]
    assert answers[0].headers["Retry-After"]


# -- who may send


def test_only_who_knows_the_token_may_send_or_ask():
    with served(token_env="INTAKE_TOKEN") as here, httpx.Client(base_url=url(here)) as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            for method, path in (("GET", "/"), ("POST", "/_bulk"), ("POST", "/lines")):
                answer = client.request(method, path, headers=headers)
                assert (answer.status_code, answer.headers["WWW-Authenticate"][:5]) == (
                    401,
                    "Basic",
                )
        assert here.inbox.counts() == {("unauthorized", "http"): 6}
        sent = client.post("/lines", content=LINE, headers={"Authorization": f"Bearer {TOKEN}"})
        assert sent.json() == {"lines": 1}


def test_neither_token_nor_lines_are_logged(caplog):
    with served(token_env="INTAKE_TOKEN") as here, httpx.Client(base_url=url(here)) as client:
        for shown in (TOKEN, TOKEN + "-wrong"):
            client.post("/lines", content=LINE, headers={"Authorization": f"Bearer {shown}"})
            client.post("/_bulk", content=LINE, headers={"Authorization": f"Bearer {shown}"})
    assert (TOKEN in caplog.text, "192.0.2.1" in caplog.text) == (False, False)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"token_env": "INTAKE_TOKEN"}, r"set \$INTAKE_TOKEN"),
        ({"token_file": "/nonexistent/token"}, "write it into /nonexistent/token"),
        ({"certificate_file": "/nonexistent/c.pem", "key_file": "/nonexistent/k.pem"}, "c.pem"),
    ],
)
def test_what_it_needs_and_does_not_find_is_said_before_it_listens(settings, says):
    with pytest.raises(ValueError, match=says), served(environ={}, **settings):
        pass


def test_an_address_in_use_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with (
            pytest.raises(ValueError, match=f"{address}: the port is in use"),
            served(address=address),
        ):
            pass


def test_connections_are_bounded_and_those_that_are_there_go_on(monkeypatch):
    monkeypatch.setattr(http_module, "MAX_CONNECTIONS", 3)
    with served() as here, httpx.Client(base_url=url(here)) as client:
        assert client.post("/lines", content=LINE).status_code == 200
        address = ("127.0.0.1", int(url(here).rpartition(":")[2]))
        idle = [socket.create_connection(address) for _ in range(2)]
        until(lambda: len(here.listener._runner.server.connections) == 3)
        with socket.create_connection(address, timeout=10) as one_more:
            assert one_more.recv(1) == b""
        assert client.post("/lines", content=LINE).status_code == 200
        for each in idle:
            each.close()


def test_over_tls(tmp_path):
    authority = Authority(tmp_path)
    certificate, key = authority.certify("intake")
    with served(certificate_file=certificate, key_file=key) as here:
        assert here.listener.says.startswith("HTTPS on 127.0.0.1:")
        context = ssl.create_default_context(cafile=authority.file)
        assert httpx.post(url(here) + "/lines", content=LINE, verify=context).json() == {"lines": 1}
        with pytest.raises(httpx.HTTPError):
            httpx.post(url(here).replace("https", "http") + "/lines", content=LINE)


# -- a real client, which checks who answers


@pytest.mark.parametrize("action", ["create", "index"])
def test_the_client_of_elasticsearch_ships_in_bulk(action):
    documents = [
        {"_op_type": action, "_index": "logs-x", "_id": f"{n}", "message": f"line {n}"}
        for n in range(1000)
    ]
    with (
        served(token_env="INTAKE_TOKEN") as here,
        Elasticsearch(url(here), basic_auth=("anyone", TOKEN), http_compress=True) as client,
    ):
        assert client.info()["cluster_name"] == "breachline"
        assert client.ping()
        for _ in range(2):
            assert bulk(client, documents, chunk_size=150) == (1000, [])
        counts = here.inbox.counts()
        assert (counts["acknowledged", "http"], counts["repeated", "http"]) == (2000, 1000)
        with pytest.raises(BulkIndexError, match="1 document"):
            bulk(client, [{"_op_type": "delete", "_index": "logs-x", "_id": "1"}])


def test_the_asynchronous_client_ships_in_bulk():
    async def main(here):
        documents = ({"_index": "logs-x", "message": f"line {n}"} for n in range(1000))
        async with AsyncElasticsearch(url(here), api_key=TOKEN) as client:
            return [ok async for ok, _ in async_streaming_bulk(client, documents, chunk_size=100)]

    with served(token_env="INTAKE_TOKEN") as here:
        assert asyncio.run(main(here)) == [True] * 1000
        assert len(here.lines()) == 1000


def test_the_client_tries_again_when_there_was_no_room():
    with (
        served(max_bytes=2_000, hold=True) as here,
        Elasticsearch(url(here), retry_on_timeout=True) as client,
    ):
        filling = threading.Thread(
            target=lambda: httpx.post(url(here) + "/lines", content=b"\n".join([LINE] * 12))
        )
        filling.start()
        until(lambda: here.inbox.held_bytes)
        with pytest.raises(ApiError, match="429"):
            client.options(max_retries=0).bulk(operations=[{"index": {"_index": "x"}}, {"a": 1}])
        release = threading.Timer(0.3, lambda: setattr(here, "hold", False))
        release.start()
        patient = client.options(retry_on_status=[429], max_retries=1000)
        answer = patient.bulk(operations=[{"index": {"_index": "x"}}, {"a": 1}])
        release.join()
        filling.join(10)
        assert answer["errors"] is False
