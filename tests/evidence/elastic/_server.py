"""A double of Elasticsearch on loopback: templates, mappings, retention, privileges."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from evidence.elastic.client import Options, connect

Body = dict[str, Any]


class Server:
    """What is set here is answered; `changed` has every request that changes something."""

    def __init__(self):
        self.templates: dict[str, Body] = {}
        self.mappings: dict[str, dict[str, Body]] = {}
        """Name of an index or stream -> its backing indices -> mappings."""
        self.lifecycles: dict[str, Body] = {}
        self.unknown_types: list[str] = []
        self.without: set[str] = set()
        """Names of calls that this server was built without."""
        self.refuses: dict[str, tuple[int, Body]] = {}
        """Beginning of a path -> what a change there is answered."""
        self.refuses_to_read: dict[str, tuple[int, Body]] = {}
        """The same of what is asked."""
        self.denied: set[str] = set()
        """Privileges that this client has not."""
        self.version = "9.5.3"
        self.newest_sequence: float | None = None
        self.changed: list[str] = []

    @property
    def url(self):
        """What clients take as a host, inside of `with`."""
        return f"http://127.0.0.1:{self._http.server_port}"

    def client(self):
        """A client of this server; close it."""
        return connect(Options(hosts=(self.url,)))

    def __enter__(self):
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_fault):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def answer(self, method, path, body):
        """The status and the JSON for one request."""
        if path == "/":
            return 200, {"version": {"number": self.version}}
        for name in self.without:
            if name in path:
                return 400, {"error": f"no handler found for uri [{path}] and method [{method}]"}
        if path == "/_index_template/_simulate":
            return self._simulated(body["template"]["mappings"]["properties"])
        if path == "/_security/user/_has_privileges":
            return 200, self._privileges(body)
        if method in {"PUT", "POST"} and not path.endswith("/_search"):
            self.changed.append(f"{method} {path}")
        refuses = self.refuses if method != "GET" else self.refuses_to_read
        for begin, refused in refuses.items():
            if path.startswith(begin):
                return refused
        if kind := re.match(r"/_(component|index)_template/(.+)", path):
            return self._template(method, path, kind[1], body)
        if path.endswith("/_search"):
            return 200, {"aggregations": {"newest": {"value": self.newest_sequence}}}
        if path.endswith("/_lifecycle"):
            return self._lifecycle(method, path.split("/")[2], body)
        return self._index(method, path.split("/")[1], path.split("/")[2], body)

    def _simulated(self, properties):
        for one in self.unknown_types:
            if one in {field["type"] for field in properties.values()}:
                reason = f"The mapper type [{one}] declared on field [x] does not exist."
                return refusal(400, "mapper_parsing_exception", reason)
        return 200, {"template": {}}

    def _privileges(self, body):
        return {
            "cluster": {name: name not in self.denied for name in body["cluster"]},
            "index": {
                pattern: {name: name not in self.denied for name in block["privileges"]}
                for block in body["index"]
                for pattern in block["names"]
            },
        }

    def _template(self, method, path, kind, body):
        if method == "PUT":
            self.templates[path] = body
            return 200, {"acknowledged": True}
        if path not in self.templates:
            return refusal(404, "resource_not_found_exception", f"{path} not found")
        # As the real one answers: with dates, and with what it assumes of a stream.
        found = {**self.templates[path], "created_date_millis": 1}
        if "data_stream" in found:
            found["data_stream"] = {"hidden": False, "allow_custom_routing": False}
        return 200, {f"{kind}_templates": [{f"{kind}_template": found}]}

    def _lifecycle(self, method, name, body):
        if name not in self.mappings:
            return refusal(404, "index_not_found_exception", f"no such index [{name}]")
        if method == "PUT":
            self.lifecycles[name] = body
            return 200, {"acknowledged": True}
        one = {"name": name}
        if name in self.lifecycles:
            one["lifecycle"] = self.lifecycles[name]
        return 200, {"data_streams": [one]}

    def _index(self, method, name, verb, body):
        if name not in self.mappings:
            return refusal(404, "index_not_found_exception", f"no such index [{name}]")
        if verb == "_rollover":
            generation = f".ds-{name}-2026.11.22-{len(self.mappings[name]) + 1:06}"
            self.mappings[name][generation] = self.mapped_by_templates()
        elif method == "PUT":
            for mapping in self.mappings[name].values():
                mapping["properties"] = {**mapping.get("properties", {}), **body["properties"]}
        else:
            found = self.mappings[name].items()
            return 200, {index: {"mappings": mapping} for index, mapping in found}
        return 200, {"acknowledged": True}

    def mapped_by_templates(self):
        """What an index has that is made now."""
        properties: Body = {}
        for path, body in self.templates.items():
            if path.startswith("/_component"):
                properties |= body["template"].get("mappings", {}).get("properties", {})
        return {"dynamic": "false", "properties": properties}


def _handler(server):
    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            path = unquote(self.path.partition("?")[0])
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, said = server.answer(self.command, path, json.loads(body) if body else None)
            whole = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(whole)))
            self.end_headers()
            self.wfile.write(whole)

        do_GET = do_PUT = do_POST = answer  # noqa: N815  names of http.server

        def log_message(self, *_):
            pass

    return Handler


def refusal(status, kind, reason):
    """An error as Elasticsearch words it."""
    return status, {"error": {"type": kind, "reason": reason}, "status": status}
