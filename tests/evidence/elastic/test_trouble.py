"""Every failure has words that say what to do, and none of them tells a secret."""

import ssl

import elastic_transport
import elasticsearch
import pytest
from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig

from evidence.elastic.trouble import CLIENT_MAJOR, ERRORS, Cause, Trouble, refused, said

SECRET = "c2VjcmV0LWtleQ=="
BLOCKED = "index [x] blocked by: "
WRONG_MAJOR = (
    f"the client of major {CLIENT_MAJOR} speaks to servers of {CLIENT_MAJOR} and "
    f"{CLIENT_MAJOR + 1}: install the one of the server's major (pip install 'elasticsearch==N.*')"
)
NO_PRODUCT = (
    "what answers is not Elasticsearch, or a proxy hides its X-Elastic-Product header: "
    "is elasticsearch.hosts right?"
)
NOT_HTTP = (
    "the connection ended before the answer: Elasticsearch or a proxy closed it; if always, is it "
    "https where elasticsearch.hosts says http?"
)
NO_TLS = (
    "TLS failed: is it http where elasticsearch.hosts says https, or does it want another "
    "elasticsearch.client_certificate_file?"
)
NO_ANSWER = (
    "no answer within elasticsearch.timeout: the server is overloaded, or the time too short"
)
ROLES = "the key may not do this: give it the privileges that Breachline's roles list"
LARGE = "more than http.max_content_length, or than a proxy on the way, lets in"
LOG = "the log of Elasticsearch, or of a proxy, says why"
SET_SO = "Elasticsearch is set up so: change it there"
SETUP = "run `breachline es setup`; is the path in elasticsearch.hosts right?"


def error(type_, reason=""):
    return Cause(type_, reason)


def once(kind, words):
    return Trouble(kind, words, retry=False)


def again(kind, words, wait_s=1.0):
    return Trouble(kind, words, retry=True, retry_after_s=wait_s)


