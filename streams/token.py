"""Finds the token of an enforcement point at the moment it is needed.

In: settings that name an environment variable or a file. Out: a SecretStr, which shows itself to
nobody. It must never put the token, or bytes of its file, into an exception.
"""

from collections.abc import Callable, Mapping

from pydantic import SecretStr

from responders.settings import GatewaySettings


def token_reader(
    settings: GatewaySettings, environ: Mapping[str, str]
) -> Callable[[], SecretStr | None]:
    """Reads the gateway's token anew at each call, so that a rotated file is taken up.

    The callable gives None where no token is configured, and raises LookupError, with words for a
    person and never with the token, where the configured place does not hold one.
    """

    def read() -> SecretStr | None:
        name, file = settings.token_name, settings.token_file
        if not name:
            return None
        try:
            token = file.read_text("utf-8") if file else environ.get(name[1:], "")
        except (OSError, UnicodeDecodeError):  # the latter quotes the bytes, which are the token
            token = ""
        if not token.strip():
            todo = f"{name} cannot be read or is empty" if file else f"set {name} and restart"
            raise LookupError(f"the token is missing: {todo}")
        return SecretStr(token.strip())

    return read
