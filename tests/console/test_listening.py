import pytest

from console.listening import listening_results
from streams.listen.settings import ListenSettings
from tests.streams.listen._certificates import Authority


def results(environ=None, **listen):
    settings = ListenSettings.model_validate(listen)
    return [(r.what, r.state, r.says) for r in listening_results(settings, environ or {})]


@pytest.mark.parametrize(
    ("listen", "environ", "expected"),
    [
        ({}, {}, []),
        ({"http": {}}, {}, [("listen", "note", "HTTP on 127.0.0.1:8088, without a token")]),
        ({"http": {"address": "0.0.0.0:8088", "token_env": "T"}}, {"T": "x"},
         [("listen", "ok", "HTTP on 0.0.0.0:8088, with a token")]),
        ({"http": {"token_env": "T"}}, {},
         [("listen", "wrong", "listen.http: the token is missing or empty")]),
        ({"syslog": [{"address": "0.0.0.0:514"}]}, {},
         [("listen", "note", "syslog over UDP on 0.0.0.0:514")]),
    ],
)  # fmt: skip
def test_what_listeners_need(listen, environ, expected):
    assert results(environ, **listen) == expected


def test_certificates_are_looked_at(tmp_path):
    authority = Authority(tmp_path)
    certified = authority.certify("intake")
    files = {"certificate_file": certified.certificate, "key_file": certified.key}
    tls = {"address": "127.0.0.1:6514", "protocol": "tls", **files}
    assert results(http=files, syslog=[tls, {**tls, "ca_file": authority.file}]) == [
        ("listen", "note", "HTTPS on 127.0.0.1:8088, without a token"),
        ("listen", "note", "syslog over TLS on 127.0.0.1:6514"),
        ("listen", "ok", "syslog over TLS on 127.0.0.1:6514, with certificates of senders"),
    ]
    certified.key.write_text("no key")
    ((_, state, says),) = results(http=files)
    assert (state, "intake.key" in says) == ("wrong", True)


@pytest.mark.parametrize(("found", "state"), [("/usr/bin/journalctl", "ok"), (None, "wrong")])
def test_the_journal_needs_its_program(monkeypatch, found, state):
    monkeypatch.setattr("shutil.which", lambda _name: found)
    ((_, was, _),) = results(journald={"units": ["caddy.service"]})
    assert was == state
