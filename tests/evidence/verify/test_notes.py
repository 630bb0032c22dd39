import pytest

from evidence.checkpoint import Checkpoint, note
from evidence.verify.notes import Head, Trust, read_head, read_key, read_keys, read_note
from tests._ledger import ORIGIN, key, signer, trust

ROOT = bytes(range(32))
SIGNED = note(Checkpoint(ORIGIN, 7, ROOT), [signer()])
BOTH = note(Checkpoint(ORIGIN, 8, ROOT), [signer(1), signer(2)])


def test_what_the_writer_writes_is_read():
    read = read_note(SIGNED)
    assert read_head(read.text) == Head(ORIGIN, 7, ROOT)
    assert trust().check(read, "the head") == [key()]
    assert read_key(str(key())) == key()
    assert read_keys(f"{key(1)}\n{key(2)}\n") == [key(1), key(2)]
    assert read_keys("") == []


def test_the_key_of_gos_own_documentation():
    text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    assert str(read_key(text)) == text


NO_KEY = [
    "", "a+b", "a+00000000+AAAA", f"{key()}x", str(key()).replace(ORIGIN, "other"),
    str(key()).replace("+", " ", 1), f"{ORIGIN}+{'0' * 8}+{str(key()).split('+', 2)[2]}",
    f"{key()}\n",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_KEY)
def test_no_key(text):
    with pytest.raises(ValueError, match="key"):
        read_key(text)


NO_NOTE = [
    "", "x", ORIGIN, SIGNED[:-1], SIGNED + "\n", SIGNED.replace("\n\n", "\n"),
    SIGNED.replace("—", "-"), SIGNED.replace("— ", "—"), SIGNED + "x\n", SIGNED.replace("=", ""),
    SIGNED.replace("\n", "\r\n"), SIGNED.replace("— ", "—  "), SIGNED[:-2] + "x\n",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_NOTE)
def test_no_note(text):
    with pytest.raises(ValueError, match=r"it has|is no"):
        read_note(text)


HEAD = read_note(SIGNED).text
NO_HEAD = [
    "", HEAD[:-1], HEAD + "x\n", HEAD.replace("\n7\n", "\n07\n"), HEAD.replace("\n7\n", "\n-7\n"),
    HEAD.replace(ORIGIN, ""), HEAD.replace(ORIGIN, "a b"), HEAD.replace("=", ""), HEAD + "\n",
    HEAD.replace("AAEC", "AAE"),
]  # fmt: skip


@pytest.mark.parametrize("text", NO_HEAD)
def test_no_head(text):
    with pytest.raises(ValueError, match=r"it is no checkpoint|is no base64"):
        read_head(text)


def test_every_changed_character_is_refused():
    for place, before in enumerate(SIGNED):
        for after in ("A", "z", "0", "\n", " ", "é", "+"):
            if before == after:
                continue
            text = SIGNED[:place] + after + SIGNED[place + 1 :]
            with pytest.raises((ValueError, LookupError)):
                trust().check(read_note(text), "the head")


def test_a_key_that_is_not_known_is_no_signature_that_is_wrong():
    with pytest.raises(LookupError, match="the head is signed by breachline/test/evidence"):
        trust(2).check(read_note(SIGNED), "the head")
    with pytest.raises(LookupError, match="the head"):
        trust(1).check(read_note(BOTH), "the head")


def test_a_signature_twice_is_refused():
    text, _, block = SIGNED.rpartition("\n\n")
    with pytest.raises(ValueError, match="is wrong"):
        trust().check(read_note(f"{text}\n\n{block}{block}"), "the head")


def test_a_key_is_trusted_by_another_that_signed_beside_it():
    known = Trust([key(1)], [key(1), key(2)])
    known.check(read_note(note(Checkpoint(ORIGIN, 9, ROOT), [signer(2)])), "the head over 9")
    assert known.strangers() == {key(2): "the head over 9"}
    known.check(read_note(BOTH), "the head over 8")
    assert (known.strangers(), known.signers) == ({}, [key(2), key(1)])


def test_whose_log_a_key_is_of():
    assert [
        key().covers(origin)
        for origin in (ORIGIN, f"{ORIGIN}/scan/1f", f"{ORIGIN}x", "breachline/test", "")
    ] == [True, True, False, False, False]
