from contextlib import nullcontext

import click
import pytest

from console.asking import asking, configured, enter, esql, node_of, one_of, tell_link
from console.fault import Negative, Refused, Unreachable
from evidence.query.fields import EVENTS
from evidence.query.tree import Is
from evidence.settings import Elasticsearch
from streams.settings import Settings
from tests.evidence.elastic._searched import Searched


def test_a_query_is_read_or_refused():
    assert node_of("user.id:a", EVENTS) == Is(EVENTS["user.id"], "a")
    with pytest.raises(Refused, match=r"^reading the query: at character 1: there is no field 'x'"):
        node_of("x:1", EVENTS)


def test_without_elasticsearch_it_says_what_to_add():
    elastic = Elasticsearch(hosts=["http://192.0.2.1:9200"])
    assert configured(Settings(elasticsearch=elastic)) == elastic
    with pytest.raises(
        Refused, match=r"^no Elasticsearch is configured: add elasticsearch: \{hosts"
    ):
        configured(Settings())


ENDS = [
    ("nothing wrong", None, None),
    ("a value", ValueError("no"), Refused),
    ("a file", FileNotFoundError(2, "no such file", "key"), Refused),
    ("a view that ended", TimeoutError("late"), Refused),
    ("its own way", Negative("no"), Negative),
    ("a reader that left", BrokenPipeError(), BrokenPipeError),
    ("a bug", KeyError("x"), KeyError),
]


@pytest.mark.parametrize(("name", "error", "kind"), ENDS, ids=[c[0] for c in ENDS])
def test_how_an_answer_may_end(name, error, kind):
    with pytest.raises(kind) if kind else nullcontext(), asking():
        if error is not None:
            raise error


def test_who_does_not_answer_is_unreachable():
    with pytest.raises(Unreachable, match=r"nobody answers at 127\.0\.0\.1:9"):
        esql(Elasticsearch(hosts=["http://127.0.0.1:9"]), "FROM x")


class Speaks(Searched):
    """An Elasticsearch that knows ES|QL."""

    def answer(self, method, path, body):
        assert (method, path) == ("POST", "/_query")
        if body["query"] != "FROM x":
            return 400, {"error": {"type": "parsing_exception", "reason": "line 1:1: mismatched"}}
        columns = [{"name": "a", "type": "long"}, {"name": "b", "type": "keyword"}]
        return 200, {"columns": columns, "values": [[1, "x"], [None, "y"]]}


class DoesNot(Searched):
    def answer(self, method, path, body):
        return 400, {"error": f"no handler found for uri [{path}] and method [{method}]"}


def test_esql_is_passed_on():
    with Speaks([]) as server:
        elastic = Elasticsearch(hosts=list(server.options.hosts))
        assert list(esql(elastic, "FROM x")) == [{"a": 1, "b": "x"}, {"a": None, "b": "y"}]
        with pytest.raises(Negative, match="parsing_exception: line 1:1: mismatched"):
            esql(elastic, "FORM x")


def test_where_nobody_speaks_esql_it_says_so():
    with DoesNot([]) as server:
        elastic = Elasticsearch(hosts=list(server.options.hosts))
        with pytest.raises(
            Refused, match=r"^this Elasticsearch does not speak ES\|QL: .* QUERY instead$"
        ):
            esql(elastic, "FROM x")


def test_one_language_at_a_time():
    one_of("a", esql=None)
    one_of(None, esql="b")
    for query, other in ((None, None), ("a", "b")):
        with pytest.raises(click.UsageError, match=r"^Give one of QUERY, --esql\.$"):
            one_of(query, esql=other)


def test_a_read_that_no_log_is_here_for_is_said(tmp_path, capsys):
    enter(Settings(data_dir=tmp_path), None, "evidence search", "")
    said = capsys.readouterr().err
    assert said.startswith("Warning: this read is not in the log: reading ")


def test_a_link_where_a_kibana_is_named(capsys):
    tell_link(Elasticsearch(hosts=["http://192.0.2.1:9200"]), "v", "x", None, None)
    assert capsys.readouterr().err == ""
    elastic = Elasticsearch(hosts=["http://192.0.2.1:9200"], kibana="http://192.0.2.1:5601")
    tell_link(elastic, "v", "url.path:/users/*", None, None)
    said = capsys.readouterr().err
    assert said.startswith("In Kibana: http://192.0.2.1:5601/app/discover#/?_g=(time:(from:")
    # The path as Lucene wants it: with its slashes escaped.
    assert "query:'url.path:%5C/users%5C/*'" in said
