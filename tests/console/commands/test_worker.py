"""`breachline worker` before it reaches a broker: what is missing is said, and nothing is begun."""

import os

import pytest

KAFKA = "kafka: {brokers: ['127.0.0.1:9']}\n"

WRONG = [
    ("no kafka", "data_dir: var\n", "Error: a worker needs `kafka: {brokers: [...]}`"),
    ("a broken configuration", "kafka: {brokers: [127.0.0.1]}\n", "Error: breachline.yaml:1:"),
    ("no key", f"data_dir: var\n{KAFKA}", "var/keys/digest.key"),
]


@pytest.mark.parametrize(("name", "config", "says"), WRONG, ids=[w[0] for w in WRONG])
def test_what_is_missing_is_said(cli, tmp_path, name, config, says):
    (tmp_path / "breachline.yaml").write_text(config)
    said = cli("worker", "--config", "breachline.yaml")
    assert (said.code, said.out) == (2, "")
    assert says in said.err
    assert not (tmp_path / "var").exists(), "a key of its own would be another than the others'"


def test_a_key_that_others_can_read_is_refused(cli, tmp_path):
    (tmp_path / "breachline.yaml").write_text(KAFKA)
    keys = tmp_path / "data" / "keys"
    keys.mkdir(parents=True)
    (keys / "digest.key").write_bytes(b"k" * 32)
    os.chmod(keys / "digest.key", 0o644)  # noqa: PTH101
    said = cli("worker", "--config", "breachline.yaml", "--data-dir", "data")
    assert (said.code, said.out) == (2, "")
    assert "digest.key" in said.err


def test_help_says_what_workers_share(cli):
    said = cli("worker", "--help")
    assert said.code == 0
    assert "keys/digest.key" in said.out
