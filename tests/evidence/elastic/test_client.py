"""Who comes in, how, and what a person is told of the server at the other end."""

import asyncio
import base64
import datetime as dt
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from evidence.elastic.client import ERRORS, Options, Reach, connect, reach, read_api_key, said
from evidence.elastic.trouble import CLIENT_MAJOR, OTHER_MAJOR
from tests.evidence.elastic._node import Node, Whole

KEY = "VnVhQ2ZHY0JDZGJrUW0tZTVhT3g6dWkybHAyYXhUTm1zeWFrdzl0dk5udw=="


@pytest.fixture
def node():
    with Node() as running:
        yield running


def ask(options, story):
    async def told():
        async with connect(options) as client:
            return await story(client)

    return asyncio.run(told())


def trouble_at(options):
    """What is said when `options` lead nowhere."""
    with pytest.raises(ERRORS) as raised:
        ask(options, reach)
    return said(raised.value)


def version(number, **more):
    return Whole(200, {"version": {"number": number, **more}})


NODES = Whole(200, {"nodes": {"x": {"version": f"{CLIENT_MAJOR}.1.2"}}})
NOT_THERE = Whole(405, {"error": "Incorrect HTTP method for uri [/]", "status": 405})
OURS, NEXT, OLD, NEW = (f"{CLIENT_MAJOR + step}.1.2" for step in (0, 1, -1, 2))
REACHED = [
    ("our major", [version(OURS)], Reach(OURS, f"Elasticsearch {OURS}")),
    ("the next", [version(NEXT)], Reach(NEXT, f"Elasticsearch {NEXT}")),
    ("the one before", [version(OLD)],
     Reach(OLD, f"Elasticsearch {OLD}: {OTHER_MAJOR}", warning=True)),
    ("two ahead", [version(NEW)],
     Reach(NEW, f"Elasticsearch {NEW}: {OTHER_MAJOR}", warning=True)),
    ("serverless, which says 8", [version("8.11.0", build_flavor="serverless")],
     Reach("8.11.0", "Elasticsearch Serverless")),
    ("a node of the tests", [NOT_THERE, NODES], Reach(OURS, f"Elasticsearch {OURS}")),
    ("no right to see it", [Whole(403, {"error": {"type": "security_exception"}})],
     Reach("", "Elasticsearch answers; give the key the privilege monitor to see its version",
           warning=True)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("turns", "expected"), [pytest.param(*case, id=name) for name, *case in REACHED]
)
def test_who_is_there(node, turns, expected):
    node.turns.extend(turns)
    assert ask(Options(hosts=(node.url,)), reach) == expected


@pytest.mark.parametrize(
    ("turns", "product", "kind"),
    [
        ([Whole(401, {"error": {"type": "security_exception"}})], "Elasticsearch", "login"),
        ([Whole(503, "<html>")], "Elasticsearch", "server"),
        ([NOT_THERE, Whole(404, "<html>")], "Elasticsearch", "missing"),
        ([version("2.19.0", distribution="opensearch")], "", "product"),
    ],
)
def test_who_is_not(node, turns, product, kind):
    node.turns.extend(turns)
    node.product = product
    assert trouble_at(Options(hosts=(node.url,))).kind == kind


def test_a_request_is_made_once_and_with_the_key(node):
    node.turns.extend([Whole(503, {}), version(OURS)])
    trouble_at(Options(hosts=(node.url,), api_key=KEY))
    ((path, headers),) = node.requests
    assert (path, headers["authorization"]) == ("/", f"ApiKey {KEY}")
    assert headers["accept-encoding"] == "gzip"


def test_the_status_of_an_answer_that_is_no_json_is_not_lost(node):
    node.turns.append(Whole(502, "{ broken", (("Content-Type", "application/json"),)))
    trouble = trouble_at(Options(hosts=(node.url,)))
    assert (trouble.kind, trouble.words.partition(":")[0]) == ("server", "HTTP 502")


def test_nobody_listens():
    with Node() as gone:
        url = gone.url
    trouble = trouble_at(Options(hosts=(url,)))
    do = "does Elasticsearch run, and is elasticsearch.hosts right?"
    assert trouble.kind == "unreachable"
    assert trouble.words == f"nobody answers at {url.removeprefix('http://')}: {do}"


def test_the_next_request_asks_another_node(node):
    with Node() as gone:
        hosts = (gone.url, node.url)
    node.turns.extend([version(OURS)] * 2)

    async def until_one_answers(client):
        for _ in hosts:
            try:
                return await reach(client)
            except ERRORS:
                continue
        return None

    assert ask(Options(hosts=hosts), until_one_answers) == REACHED[0][2]


def test_neither_options_nor_client_show_the_key(node):
    options = Options(hosts=(node.url,), api_key=KEY)
    assert repr(options) == f"Options(hosts=('{node.url}',))"

    async def shown(client):
        return repr(client)

    assert KEY not in ask(options, shown)


# API keys


@pytest.mark.parametrize(
    ("content", "key"),
    [
        pytest.param(KEY.encode() + b"\n", KEY, id="encoded"),
        pytest.param(base64.b64decode(KEY), KEY, id="id and key"),
    ],
)
def test_the_key_of_a_file(tmp_path, content, key):
    file = tmp_path / "key"
    file.write_bytes(content)
    assert read_api_key(file) == key


EMPTY = "it is empty: put the `encoded` value of an API key there"
NOT_ONE = "it must hold the `encoded` value of one API key and no more"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(None, "No such file or directory", id="no file"),
        pytest.param(
            b" \n", "it is empty: put the `encoded` value of an API key there", id="empty"
        ),
        pytest.param(b'{"encoded":"secret"}', NOT_ONE, id="the whole answer"),
        pytest.param(b"secret\nsecret", NOT_ONE, id="two lines"),
        pytest.param(b"secret\xff", NOT_ONE, id="not text"),
        pytest.param(b"secret" * 1_000, NOT_ONE, id="far too long"),
    ],
)
def test_a_file_that_holds_no_key(tmp_path, content, why):
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError) as raised:
        read_api_key(file)
    assert str(raised.value) == f"reading elasticsearch.api_key_file {file}: {why}"


