"""The verifier's arithmetic, held against the standard word for word, and against the writer's."""

from hashlib import sha256

import pytest

from evidence.merkle import Tree
from evidence.verify.tree import NOTHING, Growing, is_extended, is_included, leaf_hash

MOST = 70
LEAVES = [leaf_hash(bytes([n])) for n in range(MOST)]


class Kept:
    """The writer's side."""

    def leaves(self, start, end):
        return LEAVES[start:end]

    def node(self, _level, _number):
        return None


def naive(hashes):
    """RFC 6962, 2.1."""
    if len(hashes) < 2:
        return hashes[0] if hashes else sha256(b"").digest()
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return sha256(b"\1" + naive(hashes[:k]) + naive(hashes[k:])).digest()


ROOTS = [naive(LEAVES[:n]) for n in range(MOST + 1)]
TREE = Tree(Kept())


def test_a_leaf_is_hashed_as_the_standard_says():
    assert leaf_hash(b"x") == sha256(b"\0x").digest()
    assert sha256(b"").digest() == NOTHING


def test_a_growing_tree_has_the_root_of_each_size():
    tree = Growing()
    assert tree.root() == ROOTS[0]
    for size, hashed in enumerate(LEAVES, 1):
        tree.add(hashed)
        assert (tree.size, tree.root()) == (size, ROOTS[size])


def test_a_copy_goes_on_by_itself():
    tree = Growing()
    for hashed in LEAVES[:5]:
        tree.add(hashed)
    assert tree.root_with(LEAVES[5:9]) == ROOTS[9]
    assert (tree.size, tree.root()) == (5, ROOTS[5])


def test_every_eighth_level_is_told():
    tree, told = Growing(), []
    hashes = [leaf_hash(b"%d" % n) for n in range(700)]
    for hashed in hashes:
        tree.add(hashed)
        told += tree.byte_nodes
        tree.byte_nodes.clear()
    assert told == [(8, n, naive(hashes[n * 256 : (n + 1) * 256])) for n in range(2)]


def test_every_inclusion_proof_fits_its_place_alone():
    for size in range(1, 35):
        for index in range(size):
            proof = TREE.inclusion(index, size)
            assert is_included(index, LEAVES[index], size, proof, ROOTS[size])
            other = (index + 1) % size
            if other != index:
                assert not is_included(other, LEAVES[index], size, proof, ROOTS[size])
                assert not is_included(index, LEAVES[other], size, proof, ROOTS[size])
            assert not is_included(index, LEAVES[index], size, [*proof, NOTHING], ROOTS[size])
            assert not is_included(index, LEAVES[index], size, proof, ROOTS[size + 1])
            if proof:
                assert not is_included(index, LEAVES[index], size, proof[1:], ROOTS[size])
                assert not is_included(index, LEAVES[index], size, proof[:-1], ROOTS[size])


@pytest.mark.parametrize("index", [-1, 3, 4])
def test_a_place_outside_of_the_tree_is_refused(index):
    assert not is_included(index, LEAVES[0], 3, TREE.inclusion(0, 3), ROOTS[3])


def test_every_consistency_proof_fits_its_sizes_alone():
    for new in range(35):
        for old in range(new + 1):
            proof = TREE.consistency(old, new)
            assert is_extended(old, ROOTS[old], new, ROOTS[new], proof)
            assert not is_extended(old, ROOTS[old], new, ROOTS[new], [*proof, NOTHING])
            if old:
                assert not is_extended(old, ROOTS[old + 1], new, ROOTS[new], proof)
                assert not is_extended(old, ROOTS[old], new, ROOTS[new + 1], proof)
            if proof:
                assert not is_extended(old, ROOTS[old], new, ROOTS[new], proof[1:])
                assert not is_extended(old, ROOTS[old], new, ROOTS[new], proof[:-1])
    assert not is_extended(0, ROOTS[1], 3, ROOTS[3], [])
    assert not is_extended(4, ROOTS[4], 3, ROOTS[3], [])
    assert not is_extended(-1, ROOTS[0], 3, ROOTS[3], [])
