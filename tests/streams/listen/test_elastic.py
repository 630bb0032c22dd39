import pytest

from streams.listen.elastic import VERSION, Answer, answer, error

HERE = "127.0.0.1:8088"
TAKEN = Answer(200, {"acknowledged": True})


def test_what_shippers_look_at_before_they_send():
    info = answer("GET", "/", HERE).body
    assert (info["version"]["number"], info["version"]["build_flavor"]) == (VERSION, "default")
    assert (info["cluster_name"], info["tagline"]) == ("breachline", "You Know, for Search")
    assert answer("HEAD", "/", HERE).status == 200
    licence = answer("GET", "/_license", HERE).body["license"]
    assert (licence["status"], licence["type"]) == ("active", "basic")
    assert answer("GET", "/_xpack", HERE).body["features"]["ilm"]["available"]
    assert answer("GET", "/_cluster/health", HERE).body["status"] == "green"
    assert " green " in answer("GET", "/_cat/health", HERE).body
    (node,) = answer("GET", "/_nodes/http", HERE).body["nodes"].values()
    assert node["http"]["publish_address"] == HERE


@pytest.mark.parametrize(
    "path",
    [
        "/_index_template/filebeat-8.19.0",
        "/_template/logstash",
        "/_component_template/ecs",
        "/_ilm/policy/filebeat",
        "/_ingest/pipeline/filebeat-8.19.0-nginx-access",
        "/_data_stream/filebeat-8.19.0",
        "/logs-2026.11.22",
        "/logs/_alias/current",
    ],
)
def test_what_shippers_set_up_is_taken_and_not_kept(path):
    assert answer("PUT", path, HERE) == TAKEN
    assert [answer(method, path, HERE).status for method in ("GET", "HEAD")] == [404, 404]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/logs/_search"),
        ("POST", "/_search"),
        ("DELETE", "/logs"),
        ("DELETE", "/_index_template/x"),
        ("PUT", "/_cluster/settings"),
        ("POST", "/"),
        ("GET", "/" + "x" * 100_000),
        ("GET", "/_nodes/../x"),
    ],
)
def test_nothing_else_is_answered(method, path):
    found = answer(method, path, HERE)
    assert (found.status, found.body["status"]) == (404, 404)
    assert len(found.body["error"]["reason"]) < 400


def test_an_error_is_worded_as_elasticsearch_does():
    cause = {"type": "a_exception", "reason": "because"}
    assert error(418, "a_exception", "because") == Answer(
        418, {"error": {"root_cause": [cause], **cause}, "status": 418}
    )
