"""What is answered over HTTP, also while the event loop does not answer."""

import asyncio
import json
import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from streams.exposition import Exposition, listening
from streams.settings import Metrics

TIMEOUT_S = 20


@contextmanager
def opened(listen="127.0.0.1:0", **given):
    exposition = Exposition(listen, **given)
    try:
        yield exposition
    finally:
        exposition.close()


def ask(port, path, method="GET", **headers):
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read().decode()
    finally:
        connection.close()


def asked(path, *troubles, method="GET", registry=None, **headers):
    """What an exposition answers whose process has these troubles."""

    async def main():
        with opened() as exposition:
            exposition.start(registry or CollectorRegistry(), lambda: list(troubles))
            return await asyncio.to_thread(ask, exposition.port, path, method, **headers)

    return asyncio.run(main())


def test_metrics_are_what_the_registry_holds():
    registry = CollectorRegistry()
    Counter("breachline_lines", "Lines.", registry=registry).inc(3)
    status, kind, body = asked("/metrics", registry=registry)
    assert (status, kind.partition(";")[0]) == (200, "text/plain")
    samples = [s for family in text_string_to_metric_families(body) for s in family.samples]
    assert next((s.name, s.value) for s in samples) == ("breachline_lines_total", 3)


def test_openmetrics_for_who_asks_for_it():
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    _, kind, body = asked("/metrics", **accept)
    assert kind.startswith("application/openmetrics-text")
    assert body == "# EOF\n"


HEALTH = [
    ("well", [], 200, {"healthy": True, "why": []}),
    ("not", ["one", "two"], 503, {"healthy": False, "why": ["one", "two"]}),
]


@pytest.mark.parametrize(("name", "troubles", "status", "body"), HEALTH)
def test_health_says_why_not(name, troubles, status, body):
    answered = asked("/healthz?verbose", *troubles)
    assert answered[:2] == (status, "application/json")
    assert json.loads(answered[2]) == body


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/metrics/../etc/passwd", 404), ("POST", "/metrics", 501)],
)
def test_nothing_else_is_answered(method, path, status):
    assert asked(path, method=method)[0] == status


def test_a_loop_that_is_stuck_is_not_well():
    async def main():
        with opened(answer_s=0.2) as exposition, ThreadPoolExecutor() as beside:
            exposition.start(CollectorRegistry(), list)
            asking = beside.submit(ask, exposition.port, "/healthz")
            return asking.result(TIMEOUT_S)  # the loop is stuck for as long

    status, _, body = asyncio.run(main())
    assert status == 503
    assert json.loads(body)["why"] == ["the event loop does not answer within 0.2 s"]


def test_a_fault_of_ours_is_said_and_logged(caplog):
    def broken():
        raise ZeroDivisionError("secret")

    async def main():
        with opened() as exposition:
            exposition.start(CollectorRegistry(), broken)
            return await asyncio.to_thread(ask, exposition.port, "/healthz")

    status, _, body = asyncio.run(main())
    assert (status, body) == (500, "ZeroDivisionError\n")
    assert "answering /healthz" in caplog.text


def test_one_that_never_started_lets_its_address_go():
    with opened() as first:
        port = first.port
    with opened(f"127.0.0.1:{port}") as second:
        assert second.port == port


def test_an_ipv6_address_in_brackets():
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with opened("[::1]:0") as exposition:
        assert exposition.port


def test_a_configured_address_that_is_taken_is_refused():
    with opened() as first:
        with pytest.raises(ValueError) as caught:
            listening(Metrics(listen=f"127.0.0.1:{first.port}"))
        assert str(caught.value) == (
            f"metrics: listening on 127.0.0.1:{first.port}: the port is in use: "
            "choose another in metrics.listen"
        )


def test_each_of_several_processes_has_the_next_port():
    with opened() as first:
        before = f"127.0.0.1:{first.port - 1}"
        with pytest.raises(ValueError, match=f"listening on 127.0.0.1:{first.port}: the port"):
            listening(Metrics(listen=before), number=1)
    free = listening(Metrics(listen="127.0.0.1:0"), number=1)
    assert free is not None
    free.close()


def test_the_default_that_is_taken_is_said_and_done_without(caplog, monkeypatch):
    with opened() as first:
        taken = f"127.0.0.1:{first.port}"
        monkeypatch.setattr("streams.exposition.Metrics", lambda: Metrics(listen=taken))
        with caplog.at_level(logging.WARNING):
            assert listening(None) is None
    assert f"listening on {taken}: the port is in use: this process shows no metrics" in caplog.text
