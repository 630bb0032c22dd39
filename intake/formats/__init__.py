"""One log format a file; a module with a `FORMAT` is found here by its presence (`_base.py`)."""
