"""What a listener shows of itself over TLS, and what it asks of those who connect."""

import ssl
from pathlib import Path


def server_context(certificate: Path, key: Path | None, authorities: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or later with this certificate; with `authorities`, senders must show one of theirs.

    Raises:
        ValueError: a file cannot be used; the message names it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    files = [certificate, *([key] if key else [])]
    try:
        # Without a password of ours, OpenSSL would ask whoever sits at the terminal.
        context.load_cert_chain(certificate, key, password="")
        if authorities is not None:
            files = [authorities]
            context.load_verify_locations(authorities)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:
        # An SSLError is one, too.
        reason = getattr(error, "reason", None) or error.strerror or "not PEM"
        names = " and ".join(map(str, files))
        raise ValueError(
            f"reading {names}: {reason}; name PEM files that belong together"
        ) from error
    return context
