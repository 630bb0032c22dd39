import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from evidence.checkpoint import Checkpoint, Signature, VerifierKey, check_name, note, parse

ORIGIN = "breachline/default/evidence"
ROOT = bytes(range(32))
ROOT_TEXT = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
HEAD = Checkpoint(ORIGIN, 42, ROOT)

# The example of the documentation of Go's sumdb/note.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = (
    b"If you think cryptography is the answer to your problem,\n"
    b"then you don't know what your problem is.\n"
)
GO_SIGNATURE = bytes.fromhex(
    "f64992e052f541bf49f7dcbc8010c5506d885ba92cbafca40704959227348b86"
    "52060dd451580b6a5948d5e02afa9fa9d9e0a2da5165be8a13a472c81c099c03"
)

# The example of C2SP's tlog-checkpoint.
C2SP_NOTE = (
    "example.com/behind-the-sofa\n"
    "20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    "\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurm"
    "RDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)


class Pen:
    """A signer with a key made of one byte."""

    def __init__(self, seed: int = 1, name: str = ORIGIN):
        self.key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.verifier = VerifierKey(name, self.key.public_key().public_bytes_raw())
        self.name, self.key_id = name, self.verifier.key_id

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message)


def test_the_example_of_go_is_read_and_holds():
    key = VerifierKey.parse(GO_KEY)
    assert (key.name, key.key_id.hex(), key.format()) == ("PeterNeumann", "c74f20a3", GO_KEY)
    assert key.verify(GO_TEXT, GO_SIGNATURE)


@pytest.mark.parametrize(
    ("message", "signature"),
    [
        (GO_TEXT[:-1], GO_SIGNATURE),
        (GO_TEXT, bytes([GO_SIGNATURE[0] ^ 1]) + GO_SIGNATURE[1:]),
        (GO_TEXT, GO_SIGNATURE[:-1]),
        (GO_TEXT, b""),
    ],
    ids=["other text", "one bit", "cut", "empty"],
)
def test_what_was_not_signed_so_does_not_verify(message, signature):
    assert not VerifierKey.parse(GO_KEY).verify(message, signature)


def test_the_example_of_c2sp_is_read():
    checkpoint, signatures = parse(C2SP_NOTE)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.text == C2SP_NOTE.partition("\n\n")[0] + "\n"
    (signature,) = signatures
    assert (signature.name, signature.key_id.hex()) == (checkpoint.origin, "033de0ae")
    assert len(signature.signature) == 64


def test_note_is_what_c2sp_says_and_is_read_back():
    old, new = Pen(1), Pen(2)
    text = note(HEAD, [old, new])
    assert text.startswith(f"{ORIGIN}\n42\n{ROOT_TEXT}\n\n— {ORIGIN} ")
    checkpoint, signatures = parse(text)
    assert checkpoint == HEAD
    assert [(s.name, s.key_id) for s in signatures] == [(ORIGIN, p.key_id) for p in (old, new)]
    signed = checkpoint.text.encode()
    assert [old.verifier.verify(signed, s.signature) for s in signatures] == [True, False]
    assert [new.verifier.verify(signed, s.signature) for s in signatures] == [False, True]


@given(
    size=st.integers(0, 2**63 - 1),
    root=st.binary(min_size=32, max_size=32),
    seeds=st.sets(st.integers(0, 255), min_size=1, max_size=16),
)
def test_any_note_is_read_back(size, root, seeds):
    pens = [Pen(seed, f"wit/ness-é-{seed}") for seed in seeds]
    checkpoint = Checkpoint(ORIGIN, size, root)
    text = note(checkpoint, pens)
    again, signatures = parse(text)
    assert again == checkpoint
    assert [p.verifier.key_id for p in pens] == [s.key_id for s in signatures]
    for pen, signature in zip(pens, signatures, strict=True):
        assert VerifierKey.parse(pen.verifier.format()) == pen.verifier
        assert pen.verifier.verify(again.text.encode(), signature.signature)


@given(st.data())
def test_a_changed_character_never_leaves_a_head_that_verifies(data):
    pen = Pen()
    text = note(HEAD, [pen])
    at = data.draw(st.integers(0, len(text) - 1))
    put = data.draw(st.sampled_from("\n 0aA=+/—\x00\u00a0") | st.just(""))
    changed = text[:at] + put + text[at + 1 :]
    if changed == text:
        return
    try:
        checkpoint, signatures = parse(changed)
    except ValueError:
        return
    for signature in signatures:
        known = (signature.name, signature.key_id) == (pen.name, pen.key_id)
        signed = checkpoint.text.encode()
        assert not (known and pen.verifier.verify(signed, signature.signature))


