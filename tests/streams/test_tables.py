import pytest

from intake.ownership import Tenure
from intake.settings import IntakeSettings
from streams.tables import read_tables
from tests.intake._tokens import jwk, jwks, signed


def settings(folder, **blocks):
    """Settings whose files stand in `folder`."""
    for block in blocks.values():
        for item in block if isinstance(block, list) else [block]:
            if "file" in item:
                item["file"] = folder / item["file"]
    return IntakeSettings.model_validate(blocks)


def test_without_files_there_is_nothing_to_look_up():
    tables = read_tables(IntakeSettings())
    assert (tables.people, tables.owners, tables.grants) == ({}, {}, [])


def test_all_files_are_read(tmp_path):
    (tmp_path / "people.csv").write_text("\ufeffid, user\n17, u-1\nada@example.test, u-1\n")
    (tmp_path / "owners.csv").write_text("order_id,buyer_id,seller_id\n7,u-1,u-2\n8,u-3,\n")
    (tmp_path / "grants.csv").write_text("principal,owner,routes,from,until\nu-1,u-2,,,\n")
    tables = read_tables(
        settings(
            tmp_path,
            identities={"file": "people.csv"},
            routes=[{"match": "/orders/{object}", "owner": ["buyer_id", "seller_id"]}],
            ownership=[
                {"route": "/orders/{object}", "file": "owners.csv", "object": "order_id",
                 "owner": "user_id"},
            ],
            grants={"file": "grants.csv"},
        )
    )  # fmt: skip
    assert tables.people == {"17": "u-1", "ada@example.test": "u-1"}
    assert dict(tables.owners["/orders/{object}"]) == {"7": ("u-1", "u-2"), "8": ("u-3",)}
    assert [(g.principal, g.owner) for g in tables.grants] == [("u-1", "u-2")]


WRONG = [
    # name, bytes of people.csv (None: no such file), the message
    ("missing", None, "reading {}: No such file or directory"),
    ("empty", b"", "no column id, user in its first line (empty)"),
    ("a column is missing", b"id,name\n1,2\n", "no column user in its first line (id, name)"),
    ("a short row", b"id,user\n1,u-1\n2\n", "reading {}, line 3: fewer columns"),
    ("not text", b"id,user\n\xff,u-1\n", "not UTF-8 text"),
]


@pytest.mark.parametrize(("name", "data", "message"), WRONG, ids=[c[0] for c in WRONG])
def test_what_is_wrong_names_the_file(tmp_path, name, data, message):
    path = tmp_path / "people.csv"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ValueError) as error:
        read_tables(settings(tmp_path, identities={"file": "people.csv"}))
    assert message.format(path) in str(error.value)
    assert str(path) in str(error.value)


def test_owners_may_have_had_it_for_a_time(tmp_path):
    path = tmp_path / "owners.csv"
    path.write_text("id,user,from,to\n7,u-1,,2026-11-22T12:00:00Z\n7,u-2,2026-11-22T12:00:00Z,\n")
    source = {"route": "/o/{object}", "file": "owners.csv", "object": "id", "owner": "user"}
    (rows,) = read_tables(settings(tmp_path, ownership=[source])).owners.values()
    noon_ms = 1_795_348_800_000
    assert dict(rows) == {"7": (Tenure("u-1", None, noon_ms), Tenure("u-2", noon_ms, None))}
    path.write_text("id,user,from,to\n7,u-1,noon,\n")
    with pytest.raises(ValueError, match=r"reading owners from .*owners\.csv: .*'noon'"):
        read_tables(settings(tmp_path, ownership=[{**source, "file": "owners.csv"}]))


def test_a_directory_and_a_wrong_grant_are_said_too(tmp_path):
    (tmp_path / "people.csv").mkdir()
    with pytest.raises(ValueError, match="Is a directory"):
        read_tables(settings(tmp_path, identities={"file": "people.csv"}))
    (tmp_path / "grants.csv").write_text("principal,owner,until\nu-1,u-2,whenever\n")
    with pytest.raises(ValueError, match=r"reading grants from .*grants\.csv"):
        read_tables(settings(tmp_path, grants={"file": "grants.csv"}))


def test_keys_of_issuers_are_read(tmp_path):
    (tmp_path / "keys.json").write_bytes(jwks(jwk("ES256", kid="a")))
    tables = read_tables(IntakeSettings.model_validate({"jwt": {"jwks": tmp_path / "keys.json"}}))
    assert tables.verifier is not None
    assert tables.verifier.check(signed(kid="a")) == "verified"
    assert read_tables(IntakeSettings()).verifier is None


@pytest.mark.parametrize(
    ("data", "message"),
    [(None, "reading {}: No such file"), (b"[]", 'reading keys from {}: no list of "keys"')],
)
def test_keys_that_cannot_be_read_are_said(tmp_path, data, message):
    path = tmp_path / "keys.json"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ValueError) as error:
        read_tables(IntakeSettings.model_validate({"jwt": {"jwks": path}}))
    assert message.format(path) in str(error.value)
