import hashlib
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.merkle import Frontier, Tree, leaf_hash, node_hash
from tests._tree import Kept

# The trees of Certificate Transparency's own tests (merkle_tree_test), and what they come to.
REFERENCE = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAF_0 = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
LEAF_1 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
LEAF_4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
LEAVES_01 = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
LEAVES_23 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
LEAVES_45 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
LEAVES_67 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
LEAVES_0123 = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
LEAVES_4567 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"

SIZES = (1, 2, 3, 255, 256, 257, 511, 512, 700, 65_535, 65_536, 65_537, 66_000)


# The definitions of RFC 6962 (2.1), word by word, over hashes of leaves.


def split(count):
    return next(2**k for k in range(64) if 2**k < count <= 2 ** (k + 1))


def mth(hashes):
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = split(len(hashes))
    return hashlib.sha256(b"\x01" + mth(hashes[:k]) + mth(hashes[k:])).digest()


def path(m, hashes):
    if len(hashes) == 1:
        return []
    k = split(len(hashes))
    if m < k:
        return [*path(m, hashes[:k]), mth(hashes[k:])]
    return [*path(m - k, hashes[k:]), mth(hashes[:k])]


def subproof(m, hashes, whole):
    if m == len(hashes):
        return [] if whole else [mth(hashes)]
    k = split(len(hashes))
    if m <= k:
        return [*subproof(m, hashes[:k], whole), mth(hashes[k:])]
    return [*subproof(m - k, hashes[k:], False), mth(hashes[:k])]


# How a reader of RFC 9162 (2.1.3.2, 2.1.4.2) checks a proof.


def root_from_path(leaf, index, size, proof):
    last = size - 1
    for other in proof:
        assert last > 0
        if index % 2 or index == last:
            leaf = node_hash(other, leaf)
            while not index % 2 and index:
                index, last = index // 2, last // 2
        else:
            leaf = node_hash(leaf, other)
        index, last = index // 2, last // 2
    assert last == 0
    return leaf


def roots_from_consistency(old, new, old_root, proof):
    if old & (old - 1) == 0:
        proof = [old_root, *proof]
    index, last = old - 1, new - 1
    while index % 2:
        index, last = index // 2, last // 2
    before = after = proof[0]
    for other in proof[1:]:
        assert last > 0
        if index % 2 or index == last:
            before, after = node_hash(other, before), node_hash(other, after)
            while not index % 2 and index:
                index, last = index // 2, last // 2
        else:
            after = node_hash(after, other)
        index, last = index // 2, last // 2
    assert last == 0
    return before, after


@cache
def large():
    return Kept(str(n).encode() for n in range(max(SIZES)))


def test_roots_of_the_reference_trees():
    kept = Kept(REFERENCE)
    assert [Tree(kept).root(size).hex() for size in range(9)] == ROOTS
    frontier = Frontier()
    grown = [frontier.root().hex()]
    for leaf in REFERENCE:
        frontier.append(leaf_hash(leaf))
        grown.append(frontier.root().hex())
    assert grown == ROOTS
    assert (frontier.size, frontier.take_complete()) == (8, [])


@pytest.mark.parametrize(
    ("index", "size", "expected"),
    [
        (0, 1, []),
        (0, 2, [LEAF_1]),
        (1, 2, [LEAF_0]),
        (2, 3, [LEAVES_01]),
        (1, 5, [LEAF_0, LEAVES_23, LEAF_4]),
        (4, 5, [LEAVES_0123]),
        (0, 8, [LEAF_1, LEAVES_23, LEAVES_4567]),
        (5, 8, [LEAF_4, LEAVES_67, LEAVES_0123]),
    ],
)
def test_inclusion_in_the_reference_trees(index, size, expected):
    assert [h.hex() for h in Tree(Kept(REFERENCE)).inclusion(index, size)] == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (0, 0, []),
        (0, 8, []),
        (1, 1, []),
        (8, 8, []),
        (1, 8, [LEAF_1, LEAVES_23, LEAVES_4567]),
        (2, 5, [LEAVES_23, LEAF_4]),
        (4, 8, [LEAVES_4567]),
        (6, 8, [LEAVES_45, LEAVES_67, LEAVES_0123]),
    ],
)
def test_consistency_of_the_reference_trees(old, new, expected):
    assert [h.hex() for h in Tree(Kept(REFERENCE)).consistency(old, new)] == expected


@given(data=st.data(), size=st.integers(1, 1200))
def test_all_is_as_the_definition_says(data, size):
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size))
    kept = large()
    hashes = kept.hashes[:size]
    tree = Tree(kept)
    assert tree.root(size) == mth(hashes)
    assert tree.inclusion(index, size) == path(index, hashes)
    assert tree.consistency(old, size) == subproof(old, hashes, True)
    frontier = Frontier.resume(kept, old)
    for leaf in hashes[old:]:
        frontier.append(leaf)
    assert (frontier.size, frontier.root()) == (size, mth(hashes))


@given(st.data())
def test_proofs_lead_to_the_roots(data):
    kept = large()
    size = data.draw(st.sampled_from(SIZES) | st.integers(1, max(SIZES)))
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size))
    tree = Tree(kept)
    root = tree.root(size)
    assert root == mth(kept.hashes[:size])
    proof = tree.inclusion(index, size)
    assert root_from_path(kept.hashes[index], index, size, proof) == root
    if old < size:
        before = tree.root(old)
        proof = tree.consistency(old, size)
        assert roots_from_consistency(old, size, before, proof) == (before, root)