SIGNED = note(HEAD, [Pen()])
LINE = SIGNED.split("\n\n")[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cut short"),
        (HEAD.text, "cut short"),
        (HEAD.text + "\n", "cut short"),
        (SIGNED[:-1], "cut short"),
        (SIGNED + "\n", "cut short"),
        (f"{ORIGIN}\n42\n\n{LINE}", "2 lines before the blank line"),
        (f"{ORIGIN}\n42\n{ROOT_TEXT}\nextension\n\n{LINE}", "4 lines before"),
        (f"\n42\n{ROOT_TEXT}\n\n{LINE}", "name ''"),
        (f"an origin\n42\n{ROOT_TEXT}\n\n{LINE}", "name 'an origin'"),
        *(
            (f"{ORIGIN}\n{size}\n{ROOT_TEXT}\n\n{LINE}", r"its size is|is no number of leaves")
            for size in (
                "", "042", "00", "-1", "+1", " 1", "1 ", "1_0", "4²", "٤", "0x1", str(2**63),
            )
        ),
        *(
            (f"{ORIGIN}\n42\n{root}\n\n{LINE}", "its root: .* is not base64")
            for root in (
                ROOT_TEXT[:-1], ROOT_TEXT + "=", ROOT_TEXT[:-2] + "9=", ROOT_TEXT + " ",
                "-" + ROOT_TEXT[1:], "é" + ROOT_TEXT[1:],
            )
        ),
        (f"{ORIGIN}\n42\nAAECAwQ=\n\n{LINE}", "a root has 32 bytes"),
        (SIGNED.replace("—", "-"), "em dash"),
        (SIGNED.replace("— ", "—"), "em dash"),
        (SIGNED.replace("— ", "—  "), "em dash"),
        (SIGNED.replace("— ", "—\u00a0"), "em dash"),
        (f"{HEAD.text}\n— {ORIGIN}\n", "em dash"),
        (f"{HEAD.text}\n— {ORIGIN} \n", "is not base64"),
        (f"{HEAD.text}\n— {ORIGIN} AAAAAA==\n", "4 bytes are no key id and signature"),
        (f"{HEAD.text}\n— a+b AAAAAAA=\n", r"name 'a\+b'"),
        (SIGNED + "garbage\n", "em dash"),
        (SIGNED.replace("\n", "\r\n"), "control characters"),
        (SIGNED.replace("42", "4\t2"), "control characters"),
        (SIGNED.replace("42", "\ud800"), "not UTF-8"),
        (HEAD.text + "\n" + LINE * 101, "101 signatures, and 100 are read"),
        (SIGNED + "x" * 256 * 1024, "no note has over 262144"),
    ],
)  # fmt: skip
def test_what_is_no_checkpoint_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_as_many_signatures_as_go_reads():
    _, signatures = parse(HEAD.text + "\n" + LINE * 100)
    assert len(signatures) == 100


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not NAME"),
        (GO_KEY.replace("+", " "), "not NAME"),
        (GO_KEY.replace("c74f20a3", "C74F20A3"), "not NAME"),
        (GO_KEY.replace("c74f20a3", "74f20a3"), "not NAME"),
        (GO_KEY.replace("c74f20a3", "c74f20a4"), "its id is not"),
        (GO_KEY.replace("Peter", "Pater"), "its id is not"),
        (GO_KEY.replace("PeterNeumann", ""), "name ''"),
        (GO_KEY[:-1], "is not base64"),
        (GO_KEY[:-4], "not an Ed25519 key"),
        (GO_KEY + "\n", "is not base64"),
        (GO_KEY.replace("+AR", "+BB"), "not an Ed25519 key"),
    ],
)
def test_what_is_no_public_key_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        VerifierKey.parse(text)


@pytest.mark.parametrize("name", ["a", "breachline/a/b", "é", "x" * 500, "a.b:c"])
def test_name(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a+b", "a\nb", "a\x00", "a\x7f", "a\u00a0b", "a\u2028b", "\ud800"]
)
def test_what_is_no_name_is_refused(name):
    with pytest.raises(ValueError, match="of a key or log"):
        check_name(name)


@pytest.mark.parametrize(
    "change", [{"origin": "a b"}, {"size": -1}, {"size": 2**63}, {"root": b"short"}]
)
def test_what_is_no_head_is_not_made(change):
    with pytest.raises(ValueError):
        replace(HEAD, **change)


def test_a_key_of_a_wrong_length_is_not_made():
    with pytest.raises(ValueError, match="32 bytes"):
        VerifierKey(ORIGIN, b"short")


@pytest.mark.parametrize(
    ("signers", "message"),
    [([], "no signer was given"), ([Pen(1), Pen(1)], f"{ORIGIN} signs twice")],
)
def test_note_needs_each_signer_once(signers, message):
    with pytest.raises(ValueError, match=message):
        note(HEAD, signers)


def test_what_is_parsed_is_a_value():
    assert parse(SIGNED)[1] == [Signature(ORIGIN, Pen().key_id, Pen().sign(HEAD.text.encode()))]
