"""Makes what the parts need to know each other, before any of them starts: the `init` service.

Passwords come in as variables of this one container; files go out, each to the volume of the part
that may read it: passwords, certificates, and the keys that all workers share. What is there
stays, so that a second `make up` changes nothing. No password may stand in a message or in the
words of a command, which everybody on the host can list.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from evidence.keys import load_digest_key
from evidence.settings import Ledger
from evidence.signing import load_signer

PASSWORDS = ("ELASTIC_PASSWORD", "KIBANA_PASSWORD", "KIBANA_ENCRYPTION_KEY", "KAFKA_PASSWORD")
VALID_DAYS = "3650"
CLUSTER_ID = "YnJlYWNobGluZS1rYWZrYQ"


def prepare(root: Path, env: Mapping[str, str]) -> None:
    """Write every file below `root`, one folder (a volume) for each part.

    Raises:
        ValueError: a password is missing, short, or has signs that would need quoting.
    """
    passwords = {name: _password(name, env) for name in PASSWORDS}
    load_digest_key(root, create=True)
    load_signer(root, Ledger().origin, create=True)

    kafka_key, kafka_certificate = _certificate(root / "kafka", "kafka")
    write(root / "kafka/server.pem", kafka_key + kafka_certificate)
    # Kafka's tool reads its arguments from a file, one a line, where `ps` does not show them.
    scram = f"SCRAM-SHA-512=[name=breachline,password={passwords['KAFKA_PASSWORD']}]"
    words = ("format", "--ignore-formatted", "--cluster-id", CLUSTER_ID, "--config")
    write(
        root / "kafka/format.args",
        "\n".join((*words, "/etc/breachline/kafka.properties", "--add-scram", scram)) + "\n",
    )
    write(root / "client/kafka_password", passwords["KAFKA_PASSWORD"])
    write(root / "client/kafka.crt", kafka_certificate)

    _, certificate = _certificate(root / "elasticsearch", "elasticsearch")
    write(root / "elasticsearch/password", passwords["ELASTIC_PASSWORD"])
    write(root / "setup/elastic_password", passwords["ELASTIC_PASSWORD"])
    write(root / "setup/kibana_password", passwords["KIBANA_PASSWORD"])
    for part in ("setup", "kibana", "worker"):
        write(root / part / "elasticsearch.crt", certificate)
    write(
        root / "kibana/kibana.yml",
        f'elasticsearch.password: "{passwords["KIBANA_PASSWORD"]}"\n'
        f'xpack.encryptedSavedObjects.encryptionKey: "{passwords["KIBANA_ENCRYPTION_KEY"]}"\n',
    )


def _password(name: str, env: Mapping[str, str]) -> str:
    value = env.get(name, "")
    if not re.fullmatch(r"[A-Za-z0-9_-]{32,128}", value):
        raise ValueError(
            f"reading {name}: it must have 32 to 128 letters, digits, - or _: "
            "remove its line from deploy/.env, and `make up` will make one"
        )
    return value


def _certificate(folder: Path, host: str) -> tuple[str, str]:
    """Key and certificate of a server, in PEM, made if there are none.

    Each vouches for itself and is trusted by name, so no authority's key is left lying about. They
    are valid for long: a server reads its own only when it starts, and a new one would part it from
    its clients.
    """
    key, certificate = folder / "server.key", folder / "server.crt"
    if not certificate.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / "server.crt.new"
        key.unlink(missing_ok=True)
        subprocess.run(  # noqa: S603  our own words
            (  # noqa: S607  where openssl is, the image says
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-days", VALID_DAYS, "-subj", f"/CN={host}",
                "-addext", f"subjectAltName=DNS:{host},DNS:localhost,IP:127.0.0.1",
                "-keyout", str(key), "-out", str(unfinished),
            ),
            check=True, capture_output=True,
        )  # fmt: skip
        key.chmod(0o400)
        unfinished.replace(certificate)
    return key.read_text(), certificate.read_text()


def write(path: Path, text: str) -> None:
    """Replace a file by one that only its owner can read; a reader sees the old or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o400)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


if __name__ == "__main__":
    try:
        prepare(Path(sys.argv[1]), os.environ)
    except (OSError, ValueError) as error:
        sys.exit(f"init: {error}")
