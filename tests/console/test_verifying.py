"""`breachline evidence verify` and what an export is sealed with, as people call them."""

import json
import shutil
import sqlite3
import zipfile
from contextlib import closing

import pytest

from console.verifying import keys_of, sealing
from evidence.signing import load_signer
from evidence.store import EmbeddedStore
from streams.sealing import open_signed
from streams.settings import Settings
from tests._ledger import exported, fill, key, sealed

LOG = "breachline/default/evidence"


@pytest.fixture
def live(tmp_path):
    """A data directory whose log is signed by its own key, and its published heads."""
    settings = Settings(data_dir=tmp_path / "var")
    with open_signed(settings) as store:
        fill(store)
        notes = [head.note for head in store.ledger.heads()]
    lines = [json.dumps({"note": note, "at": "2026-11-22T12:00:00Z"}) + "\n" for note in notes]
    (tmp_path / "heads.ndjson").write_text("".join(lines), encoding="utf-8")
    return settings


def test_a_live_store_against_its_published_heads(cli, live):
    said = cli("evidence", "verify", "var", "--heads", "heads.ndjson")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(
        "var: 15 entries, held against 6 signed heads and 6 published heads: nothing was altered, "
        "moved or inserted, and nothing is missing.\n"
    )
    assert "Not shown: who signed it: the keys stand beside what they signed." in said.out


def test_with_the_key_and_published_heads_nothing_is_left_unshown(cli, live):
    pub = live.data_dir / "keys" / "ledger.pub"
    for given in (pub, pub.read_text().strip()):
        said = cli("evidence", "verify", "var", "--heads", "heads.ndjson", "--key", given, "--json")
        document = json.loads(said.out)
        assert (said.code, document["intact"], document["unproven"]) == (0, True, [])
        assert document["signed_by"] == [pub.read_text().strip()]


def test_the_file_that_the_settings_name_is_used_unasked(cli, live, tmp_path):
    (tmp_path / "breachline.yaml").write_text("ledger: {publish: {file: heads.ndjson}}\n")
    assert "6 published heads" in cli("evidence", "verify", "var").out
    (tmp_path / "heads.ndjson").unlink()
    said = cli("evidence", "verify", "var")
    assert (said.code, "heads.ndjson: no such file" in said.err) == (2, True)


def test_what_was_altered_is_named(cli, live):
    with closing(sqlite3.connect(live.data_dir / "breachline.db", isolation_level=None)) as db:
        db.execute("DROP TRIGGER body_no_update")
        db.execute("UPDATE body SET payload = x'7b7d' WHERE seq = 3")
    said = cli("evidence", "verify", "var")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(
        "var: not intact\n"
        "  entry 2 (inc-1@3) was altered: its content is not what its leaf commits to\n"
    )
    said = cli("evidence", "verify", "var", "--json")
    (first, *_) = json.loads(said.out)["problems"]
    assert (said.code, first["what"], first["index"], first["id"]) == (1, "altered", 2, "inc-1@3")


def test_very_many_problems_are_not_all_printed(cli, tmp_path):
    with sealed(tmp_path / "var") as store, store.transaction():
        for n in range(90):
            store.log.append("read", f"rd-{n}", n, "inc-1", {"incident": "inc-1"})
    with closing(sqlite3.connect(tmp_path / "var" / "breachline.db", isolation_level=None)) as db:
        for guard in ("body_no_update", "body_no_delete"):
            db.execute(f"DROP TRIGGER {guard}")
        db.execute("DELETE FROM body")
    said = cli("evidence", "verify", "var", "--key", str(key()))
    assert len(said.err.splitlines()) == 22
    assert said.err.endswith("  and 72 more problems\n")


def test_an_older_copy_is_found_by_its_published_heads(cli, live, tmp_path):
    shutil.copytree(tmp_path / "var", tmp_path / "copy")
    with open_signed(live) as store:
        store.log.append("read", "rd-9", 9, "inc-1", {"incident": "inc-1"})
        (head,) = store.ledger.heads(store.ledger.size - 1)
    with (tmp_path / "heads.ndjson").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"note": head.note}) + "\n")
    assert cli("evidence", "verify", "copy").code == 0
    said = cli("evidence", "verify", "copy", "--heads", "heads.ndjson")
    assert (said.code, "an older copy was put back" in said.err) == (1, True)


