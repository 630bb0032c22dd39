"""Whatever a node answers or does not, each document ends up there once, or is handed back."""

import asyncio

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.elastic.bulk import MOST_WAIT_S, Bulk, Document, Refused, Sent
from evidence.elastic.client import Options, connect
from tests.evidence.elastic._node import BAD, REJECTED, Items, Lost, Node, Silent, Whole

UNPARSABLE = (
    "document_parsing_exception: [1:6] failed to parse field [n] of type [long] in document with "
    "id 'x'"
)
TOO_LARGE = "HTTP 413: more than http.max_content_length, or than a proxy on the way, lets in"
TOO_LONG = "action_request_validation_exception: Validation Failed: 1: id is too long"
BUSY = (429, REJECTED)
FORBIDDEN = {
    "type": "security_exception",
    "reason": "action [indices:data/write/bulk[s]] is unauthorized for API key id [Zq1] of user "
    "[elastic] on indices [logs], this action is granted by the index privileges [create_doc,all]",
}
FLOOD = {
    "type": "cluster_block_exception",
    "reason": "index [logs] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage "
    "watermark, index has read-only-allow-delete block];",
}
READ_ONLY = {
    "type": "cluster_block_exception",
    "reason": "index [logs] blocked by: [FORBIDDEN/5/index read-only (api)];",
}


@pytest.fixture
def node():
    with Node() as running:
        yield running


def doc(number, **change):
    made = Document("logs", f"d{number}", b'{"n":%d}' % number)
    return msgspec.structs.replace(made, **change)


def docs(count):
    return [doc(number) for number in range(count)]


def send(node, *batches, timeout_s=30, **options):
    """What became of each batch, sent by one Bulk."""

    async def story():
        async with connect(Options(hosts=(node.url,), timeout_s=timeout_s)) as client:
            bulk = Bulk(client, **options)
            return [await bulk.send(batch) for batch in batches]

    return asyncio.run(story())


def summary(sent):
    """All that was said, the trouble by its kind."""
    kind = sent.trouble and sent.trouble.kind
    return (sent.stored, sent.already, [one.reason for one in sent.refused], kind, sent.done)


def test_documents_are_stored_as_they_were_given(node):
    (sent,) = send(node, [doc(1), doc(2, id='quo"te\n', index="other")])
    assert sent == Sent(2, 0, [], None, 2)
    assert node.documents == {
        ("logs", "d1"): b'{"n":1}',
        ("other", 'quo"te\n'): b'{"n":2}',
    }


def test_nothing_to_send_asks_nobody(node):
    assert send(node, []) == [Sent(0, 0, [], None, 0)]
    assert node.requests == []


def test_what_stands_there_is_left_alone(node):
    first, second = send(node, [doc(1)], [doc(1, source=b"{}"), doc(2)])
    assert (summary(first), summary(second)) == ((1, 0, [], None, 1), (1, 1, [], None, 2))
    assert node.documents["logs", "d1"] == b'{"n":1}'


def test_only_a_higher_version_replaces(node):
    def version(number):
        return doc(1, op="index", version=number, source=b'{"v":%d}' % number)

    sent = send(node, [version(2)], [version(1), version(2)], [version(3)])
    assert [summary(one)[:2] for one in sent] == [(1, 0), (0, 2), (1, 0)]
    assert node.documents["logs", "d1"] == b'{"v":3}'


def test_what_can_never_be_stored_is_set_aside_by_name(node):
    bad, long = doc(2, source=BAD), doc(4, id="x" * 513)
    (sent,) = send(node, [doc(1), bad, doc(3), long, doc(5)])
    assert sent == Sent(3, 0, [Refused(bad, UNPARSABLE), Refused(long, TOO_LONG)], None, 5)
    assert node.writes == ["d1", "d3", "d5"]


ONE_FAILS = [
    pytest.param(429, REJECTED, "busy", id="its shard has no room in the queue"),
    pytest.param(503, {"type": "unavailable_shards_exception"}, "server", id="its shard is lost"),
    pytest.param(500, {"type": "npe", "reason": None}, "server", id="a bug of theirs"),
    pytest.param(403, FORBIDDEN, "permission", id="the key may not"),
    pytest.param(401, {"type": "security_exception"}, "login", id="the key ends meanwhile"),
    pytest.param(429, FLOOD, "read_only", id="flood stage"),
    pytest.param(403, READ_ONLY, "read_only", id="read-only"),
    pytest.param(404, {"type": "index_not_found_exception"}, "missing", id="no index"),
    pytest.param(400, {"type": "index_closed_exception"}, "request", id="a closed index"),
    pytest.param(400, {"type": "validation_exception"}, "request", id="no shard is free"),
    pytest.param(
        400,
        {"type": "illegal_argument_exception", "reason": "pipeline with id [x] does not exist"},
        "request",
        id="no pipeline",
    ),
]


