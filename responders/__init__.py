"""Actions in, receipts out: one effect a file; plan() is pure, perform() does the I/O.

Nothing here decides whether to act, when to retry, or what time it is.
"""
