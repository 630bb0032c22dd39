"""The first module of the program: Ctrl-C ends it cleanly even while it is still being loaded.

Nothing comes in, a process ends. An import that is interrupted prints Python's own traceback, so
that until a command is at work, and again once it has ended, Ctrl-C leaves at once. It must never
import anything that takes time.
"""

import os
import signal


def main() -> None:
    """Run the program; exits with the contract's code."""
    leave_at_once()
    from console.main import main as program  # noqa: PLC0415  under the handler set above

    program()


def leave_at_once() -> None:
    """From here on Ctrl-C ends the process; where it is ignored (nohup, a job of cron) it stays so.

    MUST NOT be called while something is at work that has to be put back in order.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def be_interruptible() -> None:
    """From here on Ctrl-C raises KeyboardInterrupt, so that a command ends in order."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(*_: object) -> None:
    try:  # noqa: SIM105  contextlib takes time
        os.write(2, b"Stopped.\n")
    except OSError:
        pass
    os._exit(130)
