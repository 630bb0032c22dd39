"""The parts of `make bench-evidence`, each beside the least that could do its work."""
