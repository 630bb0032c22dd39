import stat
import subprocess

import pytest

from deploy.prepare import PASSWORDS, prepare

SECRET = {
    name: f"{number}-{name.lower()}-0123456789abcdef" for number, name in enumerate(PASSWORDS)
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    prepare(root, SECRET)
    return root


def content(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.mark.stack
def test_init_gives_each_part_its_own_secrets(prepared):
    holders = {
        name: {path for path, data in content(prepared).items() if SECRET[name].encode() in data}
        for name in PASSWORDS
    }
    assert holders == {
        "ELASTIC_PASSWORD": {"elasticsearch/password", "setup/elastic_password"},
        "KIBANA_PASSWORD": {"setup/kibana_password", "kibana/kibana.yml"},
        "KIBANA_ENCRYPTION_KEY": {"kibana/kibana.yml"},
        "KAFKA_PASSWORD": {"client/kafka_password", "kafka/format.args"},
    }
    keys = {path for path, data in content(prepared).items() if b"PRIVATE KEY" in data}
    assert keys == {"kafka/server.key", "kafka/server.pem", "elasticsearch/server.key"}
    for path in {
        "keys/digest.key",
        "keys/ledger.key",
        *keys,
        *(p for held in holders.values() for p in held),
    }:
        assert stat.S_IMODE((prepared / path).stat().st_mode) & 0o077 == 0, path


@pytest.mark.stack
def test_init_changes_nothing_the_second_time(tmp_path):
    prepare(tmp_path, SECRET)
    before = content(tmp_path)
    prepare(tmp_path, SECRET)
    assert content(tmp_path) == before


@pytest.mark.parametrize("value", ["", "short", "x" * 31, 'x"' * 20, "x," * 20, "x" * 129])
@pytest.mark.parametrize("name", PASSWORDS)
def test_init_refuses_a_weak_password_without_repeating_it(tmp_path, name, value):
    with pytest.raises(ValueError, match=rf"^reading {name}: it must have 32") as refused:
        prepare(tmp_path, SECRET | {name: value})
    assert not value or value not in str(refused.value)
    assert content(tmp_path) == {}


@pytest.mark.stack
@pytest.mark.parametrize(
    ("part", "host"),
    [("kafka", "kafka"), ("elasticsearch", "elasticsearch"), ("kafka", "localhost")],
)
def test_a_certificate_names_its_host(prepared, part, host):
    words = ["openssl", "x509", "-noout", "-checkhost", host, "-in"]
    said = subprocess.run(
        [*words, f"{prepared}/{part}/server.crt"], check=True, capture_output=True, text=True
    ).stdout
    assert said == f"Hostname {host} does match certificate\n"
