"""Our heads and proofs, judged by Go's own code for its checksum database of modules."""

import base64
import json
import subprocess
from functools import cache
from pathlib import Path

import pytest

from evidence.checkpoint import Checkpoint, note, parse
from evidence.merkle import Tree
from evidence.signing import known_keys, load_signer, rotate
from tests._tree import Kept
from tests.stack._go import build
from tests.stack.conftest import or_skip

NAME = "breachline/default/evidence"
SIZES = (1, 2, 3, 4, 7, 8, 255, 256, 257, 1000, 65_535, 65_536, 65_537, 70_001)
LARGEST = max(SIZES)


@pytest.fixture(scope="module")
def ask_go(tmp_path_factory):
    """What Go says to a list of checks: {name: answer}."""
    program = tmp_path_factory.mktemp("sumdb") / "sumdb"
    with or_skip("Go's sumdb"):
        build(Path(__file__).parent / "sumdb", program)

    def ask(checks):
        told = subprocess.run(
            [program], input=json.dumps(checks), capture_output=True, text=True, check=True,
            timeout=60,
        ).stdout.splitlines()  # fmt: skip
        answers = {name: json.loads(text) for name, _, text in (t.partition(": ") for t in told)}
        assert len(answers) == len(told) == len(checks)
        return answers

    return ask


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    return load_signer(tmp_path_factory.mktemp("keys"), NAME, create=True)


@cache
def log():
    return Kept(record(index) for index in range(LARGEST))


def record(index):
    return b'{"at":%d,"commitment":"00","kind":"finding"}' % index


def text(data):
    return base64.b64encode(data).decode()


def signed(size, *signers, root=None):
    return note(Checkpoint(NAME, size, root or Tree(log()).root(size)), signers)


def included(name, signer, index, size, /, proof=None, **changes):
    """The claim that a record stands at an index."""
    proof = Tree(log()).inclusion(index, size) if proof is None else proof
    claim = {
        "name": name,
        "kind": "record",
        "keys": [signer.key.format()],
        "note": signed(size, signer),
        "index": index,
        "record": text(record(index)),
        "proof": [text(h) for h in proof],
    }
    return claim | changes


def extended(name, signer, old, new, /, proof=None, **changes):
    """The claim that the log of size `new` begins with that of size `old`."""
    proof = Tree(log()).consistency(old, new) if proof is None else proof
    claim = {
        "name": name,
        "kind": "tree",
        "keys": [signer.key.format()],
        "note": signed(new, signer),
        "old": signed(old, signer),
        "proof": [text(h) for h in proof],
    }
    return claim | changes


def opened(name, head, *keys):
    return {"name": name, "kind": "note", "keys": [k.format() for k in keys], "note": head}


def flipped(data, at=0):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def broken(proof):
    """A proof in every way that it can be slightly wrong."""
    for at, part in enumerate(proof):
        yield f"bit of {at}", [*proof[:at], flipped(part, 31), *proof[at + 1 :]]
        yield f"without {at}", [*proof[:at], *proof[at + 1 :]]
        yield f"twice {at}", [*proof[:at], part, *proof[at:]]
    yield "turned", proof[::-1]


def test_go_opens_our_notes(ask_go, signer, tmp_path):
    first = load_signer(tmp_path, NAME, create=True)
    with rotate(tmp_path, NAME) as (old, new):
        both = signed(7, old, new)
    assert known_keys(tmp_path) == [first.key, new.key]
    head = signed(7, signer)
    other_root = head.replace("\n7\n", "\n8\n")
    signature = parse(head)[1][0]
    forged = head.replace(
        text(signature.key_id + signature.signature),
        text(signature.key_id + flipped(signature.signature, 40)),
    )
    assert forged != head
    assert ask_go(
        [
            opened("ours", head, signer.key),
            opened("both, both known", both, *known_keys(tmp_path)),
            opened("both, old known", both, old.key),
            opened("both, new known", both, new.key),
            opened("another's", head, new.key),
            opened("other text", other_root, signer.key),
            opened("one bit", forged, signer.key),
            opened("cut", head[:-1], signer.key),
        ]
    ) == {
        "ours": "1 verified, 0 unknown",
        "both, both known": "2 verified, 0 unknown",
        "both, old known": "1 verified, 1 unknown",
        "both, new known": "1 verified, 1 unknown",
        "another's": "refused: note has no verifiable signatures",
        "other text": f"refused: invalid signature for key {NAME}+{signer.key_id.hex()}",
        "one bit": f"refused: invalid signature for key {NAME}+{signer.key_id.hex()}",
        "cut": "refused: malformed note",
    }


