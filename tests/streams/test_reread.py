from ipaddress import ip_network

from intake.tokens import Verifier
from streams.reread import KeysFile, NeverBlockFile
from tests.intake._tokens import jwk, jwks, signed

LIST = "respond: {never_block: [{cidr: %s, reason: office}]}\n"


def cidrs(entries):
    return entries if entries is None else [ip_network(entry.cidr) for entry in entries]


def test_the_list_is_given_once_after_each_change(tmp_path):
    file = tmp_path / "breachline.yaml"
    file.write_text(LIST % "192.0.2.0/24")
    read = NeverBlockFile(file, {})
    assert read() is None
    file.write_text(LIST % "198.51.100.0/25")
    assert cidrs(read()) == [ip_network("198.51.100.0/25")]
    assert read() is None


def test_a_file_that_is_wrong_or_gone_keeps_the_list(tmp_path, caplog):
    file = tmp_path / "breachline.yaml"
    file.write_text(LIST % "192.0.2.0/24")
    read = NeverBlockFile(file, {})
    file.write_text("respond: {never_blok: []}\n")
    assert read() is None
    assert "stays as it was" in caplog.text
    file.unlink()
    assert read() is None
    file.write_text(LIST % "203.0.113.0/24")
    assert cidrs(read()) == [ip_network("203.0.113.0/24")]


def test_without_a_file_there_is_nothing_to_read():
    assert NeverBlockFile(None, {})() is None


def test_keys_are_given_at_first_and_once_after_each_change(tmp_path, caplog):
    file = tmp_path / "keys.json"
    file.write_bytes(jwks(jwk("ES256", kid="a")))
    given: list[Verifier] = []
    look = KeysFile(file, given.append)
    for _ in range(2):
        look()
    assert [keys.check(signed("ES256", kid="a")) for keys in given] == ["verified"]
    file.write_bytes(jwks(jwk("ES256", kid="a"), jwk("ES256", 1, kid="b")))
    for _ in range(2):
        look()
    assert [keys.check(signed("ES256", 1, kid="b")) for keys in given[1:]] == ["verified"]
    file.write_text("half a fi")
    look()
    assert "stay as they were" in caplog.text
    file.unlink()
    look()
    assert len(given) == 2


def test_without_keys_there_is_nothing_to_look_at():
    given: list[Verifier] = []
    KeysFile(None, given.append)()
    assert given == []
