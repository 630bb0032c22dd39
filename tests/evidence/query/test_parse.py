import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from evidence.query.fields import DOCUMENTS, EVENTS
from evidence.query.parse import parse
from evidence.query.tree import (
    EVERYTHING,
    NOTHING,
    And,
    Between,
    Exists,
    Is,
    Like,
    Network,
    Not,
    Or,
    Within,
    Words,
)
from evidence.query.values import address, address_number
from tests._events import NOON_MS
from tests.evidence.query._random import DOCUMENT_QUERIES, EVENT_QUERIES

USER, IP, TIME = EVENTS["user.id"], EVENTS["source.ip"], EVENTS["@timestamp"]
STATUS, LATE = EVENTS["http.response.status_code"], EVENTS["breachline.late"]
MESSAGE, SCORE = DOCUMENTS["message"], DOCUMENTS["breachline.confidence"]
EXPLAIN = DOCUMENTS["breachline.explain"]
DAY_MS = 86_400_000
MIDNIGHT_MS = NOON_MS - DAY_MS // 2


def number(text):
    return address_number(address(text))


EVENT_TREES = [
    ("nothing typed", "  ", EVERYTHING),
    ("all", "*", EVERYTHING),
    ("a value", "user.id:u-17", Is(USER, "u-17")),
    ("a phrase", 'user.id:"a b*"', Is(USER, "a b*")),
    ("escapes", r"user.id:a\ b\*\"", Is(USER, 'a b*"')),
    ("a pattern", r"user.id:u-?\*b*", Like(USER, r"u-?\*b*")),
    ("a field that is there", "user.id:*", Exists(USER)),
    ("the same, as Lucene had it", "_exists_:user.id", Exists(USER)),
    ("AND before OR", "user.id:a OR user.id:b AND user.id:c",
     Or((Is(USER, "a"), And((Is(USER, "b"), Is(USER, "c")))))),
    ("brackets", "(user.id:a OR user.id:b) AND NOT user.id:c",
     And((Or((Is(USER, "a"), Is(USER, "b"))), Not(Is(USER, "c"))))),
    ("a group of one field", "user.id:(a OR NOT b)", Or((Is(USER, "a"), Not(Is(USER, "b"))))),
    ("a minus", "-user.id:a", Not(Is(USER, "a"))),
    ("an address", "source.ip:192.0.2.1", Is(IP, "192.0.2.1")),
    ("another spelling of one", "source.ip:::ffff:192.0.2.1", Is(IP, "192.0.2.1")),
    ("an address of IPv6", "source.ip:2001:DB8:0::1", Is(IP, "2001:db8::1")),
    ("a network", "source.ip:192.0.2.7/24", Network(IP, "192.0.2.0/24")),
    ("addresses from to", "source.ip:[192.0.2.1 TO 192.0.2.9}",
     Between(IP, number("192.0.2.1"), number("192.0.2.8"))),
    ("addresses between neighbours", "source.ip:{192.0.2.1 TO 192.0.2.2}", NOTHING),
    ("below the first address", "source.ip:<::", NOTHING),
    ("a number", "http.response.status_code:404", Is(STATUS, 404)),
    ("numbers", "http.response.status_code:[400 TO 499]", Between(STATUS, 400, 500)),
    ("numbers above", "http.response.status_code:>400", Between(STATUS, 401, None)),
    ("numbers below", "http.response.status_code:<400", Between(STATUS, None, 400)),
    ("any number", "http.response.status_code:[* TO *]", Exists(STATUS)),
    ("a negative one", "http.response.body.bytes:>=-5",
     Between(EVENTS["http.response.body.bytes"], -5, None)),
    ("texts from to", "user.id:{a TO b]", Within(USER, "a", "b", False, True)),
    ("true", "breachline.late:true", Is(LATE, True)),
    ("a day", "@timestamp:2026-11-22", Between(TIME, MIDNIGHT_MS, MIDNIGHT_MS + DAY_MS)),
    ("after a day", "@timestamp:>2026-11-22", Between(TIME, MIDNIGHT_MS + DAY_MS, None)),
    ("to the end of a day", "@timestamp:<=2026-11-22", Between(TIME, None, MIDNIGHT_MS + DAY_MS)),
    ("before a day", "@timestamp:<2026-11-22", Between(TIME, None, MIDNIGHT_MS)),
    ("the last hour", "@timestamp:[now-1h TO now]",
     Between(TIME, NOON_MS - 3_600_000, NOON_MS + 1)),
    ("a time with a zone", "@timestamp:>=2026-11-22T14:00:00+02:00", Between(TIME, NOON_MS, None)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "tree"), EVENT_TREES, ids=[c[0] for c in EVENT_TREES])
def test_queries_on_events(name, text, tree):
    assert parse(text, EVENTS, NOON_MS) == tree


DOCUMENT_TREES = [
    ("words", 'message:"U-17 read"', Words(MESSAGE, "U-17 read")),
    ("a word", "message:read", Words(MESSAGE, "read")),
    ("the beginning of a word", "message:Rea*", Like(MESSAGE, "rea*")),
    ("a decimal", "breachline.confidence:>=0.9", Within(SCORE, 0.9, None, True, True)),
    ("a key of an object", "breachline.explain.limit:5",
     Is(replace(EXPLAIN, name="breachline.explain.limit", anywhere=False,
                root="breachline.explain"), "5")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "tree"), DOCUMENT_TREES, ids=[c[0] for c in DOCUMENT_TREES]
)
def test_queries_on_documents(name, text, tree):
    assert parse(text, DOCUMENTS, NOON_MS) == tree