# TLS


def certificate(folder, name, address="127.0.0.1", days=1):
    """A certificate that vouches for itself, and its key: two files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)  # noqa: TID251 -- what certificates are held against
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=30))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / f"{name}.crt", folder / f"{name}.key"
    pem, no_password = serialization.Encoding.PEM, serialization.NoEncryption()
    files[0].write_bytes(made.public_bytes(pem))
    pkcs8 = serialization.PrivateFormat.PKCS8
    files[1].write_bytes(key.private_bytes(pem, pkcs8, no_password))
    return files


def secure(files, clients=None):
    """A node behind TLS; with `clients`, only for who shows a certificate of theirs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    node = Node(tls=context)
    node.turns.append(version(OURS))
    return node


def test_a_certificate_of_a_private_authority(tmp_path):
    files = certificate(tmp_path, "node")
    with secure(files) as node:
        options = Options(hosts=(node.url,), ca_file=files[0], api_key=KEY)
        assert ask(options, reach) == REACHED[0][2]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        pytest.param({}, "(self-signed certificate): set elasticsearch.ca_file to its authority",
                     id="unknown"),
        pytest.param({"days": -1}, "(certificate has expired): renew it", id="expired"),
        pytest.param(
            {"address": "192.0.2.1"},
            "(IP address mismatch, certificate is not valid for '127.0.0.1'): write a host in "
            "elasticsearch.hosts that it was made for",
            id="for another host",
        ),
    ],
)  # fmt: skip
def test_a_certificate_that_is_not_trusted(tmp_path, made, words):
    files = certificate(tmp_path, "node", **made)
    with secure(files) as node:
        trouble = trouble_at(
            Options(hosts=(node.url,), ca_file=files[0] if made else None, api_key=KEY)
        )
        assert node.requests == []
    assert (trouble.kind, trouble.words) == (
        "tls",
        f"the certificate of Elasticsearch is not trusted {words}",
    )


@pytest.mark.parametrize("apart", [True, False], ids=["a file each", "one file"])
def test_a_client_with_a_certificate(tmp_path, apart):
    files, own = certificate(tmp_path, "node"), certificate(tmp_path, "own")
    if not apart:
        own[0].write_bytes(own[0].read_bytes() + own[1].read_bytes())
    with secure(files, clients=own[0]) as node:
        options = Options(
            hosts=(node.url,),
            ca_file=files[0],
            client_certificate_file=own[0],
            client_key_file=own[1] if apart else None,
        )
        assert ask(options, reach) == REACHED[0][2]


def test_a_client_without_the_certificate_it_needs(tmp_path):
    files, others = certificate(tmp_path, "node"), certificate(tmp_path, "others")
    with secure(files, clients=others[0]) as node:
        trouble = trouble_at(Options(hosts=(node.url,), ca_file=files[0]))
        assert node.requests == []
    assert trouble.kind in {"tls", "broken"}


def test_https_where_http_is_spoken(node):
    trouble = trouble_at(Options(hosts=(node.url.replace("http:", "https:"),)))
    assert trouble.kind == "tls"
    assert "is it http where elasticsearch.hosts says https" in trouble.words


def test_http_where_https_is_spoken(tmp_path):
    with secure(certificate(tmp_path, "node")) as node:
        trouble = trouble_at(Options(hosts=(node.url.replace("https:", "http:"),)))
        assert node.requests == []
    assert trouble.kind == "broken"
    assert "is it https where elasticsearch.hosts says http" in trouble.words


NO_KEY = (
    "no certificate in PEM with its key, unencrypted, there or in elasticsearch.client_key_file"
)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("ca_file", None, "No such file or directory"),
        ("ca_file", "not PEM", "no certificate in PEM"),
        ("client_certificate_file", None, "No such file or directory"),
        ("client_certificate_file", "not PEM", NO_KEY),
    ],
)
def test_a_file_that_holds_no_certificate(tmp_path, name, content, why):
    file = tmp_path / "file.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ValueError) as raised:
        connect(Options(hosts=("https://192.0.2.1",), **{name: file}))
    assert str(raised.value) == f"reading elasticsearch.{name} {file}: {why}"


def test_an_encrypted_key_asks_nobody_for_its_password(tmp_path):
    certificate_file, key_file = certificate(tmp_path, "own")
    key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    options = Options(
        hosts=("https://192.0.2.1",),
        client_certificate_file=certificate_file,
        client_key_file=key_file,
    )
    with pytest.raises(ValueError) as raised:
        connect(options)
    what = f"reading elasticsearch.client_certificate_file {certificate_file}"
    assert str(raised.value) == f"{what}: {NO_KEY}"
