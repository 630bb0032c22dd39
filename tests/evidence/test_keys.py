import hashlib
import os
import stat
import threading

import pytest

from evidence.keys import CredentialDigest, load_digest_key


def names(directory) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_key_is_made_once_for_its_owner_alone(tmp_path):
    old = os.umask(0)
    try:
        key = load_digest_key(tmp_path / "var", create=True)
    finally:
        os.umask(old)
    path = tmp_path / "var/keys/digest.key"
    assert path.read_bytes() == key
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert load_digest_key(tmp_path / "var", create=True) == key
    assert load_digest_key(tmp_path / "var", create=False) == key
    assert names(path.parent) == ["digest.key"]
    assert load_digest_key(tmp_path / "other", create=True) != key


def test_all_who_create_at_once_get_one_key(tmp_path):
    keys = []
    start = threading.Barrier(8)

    def load():
        start.wait()
        keys.append(load_digest_key(tmp_path, create=True))

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1


def test_missing_key_is_not_made_up(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"digest\.key is missing: copy it"):
        load_digest_key(tmp_path, create=False)
    assert names(tmp_path) == []


@pytest.mark.parametrize("size", [0, 31, 33])
def test_key_of_a_wrong_size_is_refused_and_kept(tmp_path, size):
    path = tmp_path / "keys/digest.key"
    path.parent.mkdir()
    path.write_bytes(b"k" * size)
    path.chmod(0o600)
    with pytest.raises(ValueError, match="must have 32 bytes"):
        load_digest_key(tmp_path, create=True)
    assert path.read_bytes() == b"k" * size


def test_key_that_others_may_read_is_refused(tmp_path):
    load_digest_key(tmp_path, create=True)
    (tmp_path / "keys/digest.key").chmod(0o640)
    with pytest.raises(PermissionError, match=r"others may read .* \(mode 640\): chmod 600"):
        load_digest_key(tmp_path, create=True)


def test_key_that_is_a_directory(tmp_path):
    (tmp_path / "keys/digest.key").mkdir(parents=True)
    with pytest.raises(IsADirectoryError, match=r"digest\.key"):
        load_digest_key(tmp_path, create=True)


@pytest.mark.parametrize("value", ["", "token", "tökén", "\ud800"])
def test_digest_is_keyed_blake2b(value):
    key = b"k" * 32
    data = value.encode("utf-8", "surrogatepass")
    expected = hashlib.blake2b(data, key=key, digest_size=12).hexdigest()
    digest = CredentialDigest(key)
    assert [digest(value), digest(value)] == [expected, expected]
    assert CredentialDigest(b"j" * 32)(value) != expected


def test_digest_shows_nothing_of_the_key():
    assert "kkk" not in repr(CredentialDigest(b"k" * 32))
