"""Bytes in; judged AccessEvents, signals, exposures and rejects out. Pure: no clock, no network."""