@pytest.mark.parametrize(("status", "error", "kind"), ONE_FAILS)
def test_what_is_no_fault_of_the_document_sets_none_aside(node, status, error, kind):
    """Those behind it are sent again, and stand there once all the same."""
    node.turns.append(Items({2: (status, error)}))
    first, again = send(node, docs(5), docs(5)[2:])
    assert summary(first) == (2, 0, [], kind, 2)
    assert summary(again) == (1, 2, [], None, 3)
    assert node.writes == ["d0", "d1", "d3", "d4", "d2"]


@pytest.mark.parametrize(
    ("turn", "kind", "arrived"),
    [
        pytest.param(Whole(429, {"error": REJECTED}), "busy", [], id="overloaded"),
        pytest.param(Whole(502, "<html>Bad Gateway"), "server", [], id="a proxy without server"),
        pytest.param(Whole(401, {"error": {"type": "x"}}), "login", [], id="a wrong key"),
        pytest.param(Whole(200, "<html>Welcome"), "answer", [], id="somebody else"),
        pytest.param(Whole(200, {"items": [], "errors": False}), "answer", [], id="too few"),
        pytest.param(Whole(200, {"took": 1}), "answer", [], id="none answered for"),
    ],
)
def test_a_request_that_fails_is_sent_again(node, turn, kind, arrived):
    node.turns.append(turn)
    first, again = send(node, docs(3), docs(3))
    assert summary(first) == (0, 0, [], kind, 0)
    assert summary(again) == (3 - len(arrived), len(arrived), [], None, 3)
    assert node.writes == ["d0", "d1", "d2"]


def test_an_answer_that_breaks_off_is_asked_for_again_at_once(node):
    node.turns.append(Lost())
    assert summary(send(node, docs(3))[0]) == (0, 3, [], None, 3)
    assert node.writes == ["d0", "d1", "d2"]


def test_a_connection_that_keeps_breaking_is_trouble(node):
    node.turns.extend([Lost()] * 2)
    first, again = send(node, docs(3), docs(3))
    assert summary(first) == (0, 0, [], "broken", 0)
    assert summary(again) == (0, 3, [], None, 3)
    assert node.writes == ["d0", "d1", "d2"]


def test_an_answer_that_does_not_come_is_not_waited_for(node):
    node.turns.append(Silent())
    (first,) = send(node, docs(3), timeout_s=0.2)
    assert summary(first) == (0, 0, [], "timeout", 0)
    (again,) = send(node, docs(3))
    assert summary(again) == (0, 3, [], None, 3)


def test_requests_grow_while_all_goes_well(node):
    (sent,) = send(node, docs(9_000))
    assert summary(sent) == (9_000, 0, [], None, 9_000)
    assert node.counts == [500, 1_000, 2_000, 4_000, 1_500]


def test_requests_shrink_under_load_and_recover_with_care(node):
    everything = [doc(number) for number in range(1_000, 2_000)]
    node.turns.extend([Whole(429, {"error": REJECTED}), Items({0: BUSY}), Items({})])
    sent = send(node, everything, everything, everything)
    assert [summary(one)[3:] for one in sent] == [("busy", 0), ("busy", 0), (None, 1_000)]
    assert node.counts == [500, 250, 125, 140, 157, 176, 198, 204]


def test_one_small_batch_that_went_well_does_not_widen_the_next(node):
    send(node, *([doc(n)] for n in range(5)), docs(1_000))
    assert node.counts == [1, 1, 1, 1, 1, 500, 500]


def test_no_request_is_larger_than_the_node_takes(node):
    node.most_bytes = 20_000
    (sent,) = send(node, docs(1_000))
    assert summary(sent) == (1_000, 0, [], None, 1_000)
    assert node.writes == [one.id for one in docs(1_000)]
    refused, taken = node.counts[0], node.counts[1:]
    assert refused == 500
    assert sum(taken) == 1_000


def test_a_document_that_is_too_large_by_itself_is_set_aside(node):
    node.most_bytes = 2_000
    large = doc(1, source=b'"%b"' % (b"x" * 5_000))
    (sent,) = send(node, [doc(0), large, doc(2)])
    assert summary(sent) == (2, 0, [TOO_LARGE], None, 3)
    assert sent.refused[0].document == large
    assert node.writes == ["d0", "d2"]