def test_a_word_without_a_field_is_looked_for_where_it_may_stand():
    texts = [f for f in EVENTS.values() if f.anywhere and f.kind != "ip"]
    assert parse("u-17", EVENTS, NOON_MS) == Or(tuple(Is(field, "u-17") for field in texts))
    address = parse("192.0.2.1", EVENTS, NOON_MS)
    assert isinstance(address, Or)
    assert Is(IP, "192.0.2.1") in address.parts
    phrase = parse('"a b"', DOCUMENTS, NOON_MS)
    assert isinstance(phrase, Or)
    assert Words(MESSAGE, "a b") in phrase.parts


WRONG = [
    ("a field that is misspelt", "usr.id:a",
     "at character 1: there is no field 'usr.id': did you mean 'user.id'?"),
    ("its short name", "NOT status:404",
     "at character 5: there is no field 'status': did you mean 'http.response.status_code'?"),
    ("one that is nothing", "zzz:1", "at character 1: there is no field 'zzz': there are fields"),
    ("a field that exists", "_exists_:usr.id", "at character 10: there is no field 'usr.id'"),
    ("an exclamation mark", "!user.id:a", "at character 1: there is no field '!user.id': write"),
    ("no word between", "user.id:a user.id:b", "at character 11: write AND or OR before this"),
    ("a value of two words", "user.id:a b", "at character 11: write AND or OR before this"),
    ("small letters", "user.id:a and user.id:b", "at character 11: write AND in capitals"),
    ("signs of programs", "user.id:a || user.id:b", "at character 11: write OR for ||"),
    ("a plus", "+user.id:a", "at character 1: write AND instead of +"),
    ("a tilde", "user.id:a~2", "at character 9: ~ has no meaning here"),
    ("a phrase with one", 'user.id:"a b"~2', "at character 9: ~ has no meaning here"),
    ("a boost", "user.id:a^2", "at character 9: ^ has no meaning here"),
    ("nothing behind a field", "user.id:", "it ends too early"),
    ("nothing behind AND", "user.id:a AND", "it ends too early"),
    ("AND at the start", "AND user.id:a", "at character 1: 'AND user.id:' is not expected here"),
    ("a range without its end", "@timestamp:[now TO]", "at character 19: ']' is not expected here"),
    ("a range without a field", ">5", "at character 1: a range needs a field before it"),
    ("a field in a group", "user.id:(a OR source.ip:b)",
     "at character 15: a field inside ( ) of user.id: close it first"),
    ("no address", "source.ip:300.1.1.1", "at character 11: source.ip: '300.1.1.1' is no address"),
    ("no network", "source.ip:192.0.2.0/33", "at character 11: source.ip: '192.0.2.0/33' is no"),
    ("a pattern of an address", "source.ip:192.0.*",
     "at character 11: source.ip: no * or ? in an address: write a network such as 192.0.2.0/24"),
    ("a pattern of a number", "http.response.status_code:4??",
     "at character 27: http.response.status_code: no * or ? in a number: write a range such as"),
    ("no number", "http.response.status_code:4xx",
     "at character 27: http.response.status_code: '4xx' is no whole number: write 404, or a range"),
    ("no time", "@timestamp:yesterday", "at character 12: @timestamp: 'yesterday' is no time"),
    ("neither true nor false", "breachline.late:yes", "at character 17: breachline.late: write"),
    ("a range of true", "breachline.late:>false", "at character 17: breachline.late: no ranges of"),
    ("an empty value", 'user.id:""',
     "at character 9: user.id: an empty value: write NOT user.id:* for what has none"),
    ("an empty end", 'user.id:["" TO a]', "at character 9: user.id: an empty end of a range"),
    ("no text", "user.id:\ud800", "it is no UTF-8 text"),
    ("very long", "a" * 5000, "the query has 5,000 characters"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "says"), WRONG, ids=[c[0] for c in WRONG])
def test_what_is_wrong_is_said_with_its_place(name, text, says):
    with pytest.raises(ValueError) as caught:
        parse(text, EVENTS, NOON_MS)
    assert str(caught.value).startswith(f"reading the query: {says}")


def test_words_need_a_word():
    with pytest.raises(ValueError, match=r"character 9: message: '-' has no word in it$"):
        parse('message:"-"', DOCUMENTS, NOON_MS)


@given(EVENT_QUERIES)
def test_every_query_of_people_is_read(query):
    parse(query, EVENTS, NOON_MS)


@given(DOCUMENT_QUERIES)
def test_so_is_every_query_on_documents(query):
    parse(query, DOCUMENTS, NOON_MS)


ODD = st.text(st.sampled_from('user.id:source.ip@timestamp AND OR NOT TO"()[]{}<>=*?\\/-+~^!1|&\n'))


@given(ODD | st.text(max_size=40))
def test_whatever_is_typed_is_a_tree_or_a_message(text):
    said = "reading the query: "
    try:
        parse(text, EVENTS, NOON_MS)
    except ValueError as error:
        said = str(error)
    assert said.startswith("reading the query: ")


def test_deep_queries_are_refused_not_crashed_on():
    with pytest.raises(ValueError, match="reading the query: "):
        parse("NOT " * 990 + "user.id:a", EVENTS, NOON_MS)
