"""Checks what the log says of itself, and shares no code with what wrote it."""
