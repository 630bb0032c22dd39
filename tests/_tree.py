"""What a log keeps of its tree, in memory."""

from evidence.merkle import Frontier, leaf_hash


class Kept:
    """Nodes: the leaves and the complete subtrees of a log; counts what is read of them."""

    def __init__(self, leaves=()):
        self.hashes: list[bytes] = []
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.frontier = Frontier()
        self.read = 0
        for leaf in leaves:
            self.append(leaf)

    def append(self, leaf: bytes):
        self.hashes.append(leaf_hash(leaf))
        self.frontier.append(self.hashes[-1])
        self.nodes |= {place[:2]: place[2] for place in self.frontier.take_complete()}

    def leaves(self, start: int, end: int):
        assert start < end
        self.read += end - start
        return self.hashes[start:end]

    def node(self, level: int, number: int):
        assert level > 0
        assert level % 8 == 0
        self.read += 1
        return self.nodes.get((level, number))