REFUSED = [
    ("a wrong key", 401, error("security_exception", f"bad key {SECRET}"),
     once("login", "Elasticsearch does not accept the key: renew the one in "
                   "elasticsearch.api_key_file")),
    ("no privilege, told", 403,
     error("security_exception", "action [indices:data/write/bulk[s]] is unauthorized for API key "
           "id [Zq1] of user [elastic] on indices [logs-a,logs-b], this action is granted by the "
           "index privileges [create_doc,create,index,write,all]"),
     once("permission", "the key may not do this on [logs-a,logs-b]: give it one of the "
          "index privileges [create_doc,create,index,write,all]")),
    ("no cluster privilege", 403,
     error("security_exception", "action [cluster:monitor/main] is unauthorized for user [a], this "
           "action is granted by the cluster privileges [monitor,manage,all]"),
     once("permission", "the key may not do this: give it one of the cluster privileges "
          "[monitor,manage,all]")),
    ("no privilege, not told", 403, Cause(), once("permission", ROLES)),
    ("no index", 404, error("index_not_found_exception", "no such index [x]"),
     once("missing", f"index_not_found_exception: no such index [x]: {SETUP}")),
    ("another path", 404, Cause(), once("missing", f"HTTP 404: {SETUP}")),
    ("a proxy is impatient", 408, Cause(),
     again("timeout", "HTTP 408: a proxy on the way waited too long for the request")),
    ("another was first", 409, error("version_conflict_engine_exception", "[x]: document exists"),
     once("conflict", "version_conflict_engine_exception: [x]: document exists")),
    ("too large", 413, Cause(), once("too_large", f"HTTP 413: {LARGE}")),
    ("overloaded", 429, error("es_rejected_execution_exception", "rejected"),
     again("busy", "es_rejected_execution_exception: rejected: Elasticsearch has more to do than "
           "it can take")),
    ("memory is short", 429, error("circuit_breaking_exception", "Data too large"),
     again("busy", "circuit_breaking_exception: Data too large: Elasticsearch has more to do than "
           "it can take")),
    ("flood stage", 429,
     error("cluster_block_exception", f"{BLOCKED}[TOO_MANY_REQUESTS/12/disk usage exceeded "
           "flood-stage watermark, index has read-only-allow-delete block];"),
     again("read_only", f"cluster_block_exception: {BLOCKED}[TOO_MANY_REQUESTS/12/disk usage "
           "exceeded flood-stage watermark, index has read-only-allow-delete block]: free disk "
           "space or add a node; Elasticsearch then lifts the block by itself", 10.0)),
    ("a person's block", 403,
     error("cluster_block_exception", f"{BLOCKED}[FORBIDDEN/8/index write (api)];"),
     again("read_only", f"cluster_block_exception: {BLOCKED}[FORBIDDEN/8/index write (api)]: a "
           "person set this block: lift it (index.blocks.*), and indexing goes on", 10.0)),
    ("no master yet", 503,
     error("cluster_block_exception", "blocked by: [SERVICE_UNAVAILABLE/2/no master];"),
     again("server", "cluster_block_exception: blocked by: [SERVICE_UNAVAILABLE/2/no master]: "
           f"{LOG}")),
    ("a bug of theirs", 500, error("null_pointer_exception", None),
     again("server", f"null_pointer_exception: {LOG}")),
    ("a proxy without a server", 502, Cause(), again("server", f"HTTP 502: {LOG}")),
    ("another major", 400,
     error("media_type_header_exception", "Accept version must be either version 8 or 7"),
     once("version", f"media_type_header_exception: {WRONG_MAJOR}")),
    ("a value that does not fit", 400,
     error("document_parsing_exception", "[1:9] failed to parse field [n] of type [long] in "
           f"document with id 'a'. Preview of field's value: '{SECRET}'"),
     once("document", "document_parsing_exception: [1:9] failed to parse field [n] of type [long] "
          "in document with id 'a'")),
    ("no JSON", 400,
     error("x_content_parse_exception", f'[1:5] Unexpected end\n at [Source: (byte[])"{SECRET}"]'),
     once("document", "x_content_parse_exception: [1:5] Unexpected end")),
    ("a word too long", 400,
     error("illegal_argument_exception", 'Document contains at least one immense term in '
           f'field="message". The prefix of the first immense term is: \'{SECRET}\''),
     once("document", "illegal_argument_exception: Document contains at least one immense term in "
          'field="message"')),
    ("too many fields", 400,
     error("illegal_argument_exception", "Limit of total fields [1000] has been exceeded"),
     once("document", "illegal_argument_exception: Limit of total fields [1000] has been "
          "exceeded")),
    ("a stream wants create", 400,
     error("illegal_argument_exception", "only write ops with an op_type of create are allowed "
           "in data streams"),
     once("request", "illegal_argument_exception: only write ops with an op_type of create are "
          f"allowed in data streams: {SET_SO}")),
    ("no pipeline", 400,
     error("illegal_argument_exception", "pipeline with id [x] does not exist"),
     once("request", "illegal_argument_exception: pipeline with id [x] does not exist: "
          f"{SET_SO}")),
    ("closed", 400, error("index_closed_exception", "closed"),
     once("request", f"index_closed_exception: closed: {SET_SO}")),
    ("no more shards", 400, error("validation_exception", "would add [2] shards"),
     once("request", f"validation_exception: would add [2] shards: {SET_SO}")),
    ("not Elasticsearch that spoke", 400, Cause(),
     once("request", "HTTP 400: is elasticsearch.hosts right?")),
    ("led elsewhere", 302, Cause(), once("request", "HTTP 302: is elasticsearch.hosts right?")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "cause", "expected"), [pytest.param(*case, id=name) for name, *case in REFUSED]
)
def test_what_a_status_means(status, cause, expected):
    assert refused(status, cause) == expected
    assert SECRET not in expected.words


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        pytest.param("7", 7.0, id="longer than ours"),
        pytest.param("0", 1.0, id="shorter than ours"),
        pytest.param("9" * 40, 3600.0, id="for ever"),
        pytest.param("Sun, 22 Nov 2026 10:00:00 GMT", 1.0, id="a date: no clock here to hold"),
        pytest.param("٣", 1.0, id="digits of another script"),
        pytest.param("-5", 1.0, id="negative"),
    ],
)
def test_the_wait_that_the_server_asks_for(header, wait_s):
    assert refused(429, Cause(), header).retry_after_s == wait_s


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ({"error": {"type": "a", "reason": "b", "root_cause": []}, "status": 400}, Cause("a", "b")),
        ({"error": {"type": "a", "reason": None}}, Cause("a", "")),
        ({"error": "no handler found for uri [/x]"}, Cause()),
        ("<html>", Cause()),
        (None, Cause()),
        ([], Cause()),
    ],
)
def test_what_stands_in_a_body(body, cause):
    assert Cause.of(body) == cause


