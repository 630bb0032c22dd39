"""Who is at the keyboard, for what is kept with a name. It must import nothing that takes time."""

import os
import pwd


def user_name() -> str:
    """As the system knows them: what the environment says is anybody's."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
