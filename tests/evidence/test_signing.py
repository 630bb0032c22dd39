import base64
import os
import shutil
import stat
import threading
from pathlib import Path

import pytest

from evidence.checkpoint import Checkpoint, VerifierKey, note, parse
from evidence.signing import Signer, known_keys, load_signer, rotate

NAME = "breachline/default/evidence"
HEAD = Checkpoint(NAME, 1, bytes(32))


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def signed_by(data_dir, text) -> list[VerifierKey]:
    """The known keys whose signatures on a note hold."""
    checkpoint, signatures = parse(text)
    return [
        key
        for key in known_keys(data_dir)
        for signature in signatures
        if (key.name, key.key_id) == (signature.name, signature.key_id)
        and key.verify(checkpoint.text.encode(), signature.signature)
    ]


def test_key_is_made_once_for_its_owner_alone(tmp_path):
    old = os.umask(0)
    try:
        signer = load_signer(tmp_path / "var", NAME, create=True)
    finally:
        os.umask(old)
    keys = tmp_path / "var/keys"
    assert names(keys) == ["ledger.key", "ledger.pub"]
    assert [mode(keys), mode(keys / "ledger.key")] == [0o700, 0o600]
    assert known_keys(tmp_path / "var") == [signer.key]
    assert (keys / "ledger.pub").read_text() == signer.key.format() + "\n"
    for create in (True, False):
        assert load_signer(tmp_path / "var", NAME, create=create).key == signer.key
    assert load_signer(tmp_path / "other", NAME, create=True).key != signer.key
    assert signed_by(tmp_path / "var", note(HEAD, [signer])) == [signer.key]


def test_key_stands_in_the_form_of_go(tmp_path):
    signer = load_signer(tmp_path, NAME, create=True)
    text = (tmp_path / "keys/ledger.key").read_text()
    assert text.endswith("\n")
    private, key, name, key_id, seed = text.removesuffix("\n").split("+", 4)
    assert (private, key, name, key_id) == ("PRIVATE", "KEY", NAME, signer.key_id.hex())
    decoded = base64.b64decode(seed, validate=True)
    assert (decoded[:1], len(decoded)) == (b"\x01", 33)


def test_all_who_create_at_once_get_one_key(tmp_path):
    found = []
    start = threading.Barrier(8)

    def load():
        start.wait()
        found.append(load_signer(tmp_path, NAME, create=True).key)

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(found), len(set(found))) == (8, 1)
    assert known_keys(tmp_path) == found[:1]
    assert names(tmp_path / "keys") == ["ledger.key", "ledger.pub"]


def test_missing_key_is_not_made_up(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"ledger\.key is missing: copy it"):
        load_signer(tmp_path, NAME, create=False)
    assert names(tmp_path) == []
    assert known_keys(tmp_path) == []


@pytest.mark.parametrize("create", [True, False])
def test_lost_key_is_not_replaced_silently(tmp_path, create):
    signer = load_signer(tmp_path, NAME, create=True)
    (tmp_path / "keys/ledger.key").unlink()
    with pytest.raises(FileNotFoundError, match=rf"ledger\.pub says that {NAME} had one: restore"):
        load_signer(tmp_path, NAME, create=create)
    assert known_keys(tmp_path) == [signer.key]
    assert names(tmp_path / "keys") == ["ledger.pub"]
    other = load_signer(tmp_path, "breachline/default/other", create=True)
    assert known_keys(tmp_path) == [signer.key, other.key]


def test_lost_list_of_public_keys_gets_the_key_again(tmp_path):
    signer = load_signer(tmp_path, NAME, create=True)
    (tmp_path / "keys/ledger.pub").unlink()
    assert load_signer(tmp_path, NAME, create=False).key == signer.key
    assert known_keys(tmp_path) == [signer.key]


