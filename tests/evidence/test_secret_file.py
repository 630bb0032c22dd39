import os
import stat

import pytest

from evidence import _secret_file


def modes(folder) -> dict[str, str]:
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.iterdir()}


@pytest.fixture(autouse=True)
def _no_umask():
    old = os.umask(0)
    yield
    os.umask(old)


def test_keys_folder_is_its_owners_alone(tmp_path):
    (tmp_path / "keys").mkdir(mode=0o755)
    assert _secret_file.keys_folder(tmp_path) == tmp_path / "keys"
    assert modes(tmp_path) == {"keys": "0o700"}
    assert _secret_file.keys_folder(tmp_path / "new/data").is_dir()


def test_create_makes_a_file_once(tmp_path):
    path = tmp_path / "secret"
    _secret_file.create(path, b"first")
    _secret_file.create(path, b"second")
    assert modes(tmp_path) == {"secret": "0o600"}
    assert _secret_file.read(path, "thing", 100) == b"first"
    assert _secret_file.read(path, "thing", 3) == b"fir"


def test_replace_and_move_leave_one_file(tmp_path):
    path = tmp_path / "public"
    _secret_file.replace(path, b"one", mode=0o644)
    _secret_file.replace(path, b"two", mode=0o644)
    assert (path.read_bytes(), modes(tmp_path)) == (b"two", {"public": "0o644"})
    _secret_file.create(tmp_path / "next", b"three")
    _secret_file.move(tmp_path / "next", path)
    assert (path.read_bytes(), modes(tmp_path)) == (b"three", {"public": "0o600"})


def test_content_is_on_the_disk_before_its_name_and_its_name_before_the_end(tmp_path, monkeypatch):
    synced = []

    def record(handle):
        kind = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else os.pread(handle, 9, 0)
        synced.append((kind, {p.name for p in tmp_path.iterdir() if p.suffix != ".tmp"}))

    monkeypatch.setattr("evidence._secret_file.os.fsync", record)
    # What is written can then be read back here.
    monkeypatch.setattr("evidence._secret_file.os.O_WRONLY", os.O_RDWR)
    _secret_file.create(tmp_path / "a", b"first")
    assert synced == [(b"first", set()), ("folder", {"a"})]
    synced.clear()
    _secret_file.replace(tmp_path / "a", b"second", mode=0o600)
    assert synced == [(b"second", {"a"}), ("folder", {"a"})]
    synced.clear()
    _secret_file.move(tmp_path / "a", tmp_path / "b")
    assert synced == [("folder", {"b"})]


@pytest.mark.parametrize("call", ["fsync", "link", "open"])
def test_what_fails_leaves_nothing(tmp_path, monkeypatch, call):
    def fail(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"evidence._secret_file.os.{call}", fail)
    with pytest.raises(OSError, match="No space left"):
        _secret_file.create(tmp_path / "secret", b"first")
    monkeypatch.undo()
    assert modes(tmp_path) == {}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o666])
def test_file_that_others_may_use_is_refused(tmp_path, mode):
    path = tmp_path / "secret"
    _secret_file.create(path, b"first")
    path.chmod(mode)
    with pytest.raises(PermissionError) as refused:
        _secret_file.read(path, "thing", 100)
    expected = f"reading the thing: others may read {path} (mode {mode:o}): chmod 600 it"
    assert refused.value.args == (13, expected)


def test_unreadable_file_says_so(tmp_path, monkeypatch):
    def refuse(*_args):
        raise PermissionError(13, "Permission denied")

    # As root every file can be read.
    monkeypatch.setattr("evidence._secret_file.Path.open", refuse)
    with pytest.raises(PermissionError, match=r"secret is unreadable for this user: chown it"):
        _secret_file.read(tmp_path / "secret", "thing", 100)


def test_missing_file_is_the_callers_to_explain(tmp_path):
    with pytest.raises(FileNotFoundError):
        _secret_file.read(tmp_path / "secret", "thing", 100)
