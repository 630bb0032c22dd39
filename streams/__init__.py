"""The shell: sources, stages in order, checkpoints, settings and the clock. No judgement here."""
