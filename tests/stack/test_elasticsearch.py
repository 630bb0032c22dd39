"""The server of these tests indexes, finds, and keeps what it took."""

import urllib.error

import pytest

from tests.stack._elasticsearch import HOST, VERSION


def test_what_is_indexed_is_found(elasticsearch):
    created = {"@timestamp": "2026-11-22T10:00:00Z", "source": {"ip": "203.0.113.7"}}
    status, answer = elasticsearch.ask("PUT", "found/_create/a?refresh=true", created)
    assert (status, answer["result"]) == (201, "created")
    mapping = {"properties": {"address": {"type": "ip"}}}
    assert elasticsearch.ask("PUT", "networks", {"mappings": mapping})[0] == 200
    for name in ("203.0.113.7", "198.51.100.7"):
        document = {"address": name}
        elasticsearch.ask("PUT", f"networks/_create/{name}?refresh=true", document)

    assert elasticsearch.ask("GET", "found/_doc/a")[1]["_source"] == created
    query = {"query": {"term": {"address": "203.0.113.0/24"}}}
    found = elasticsearch.ask("POST", "networks/_search", query)[1]["hits"]["hits"]
    assert [hit["_id"] for hit in found] == ["203.0.113.7"]


def test_a_known_id_is_not_created_again(elasticsearch):
    assert elasticsearch.ask("PUT", "once/_create/a", {"n": 1})[0] == 201
    status, answer = elasticsearch.ask("PUT", "once/_create/a", {"n": 2})
    assert (status, answer["error"]["type"]) == (409, "version_conflict_engine_exception")
    assert elasticsearch.ask("GET", "once/_doc/a")[1]["_source"] == {"n": 1}


def test_it_is_the_version_asked_for_and_answers_on_loopback_only(elasticsearch):
    (node,) = elasticsearch.ask("GET", "_nodes/http,transport")[1]["nodes"].values()
    assert node["version"] == VERSION
    bound = node["http"]["bound_address"] + node["transport"]["bound_address"]
    assert {address.rsplit(":", 1)[0] for address in bound} == {HOST}


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_restart_keeps_address_and_data(elasticsearch, how):
    elasticsearch.ask("PUT", f"kept-{how}/_create/a", {"n": 1})
    url = elasticsearch.url

    getattr(elasticsearch, how)()
    assert not elasticsearch.is_running
    with pytest.raises(urllib.error.URLError, match="refused"):
        elasticsearch.ask("GET", "_cluster/health")

    elasticsearch.start()
    assert elasticsearch.url == url
    elasticsearch.ask("GET", f"_cluster/health/kept-{how}?wait_for_status=yellow")
    assert elasticsearch.ask("GET", f"kept-{how}/_doc/a")[1]["_source"] == {"n": 1}