def test_go_signs_with_our_key_file_what_we_sign(ask_go, tmp_path):
    signer = load_signer(tmp_path, NAME, create=True)
    private = (tmp_path / "keys/ledger.key").read_text().removesuffix("\n")
    checkpoint = Checkpoint(NAME, 5, Tree(log()).root(5))
    check = {"name": "it", "kind": "sign", "keys": [private], "text": checkpoint.text}
    assert ask_go([check]) == {"it": note(checkpoint, [signer])}


def test_go_finds_every_record_where_we_say(ask_go, signer):
    checks = [
        included(f"{index} of {size}", signer, index, size)
        for size in SIZES
        for index in sorted({0, 1, 255, 256, size // 3, 65_535, 65_536, size - 2, size - 1})
        if 0 <= index < size
    ]
    assert len(checks) > 60
    assert ask_go(checks) == {check["name"]: "holds" for check in checks}


def test_go_agrees_that_the_log_only_grew(ask_go, signer):
    checks = [
        extended(f"{old} to {new}", signer, old, new)
        for old in SIZES
        for new in SIZES
        if old <= new
    ]
    assert len(checks) == len(SIZES) * (len(SIZES) + 1) // 2
    assert ask_go(checks) == {check["name"]: "holds" for check in checks}


@pytest.mark.parametrize(("index", "size"), [(0, 2), (2, 3), (256, 1000), (65_536, LARGEST)])
def test_go_refuses_a_record_whose_proof_was_changed(ask_go, signer, index, size):
    proof = Tree(log()).inclusion(index, size)
    wrong = [
        included(how, signer, index, size, proof=parts)
        for how, parts in broken(proof)
        if parts != proof
    ]
    wrong += [
        included("other record", signer, index, size, record=text(flipped(record(index)))),
        included("other place", signer, index, size, index=index ^ 1),
        included("beyond", signer, index, size, index=size),
        included("other head", signer, index, size, note=signed(size - 1, signer)),
        included("other root", signer, index, size, note=signed(size, signer, root=bytes(32))),
    ]
    answers = ask_go(wrong)
    assert {name for name in answers if not answers[name].startswith("refused: ")} == set()
    assert answers["other record"] == "refused: invalid transparency proof"


@pytest.mark.parametrize(("old", "new"), [(1, 2), (3, 4), (257, 1000), (65_535, LARGEST)])
def test_go_refuses_a_history_that_was_changed(ask_go, signer, old, new):
    proof = Tree(log()).consistency(old, new)
    wrong = [
        extended(how, signer, old, new, proof=parts)
        for how, parts in broken(proof)
        if parts != proof
    ]
    rewritten = Kept(record(index + (index == old - 1)) for index in range(old)).frontier.root()
    before, after = signed(old, signer), signed(new, signer)
    wrong += [
        extended("rewritten", signer, old, new, old=signed(old, signer, root=rewritten)),
        extended("turned heads", signer, old, new, note=before, old=after),
        extended("other root", signer, old, new, note=signed(new, signer, root=bytes(32))),
    ]
    answers = ask_go(wrong)
    assert {name for name in answers if not answers[name].startswith("refused: ")} == set()
    assert answers["rewritten"] == "refused: invalid transparency proof"


def test_go_refuses_a_head_of_another_key(ask_go, signer, tmp_path):
    thief = load_signer(tmp_path, NAME, create=True)
    claims = [
        included("record", signer, 3, 8, note=signed(8, thief)),
        extended("tree", signer, 3, 8, note=signed(8, thief)),
        extended("old", signer, 3, 8, old=signed(3, thief)),
    ]
    refused = "refused: note has no verifiable signatures"
    assert ask_go(claims) == dict.fromkeys(("record", "tree", "old"), refused)