def test_a_node_that_closes_on_what_is_too_large_is_asked_first(node):
    """It would close on that document for ever, and on nothing behind it."""
    node.most_bytes, node.hasty = 2_000, True
    large = doc(1, source=b'"%b"' % (b"x" * 500_000))
    (sent,) = send(node, [doc(0), large, doc(2)], compress=False)
    assert summary(sent) == (2, 0, [TOO_LARGE], None, 3)
    assert node.writes == ["d0", "d2"]


def test_requests_are_cut_by_bytes_and_by_number(node):
    send(node, docs(7), most_documents=3)
    assert node.counts == [3, 3, 1]
    node.forget()
    send(node, docs(4), most_bytes=len(doc(1).lines()) * 2)
    assert node.counts == [2, 2]


@pytest.mark.parametrize(
    ("compress", "encoding"), [(True, "gzip"), (False, None)], ids=["compressed", "as it is"]
)
def test_large_requests_are_compressed_if_wanted(node, compress, encoding):
    (sent,) = send(node, docs(400), compress=compress)
    assert summary(sent) == (400, 0, [], None, 400)
    assert [dict(headers).get("content-encoding") for _path, headers in node.requests] == [encoding]


def test_the_wait_doubles_until_something_gets_through(node):
    node.turns.extend([*[Whole(503)] * 8, Items({}), Whole(503)])
    sent = send(node, *([[doc(1)]] * 10))
    assert [one.trouble and one.trouble.retry_after_s for one in sent] == [
        1, 2, 4, 8, 16, 32, MOST_WAIT_S, MOST_WAIT_S, None, 1,
    ]  # fmt: skip


def test_the_node_says_how_long_to_wait(node):
    node.turns.extend([Whole(429, "", (("Retry-After", "120"),))] * 2)
    sent = send(node, [doc(1)], [doc(1)])
    assert [one.trouble and one.trouble.retry_after_s for one in sent] == [120, 120]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"source": b"{\n}"}, "document d1: a line break would end it: write it without"),
        ({"version": 3}, "document d1: what is created has no version: use index"),
    ],
)
def test_a_document_that_cannot_be_one_line_each_is_none(change, why):
    with pytest.raises(ValueError) as raised:
        Document(**{"index": "logs", "id": "d1", "source": b"{}"} | change)
    assert str(raised.value) == why


def test_a_bug_raises(node):
    with pytest.raises(AttributeError):
        send(node, [b"no document"])


FAILED = st.sampled_from([BUSY, (503, {"type": "x"}), (403, FORBIDDEN)])
TURNS = st.one_of(
    st.just(Items({})),
    st.sampled_from([401, 408, 429, 500, 502, 503, 504]).map(Whole),
    st.dictionaries(st.integers(0, 30), FAILED, min_size=1, max_size=5).map(Items),
    st.just(Lost()),
)
WANTED = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from(["good", "bad", "large"])), max_size=60
)


@pytest.fixture(scope="module")
def same_node():
    with Node() as running:
        yield running


@settings(max_examples=40)
@given(wanted=WANTED, turns=st.lists(TURNS, max_size=12), most=st.integers(1, 50))
def test_nothing_is_lost_or_doubled_whatever_happens(same_node, wanted, turns, most):
    """A caller that does as it is told gets every document there, once, or back."""
    node = same_node
    node.forget()
    node.most_bytes = 3_000
    node.turns.extend(turns)
    source = {"good": b"{}", "bad": BAD, "large": b'"%b"' % (b"x" * 4_000)}
    batch = [Document("logs", f"{kind}-{n}", source[kind]) for n, kind in wanted]

    async def story():
        refused, rounds, done = [], 0, 0
        async with connect(Options(hosts=(node.url,))) as client:
            bulk = Bulk(client, most_documents=most)
            while done < len(batch):
                sent = await bulk.send(batch[done:])
                assert sent.done == sent.stored + sent.already + len(sent.refused)
                assert (sent.trouble is None) == (sent.done == len(batch) - done)
                refused += [one.document for one in sent.refused]
                done += sent.done
                rounds += 1
                assert rounds <= len(turns) + 1
        return refused

    assert asyncio.run(story()) == [one for one in batch if one.source != b"{}"]
    assert sorted(node.writes) == sorted({one.id for one in batch if one.source == b"{}"})
