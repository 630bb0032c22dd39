"""The frozen values that cross rooms, their ids, and the Protocols of stores.

Nothing here imports anything of ours, reads a clock or does I/O.
"""
