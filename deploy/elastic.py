"""Sets up Elasticsearch once it answers: the `elastic-setup` service.

The password of `elastic` comes in as a file and is used here only. Kibana's password is set, and an
API key that can do no more than the worker must goes out, as a file. A key that still works stays.
"""

import base64
import json
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from deploy.prepare import write
from evidence.elastic.roles import SETUP, WRITER

URL = "https://elasticsearch:9200"
# `es setup` comes in with the worker's configuration, and so with its key: `elastic-templates`.
ROLES = {"breachline_writer": WRITER, "breachline_setup": SETUP}
TIMEOUT_S = 30

Answer = dict[str, Any]
"""A JSON object."""


class Elasticsearch:
    """JSON requests to one server, which must show the certificate that `context` trusts."""

    def __init__(self, url: str, context: ssl.SSLContext | None) -> None:
        self._url = url
        self._context = context

    def ask(self, method: str, path: str, authorization: str, body: object = None) -> Answer:
        """What it answers to one request.

        Raises:
            urllib.error.HTTPError: it refuses.
            OSError: it does not answer.
        """
        request = urllib.request.Request(  # noqa: S310  the URL is ours
            f"{self._url}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": authorization, "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=self._context) as answer:  # noqa: S310
            found: Answer = json.load(answer)
            return found


def set_up(server: Elasticsearch, setup: Path, worker: Path) -> None:
    """Give Kibana its password, and the worker a key in `worker`/api_key unless its own works."""
    password = (setup / "elastic_password").read_text()
    elastic = "Basic " + base64.b64encode(f"elastic:{password}".encode()).decode()
    kibana = {"password": (setup / "kibana_password").read_text()}
    server.ask("POST", "/_security/user/kibana_system/_password", elastic, kibana)
    key_file = worker / "api_key"
    if not (key_file.exists() and _works(server, key_file.read_text())):
        wanted = {"name": "breachline", "role_descriptors": ROLES}
        answer = server.ask("POST", "/_security/api_key", elastic, wanted)
        write(key_file, answer["encoded"])


def _works(server: Elasticsearch, key: str) -> bool:
    try:
        server.ask("GET", "/_security/_authenticate", f"ApiKey {key}")
    except urllib.error.HTTPError as error:
        if error.code != 401:
            raise
        return False
    return True


if __name__ == "__main__":
    secrets = Path(sys.argv[1])
    trusted = ssl.create_default_context(cafile=secrets / "setup/elasticsearch.crt")
    try:
        set_up(Elasticsearch(URL, trusted), secrets / "setup", secrets / "worker")
    except OSError as error:
        sys.exit(f"elastic-setup: asking {URL}: {error}")
