"""Findings, exposures and receipts in; incidents and actions out. Pure: no clock, no I/O."""
