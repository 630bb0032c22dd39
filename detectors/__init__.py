"""Signals of one key in, Findings out: pure, no clock, no network, no framework, no thread.

`_base.py` is the guide to writing a detector; `engine.py` runs all that stand here.
"""
