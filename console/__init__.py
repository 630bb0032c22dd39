"""The shell for people: the commands, and the simulator that writes them logs to try."""