def test_a_scan_and_its_bundle_are_checked_by_the_key_beside_them(cli, result, case, tmp_path):
    assert cli("evidence", "verify", result).code == 0
    where = ("--from", result, "--data-dir", tmp_path / "elsewhere")
    assert cli("evidence", "export", case, "-o", "case.zip", *where).code == 0
    said = cli("evidence", "verify", "case.zip", "--key", result / "keys" / "ledger.pub", "--json")
    assert (said.code, json.loads(said.out)["heads"]) == (1, 1)
    assert "nobody has signed the manifest" in said.err  # its key is elsewhere
    assert cli("evidence", "export", case, "-o", "case.zip", "--from", result).code == 0
    assert cli("evidence", "verify", "case.zip", "--key", result / "keys" / "ledger.pub").code == 0


def test_a_redacted_export_verifies(cli, result, case, tmp_path):
    assert cli("evidence", "export", case, "-o", "case.zip", "--redact", "--from", result).code == 0
    assert cli("evidence", "verify", "case.zip", "--key", result / "keys" / "ledger.pub").code == 0
    with zipfile.ZipFile(tmp_path / "case.zip") as bundle:
        assert json.loads(bundle.read("manifest.json"))["redactions"]["lines"] == 12
        assert bundle.read("affected.txt").startswith(b"user-1\n")


WRONG = [
    ("nothing named", [], "name a bundle or the folder of a store, or use --topic"),
    ("no store", ["."], "checking .: there is no store"),
    ("no bundle", ["none.zip"], "none.zip: no such file"),
    ("both", ["x", "--topic"], "checking the topic: leave TARGET out"),
    ("no Kafka", ["--topic"], "there is no `kafka:` in the configuration"),
    ("no key", ["var", "--key", "a+b"], "public key"),
    ("no key's file", ["var", "--key", "none.pub"], "none.pub: no such file"),
    ("no heads", ["var", "--heads", "none.ndjson"], "none.ndjson: no such file"),
]


@pytest.mark.parametrize(("name", "args", "says"), WRONG, ids=[c[0] for c in WRONG])
def test_wrong_usage(cli, live, name, args, says):
    said = cli("evidence", "verify", *args)
    assert (said.code, said.out) == (2, "")
    assert says in said.err


def test_brokers_that_are_down_are_said(cli, live, tmp_path):
    text = "kafka: {brokers: ['127.0.0.1:1'], prefix: 't.'}\ndata_dir: var\n"
    (tmp_path / "breachline.yaml").write_text(text)
    said = cli("evidence", "verify", "--topic")
    assert (said.code, said.out) == (3, "")
    assert "127.0.0.1:1" in said.err


def test_keys_are_typed_or_in_a_file(tmp_path):
    file = tmp_path / "a+b.pub"
    file.write_text(f"{key(1)}\n{key(2)}\n")
    assert keys_of(str(file)) == [key(1), key(2)]
    assert keys_of(str(key(1))) == [key(1)]
    file.write_text("")
    with pytest.raises(ValueError, match="holds no public key"):
        keys_of(str(file))


def test_an_export_is_signed_by_the_key_of_its_log_alone(tmp_path):
    settings = Settings(data_dir=tmp_path / "var")
    with sealed(tmp_path / "other") as other:
        fill(other)
        assert sealing(settings, other) == {"keys": [], "signers": [], "published": []}
        mine = load_signer(settings.data_dir, LOG, create=True)
        # Somebody else's log: this machine's key is not its key.
        assert sealing(settings, other) == {"keys": [mine.key], "signers": [], "published": []}
    with EmbeddedStore.open(tmp_path / "unsigned") as unsigned:
        fill(unsigned)
        (found,) = sealing(settings, unsigned)["signers"]
        assert found.key == mine.key


def test_an_export_is_tied_to_the_heads_that_were_published(tmp_path, live):
    with (tmp_path / "heads.ndjson").open("a") as file:
        file.write("no JSON\n{}\n[]\n" + '{"note": "x"}\n')
    ledger = live.ledger.model_copy(
        update={
            "publish": live.ledger.publish.model_copy(update={"file": tmp_path / "heads.ndjson"})
        }
    )
    settings = live.model_copy(update={"ledger": ledger})
    with EmbeddedStore.open_readonly(live.data_dir) as store:
        found = sealing(settings, store)
        assert found["published"] == [head.note for head in store.ledger.heads()]
        exported(store, tmp_path / "case.zip", **found)
