"""What is kept: the embedded store, the append-only log, the history of access events, bundles.

Stands before incidents/ and responders/, which store through it and are never called by it.
"""