def test_a_reason_is_one_line_of_bounded_length():
    words = Cause("a", "line\nline \t" + "x" * 1_000).words
    assert words == "a: line line " + "x" * 290


def meta(status, **headers):
    return ApiResponseMeta(
        status, "1.1", HttpHeaders(headers), 0.1, NodeConfig("http", "192.0.2.1", 9200)
    )


class Connector(Exception):
    """What aiohttp raises before a connection stands names where it wanted to go."""

    host, port = "192.0.2.1", 9200


def behind(raised, cause):
    """As the client raises `from None`: only Python keeps what stood behind."""
    raised.__context__, raised.__suppress_context__ = cause, True
    return raised


def verification(message):
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = message
    return error


UNTRUSTED = "the certificate of Elasticsearch is not trusted"
SAID = [
    (elasticsearch.BadRequestError("x", meta(400), {"error": {"type": "parsing_exception"}}),
     once("document", "parsing_exception")),
    (elasticsearch.AuthenticationException("x", meta(401), {"error": SECRET}), REFUSED[0][3]),
    (elasticsearch.AuthorizationException("x", meta(403), "<html>"), once("permission", ROLES)),
    (elasticsearch.NotFoundError("x", meta(404), None), once("missing", f"HTTP 404: {SETUP}")),
    (elasticsearch.ConflictError("x", meta(409), None), once("conflict", "HTTP 409")),
    (elasticsearch.ApiError("x", meta(503, **{"Retry-After": "30"}), None),
     again("server", f"HTTP 503: {LOG}", 30.0)),
    (elastic_transport.ApiError("x", meta(504), None), again("server", f"HTTP 504: {LOG}")),
    (elasticsearch.UnsupportedProductError("x", meta(200), {}), once("product", NO_PRODUCT)),
    (elastic_transport.ConnectionTimeout(SECRET), again("timeout", NO_ANSWER)),
    (elastic_transport.ConnectionError(SECRET), again("broken", NOT_HTTP)),
    (behind(elastic_transport.ConnectionError("x"), Connector()),
     again("unreachable", "nobody answers at 192.0.2.1:9200: does Elasticsearch run, and is "
           "elasticsearch.hosts right?")),
    (elastic_transport.TlsError(SECRET), once("tls", NO_TLS)),
    (behind(elastic_transport.TlsError("x"), verification("self-signed certificate")),
     once("tls", f"{UNTRUSTED} (self-signed certificate): set elasticsearch.ca_file to its "
          "authority")),
    (behind(elastic_transport.TlsError("x"), verification("certificate has expired")),
     once("tls", f"{UNTRUSTED} (certificate has expired): renew it")),
    (behind(elastic_transport.TlsError("x"), verification("IP address mismatch, not '192.0.2.1'")),
     once("tls", f"{UNTRUSTED} (IP address mismatch, not '192.0.2.1'): write a host in "
          "elasticsearch.hosts that it was made for")),
    (elastic_transport.SerializationError(SECRET),
     again("answer", "the answer is none of Elasticsearch's: is a proxy in between?", 10.0)),
    (elastic_transport.SniffingError("x"), again("answer", "Elasticsearch told no nodes", 10.0)),
    (elastic_transport.TransportError(SECRET), again("broken", "the request failed on the way")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "expected"), [pytest.param(*case, id=type(case[0]).__name__) for case in SAID]
)
def test_what_an_error_means(error, expected):
    found = said(error)
    assert found == expected
    assert SECRET not in found.words


def below(cls):
    """Every class below one, at any depth."""
    for each in cls.__subclasses__():
        yield each
        yield from below(each)


def classes():
    """Every exception of the two libraries, but for what Breachline does not use."""
    apart = ("elasticsearch.helpers", "elasticsearch.dsl")
    return {
        each
        for each in below(Exception)
        if each.__module__.startswith(("elastic_transport", "elasticsearch"))
        and not each.__module__.startswith(apart)
        and not issubclass(each, Warning)
    }


def test_every_exception_of_the_libraries_is_told():
    assert classes() == {type(error) for error, _expected in SAID}
    assert all(issubclass(each, ERRORS) for each in classes())


def test_a_bug_is_nobody_elses_trouble():
    with pytest.raises(TypeError, match="explaining KeyError: no error of the client"):
        said(KeyError("x"))