def test_key_file_of_the_settings(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc").chmod(0o755)
    file = tmp_path / "etc/a.key"
    signer = load_signer(tmp_path / "var", NAME, key_file=file, create=True)
    assert (names(tmp_path / "etc"), mode(tmp_path / "etc")) == (["a.key"], 0o755)
    assert names(tmp_path / "var/keys") == ["ledger.pub"]
    assert known_keys(tmp_path / "var") == [signer.key]
    assert load_signer(tmp_path / "var", NAME, key_file=file, create=False).key == signer.key
    made = load_signer(tmp_path / "var2", NAME, key_file=tmp_path / "new/b.key", create=True)
    assert mode(tmp_path / "new") == 0o700
    with rotate(tmp_path / "var2", NAME, key_file=tmp_path / "new/b.key") as (old, new):
        assert old.key == made.key
    assert (names(tmp_path / "new"), names(tmp_path / "var2/keys")) == (["b.key"], ["ledger.pub"])
    assert known_keys(tmp_path / "var2") == [old.key, new.key]


def test_key_that_the_operator_replaces(tmp_path):
    first = load_signer(tmp_path / "a", NAME, create=True)
    second = load_signer(tmp_path / "b", NAME, create=True)
    file = tmp_path / "a/keys/ledger.key"
    old = file.read_bytes()
    shutil.copy(tmp_path / "b/keys/ledger.key", file)
    assert load_signer(tmp_path / "a", NAME, create=False).key == second.key
    assert known_keys(tmp_path / "a") == [first.key, second.key]
    file.write_bytes(old)
    with pytest.raises(
        ValueError, match=r"holds a key that was replaced since, says .*ledger\.pub"
    ):
        load_signer(tmp_path / "a", NAME, create=True)


def damaged(text: str) -> dict[str, str]:
    private, key, name, key_id, seed = text.strip().split("+", 4)
    head = f"{private}+{key}+{name}"
    return {
        "empty": "",
        "cut": text[:-10],
        "no prefix": text.removeprefix("PRIVATE+"),
        "other prefix": text.replace("PRIVATE", "PUBLIC"),
        "wrong id": f"{head}+00000000+{seed}",
        "wrong seed": f"{head}+{key_id}+AQ{'A' * 42}",
        "other kind": f"{head}+{key_id}+Ag{seed[2:]}",
        "short": f"{head}+{key_id}+AQID",
        "bad base64": f"{head}+{key_id}+{seed[:-1]}*",
        "bad name": text.replace("default", "def ault"),
        "more": text + text,
        "not text": "\udcff" + text,
    }


@pytest.mark.parametrize("how", damaged("PRIVATE+KEY+n+00+s"))
def test_damaged_key_is_refused_kept_and_not_shown(tmp_path, how):
    load_signer(tmp_path, NAME, create=True)
    file = tmp_path / "keys/ledger.key"
    text = file.read_text()
    broken = damaged(text)[how].encode(errors="surrogateescape")
    assert broken != text.encode()
    file.write_bytes(broken)
    with pytest.raises(ValueError, match=r"ledger\.key is damaged, it is not PRIVATE\+KEY") as told:
        load_signer(tmp_path, NAME, create=True)
    assert file.read_bytes() == broken
    seed = text.split("+", 4)[4]
    shown = "".join(map(str, (told.value, told.value.__cause__, told.value.__context__)))
    assert seed[4:12] not in shown


def test_key_of_another_log_is_refused(tmp_path):
    load_signer(tmp_path, "breachline/other/evidence", create=True)
    with pytest.raises(ValueError, match="is the key of breachline/other/evidence, and this log"):
        load_signer(tmp_path, NAME, create=True)


def test_key_that_others_may_read_is_refused(tmp_path):
    load_signer(tmp_path, NAME, create=True)
    (tmp_path / "keys/ledger.key").chmod(0o640)
    with pytest.raises(PermissionError, match=r"ledger key: others may read .* \(mode 640\)"):
        load_signer(tmp_path, NAME, create=True)


@pytest.mark.parametrize("line", ["", "garbage", NAME + "+00000000+AAAA", "\udcff"])
def test_damaged_list_of_public_keys_is_refused(tmp_path, line):
    load_signer(tmp_path, NAME, create=True)
    file = tmp_path / "keys/ledger.pub"
    file.write_bytes(file.read_bytes() + (line + "\n").encode(errors="surrogateescape"))
    for ask in (lambda: known_keys(tmp_path), lambda: load_signer(tmp_path, NAME, create=True)):
        with pytest.raises(ValueError, match=r"ledger\.pub line 2: reading the public key"):
            ask()


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb"])
def test_a_name_that_no_note_could_carry(tmp_path, name):
    with pytest.raises(ValueError, match="of a key or log"):
        load_signer(tmp_path, name, create=True)
    assert names(tmp_path) == []


def test_signer_shows_nothing_of_its_key(tmp_path):
    signer = load_signer(tmp_path, NAME, create=True)
    assert repr(signer) == f"Signer({signer.key.format()!r})"


def test_rotation_signs_with_both_and_forgets_the_old(tmp_path):
    first = load_signer(tmp_path, NAME, create=True)
    keys = tmp_path / "keys"
    private = (keys / "ledger.key").read_bytes()
    with rotate(tmp_path, NAME) as (old, new):
        assert old.key == first.key != new.key
        assert signed_by(tmp_path, note(HEAD, [old, new])) == [old.key, new.key]
        # Whoever starts meanwhile still gets the old one.
        assert load_signer(tmp_path, NAME, create=False).key == old.key
    assert load_signer(tmp_path, NAME, create=False).key == new.key
    assert known_keys(tmp_path) == [old.key, new.key]
    assert names(keys) == ["ledger.key", "ledger.pub"]
    assert mode(keys / "ledger.key") == 0o600
    assert private not in [path.read_bytes() for path in keys.iterdir()]
    with rotate(tmp_path, NAME) as (old, newest):
        assert old.key == new.key
    assert known_keys(tmp_path) == [first.key, new.key, newest.key]


def test_rotation_that_fails_changes_nothing_and_is_taken_up_again(tmp_path):
    first = load_signer(tmp_path, NAME, create=True)
    tried = []

    def fail(signer):
        tried.append(signer.key)
        raise BlockingIOError("publishing the head")

    for _ in range(2):
        with pytest.raises(BlockingIOError, match="publishing"), rotate(tmp_path, NAME) as both:
            fail(both[1])
        assert load_signer(tmp_path, NAME, create=False).key == first.key
    with rotate(tmp_path, NAME) as (old, new):
        assert (old.key, [new.key] * 2) == (first.key, tried)
    assert known_keys(tmp_path) == [first.key, new.key]
    assert load_signer(tmp_path, NAME, create=False).key == new.key


def test_two_rotations_at_once(tmp_path):
    load_signer(tmp_path, NAME, create=True)
    with rotate(tmp_path, NAME) as (_, new):
        other = rotate(tmp_path, NAME)
        with pytest.raises(BlockingIOError, match=r"another rotation in .*keys is under way"):
            other.__enter__()
    assert load_signer(tmp_path, NAME, create=False).key == new.key


def test_rotation_needs_a_key(tmp_path):
    with pytest.raises(FileNotFoundError, match="is missing"), rotate(tmp_path, NAME):
        pass


class PowerCuts:
    """Copies of a folder as it is before each step that changes it: what a crash would leave."""

    def __init__(self, monkeypatch, folder: Path, copies: Path):
        self.folder, self.copies = folder, copies
        self.taken: list[Path] = []
        for owner, call in (
            (os, "open"), (os, "fdopen"), (os, "fsync"), (os, "link"),
            (Path, "replace"), (Path, "unlink"),
        ):  # fmt: skip
            monkeypatch.setattr(owner, call, self.before(getattr(owner, call)))
        self.quiet = False

    def before(self, call):
        def cut_then_go_on(*args, **options):
            if not self.quiet:
                self.take()
            return call(*args, **options)

        return cut_then_go_on

    def take(self):
        self.quiet = True
        self.taken.append(self.copies / f"{len(self.taken):03}")
        shutil.copytree(self.folder, self.taken[-1])
        self.quiet = False


def test_power_cut_at_each_step_of_the_first_key(tmp_path, monkeypatch):
    (tmp_path / "var").mkdir()
    with monkeypatch.context() as patch:
        cuts = PowerCuts(patch, tmp_path / "var", tmp_path / "cuts")
        load_signer(tmp_path / "var", NAME, create=True)
    assert len(cuts.taken) > 10
    for data_dir in cuts.taken:
        signer = load_signer(data_dir, NAME, create=True)
        assert known_keys(data_dir) == [signer.key]


def test_power_cut_at_each_step_of_a_rotation(tmp_path, monkeypatch):
    first = load_signer(tmp_path / "var", NAME, create=True)
    heads = []
    with monkeypatch.context() as patch:
        cuts = PowerCuts(patch, tmp_path / "var", tmp_path / "cuts")
        with rotate(tmp_path / "var", NAME) as (old, new):
            published = len(cuts.taken)
            heads.append(note(HEAD, [old, new]))
        cuts.take()
    assert published > 10
    assert len(cuts.taken) > published + 1
    used = []
    for number, data_dir in enumerate(cuts.taken):
        signer = load_signer(data_dir, NAME, create=False)
        used.append(signer.key)
        assert signer.key in known_keys(data_dir)
        if number >= published:
            assert signed_by(data_dir, heads[0]) == [first.key, new.key]
        else:
            assert signer.key == first.key
        with rotate(data_dir, NAME) as (old, newest):
            assert old.key == signer.key
        assert load_signer(data_dir, NAME, create=False).key == newest.key
        assert known_keys(data_dir)[-1] == newest.key
    assert (used[0], used[-1]) == (first.key, new.key)
    assert used == sorted(used, key=[first.key, new.key].index)


def test_a_signer_is_what_notes_ask_for(tmp_path):
    signer: Signer = load_signer(tmp_path, NAME, create=True)
    (signature,) = parse(note(HEAD, [signer]))[1]
    assert (signature.name, signature.key_id) == (signer.name, signer.key_id)
