"""The shell: sources of bytes, the embedded runner, the Faust app, checkpoints, clocks, settings.

Everything that touches files, sockets, brokers or wall time is here; no judgement is.
"""