@pytest.mark.parametrize("size", SIZES)
def test_frontier_goes_on_from_what_is_kept(size):
    kept = large()
    frontier = Frontier.resume(kept, size)
    assert (frontier.size, frontier.root()) == (size, mth(kept.hashes[:size]))
    for leaf in kept.hashes[size:]:
        frontier.append(leaf)
    later = {place: kept.nodes[place] for place in kept.nodes if (place[1] + 1) << place[0] > size}
    assert {(level, number): node for level, number, node in frontier.take_complete()} == later
    assert frontier.take_complete() == []
    assert frontier.root() == mth(kept.hashes)


def test_every_eighth_level_of_complete_subtrees_is_kept():
    kept = large()
    assert sorted(kept.nodes) == [*((8, n) for n in range(max(SIZES) // 256)), (16, 0)]
    assert kept.nodes[8, 3] == mth(kept.hashes[768:1024])
    assert kept.nodes[16, 0] == mth(kept.hashes[:65_536])


@pytest.mark.parametrize("lost", [{8}, {16}, {8, 16}])
def test_what_is_not_kept_is_computed(lost):
    whole, partial = large(), Kept()
    partial.hashes = whole.hashes
    partial.nodes = {place: whole.nodes[place] for place in whole.nodes if place[0] not in lost}
    size = max(SIZES)
    assert Tree(partial).root(size) == Tree(whole).root(size)
    assert Tree(partial).inclusion(300, size) == Tree(whole).inclusion(300, size)
    assert Tree(partial).consistency(300, size) == Tree(whole).consistency(300, size)
    assert Frontier.resume(partial, size).root() == whole.frontier.root()


class Uniform:
    """A log of any size whose leaves are all equal, so that subtrees of one level are too."""

    def __init__(self):
        self.read = 0
        self.levels = [leaf_hash(b"x")]
        for _ in range(64):
            self.levels.append(node_hash(self.levels[-1], self.levels[-1]))

    def leaves(self, start, end):
        self.read += end - start
        return [self.levels[0]] * (end - start)

    def node(self, level, number):
        self.read += 1
        return self.levels[level]


@pytest.mark.parametrize(
    "size", [2**40 - 1, 2**40, 2**40 + 2**39 + 12_345, 987_654_321_012_345], ids=hex
)
def test_cost_grows_with_the_levels_and_not_with_the_leaves(size):
    most = 512 * (size.bit_length() // 8 + 1)
    levels = Uniform().levels

    def read(ask):
        nodes = Uniform()
        return ask(nodes), nodes.read

    root, cost = read(lambda nodes: Tree(nodes).root(size))
    assert cost <= most
    for index in (0, size // 3, size - 1):
        proof, cost = read(lambda nodes, index=index: Tree(nodes).inclusion(index, size))
        assert root_from_path(levels[0], index, size, proof) == root
        assert cost <= most
    for old in (1, size // 3, size - 1):
        before = Tree(Uniform()).root(old)
        proof, cost = read(lambda nodes, old=old: Tree(nodes).consistency(old, size))
        assert roots_from_consistency(old, size, before, proof) == (before, root)
        assert cost <= most
    frontier, cost = read(lambda nodes: Frontier.resume(nodes, size))
    assert (frontier.root(), frontier.size) == (root, size)
    assert cost <= most


def test_neighbours_read_what_is_not_yet_known(monkeypatch):
    kept = Kept(str(n).encode() for n in range(512))
    tree = Tree(kept)
    first = [tree.inclusion(index, 512) for index in range(512)]
    assert kept.read == 8 * 512 + 2  # each leaf once a level, and two kept nodes
    kept.read = 0
    assert [tree.inclusion(index, 512) for index in range(512)] == first
    assert kept.read == 0
    monkeypatch.setattr("evidence.merkle._MEMO_NODES", 5)
    small = Tree(kept)
    assert [small.inclusion(index, 512) for index in range(512)] == first
    assert len(small._memo) <= 5


@pytest.mark.parametrize(
    ("ask", "fault", "message"),
    [
        (lambda tree: tree.root(-1), ValueError, "root of -1 leaves"),
        (lambda tree: tree.root(9), LookupError, "leaves 8 to 8: the log has 0 of these 1"),
        (lambda tree: tree.root(16), LookupError, "leaves 0 to 15: the log has 8 of these 16"),
        (lambda tree: tree.inclusion(-1, 8), ValueError, "leaf -1 of 8"),
        (lambda tree: tree.inclusion(8, 8), ValueError, "leaf 8 of 8"),
        (lambda tree: tree.inclusion(0, 0), ValueError, "leaf 0 of 0"),
        (lambda tree: tree.inclusion(0, 9), LookupError, "leaves 8 to 8"),
        (lambda tree: tree.consistency(-1, 8), ValueError, "8 leaves extend -1"),
        (lambda tree: tree.consistency(8, 7), ValueError, "7 leaves extend 8"),
        (lambda tree: tree.consistency(8, 9), LookupError, "leaves 8 to 8"),
    ],
)
def test_what_the_log_has_not_reached_has_no_proof(ask, fault, message):
    with pytest.raises(fault, match=message):
        ask(Tree(Kept(REFERENCE)))


def test_frontier_does_not_resume_beyond_the_log():
    with pytest.raises(LookupError, match="leaves 8 to 8"):
        Frontier.resume(Kept(REFERENCE), 9)
