"""A double of Elasticsearch on loopback that is searched: points in time, pages, their end."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from evidence.elastic.client import Options


class Searched:
    """Gives its documents, whatever is asked for; `asked` has every search, `open` the views."""

    def __init__(self, documents, *, keep=lambda _query, _document: True):
        self.documents = documents
        self.keep = keep
        """(query, document): whether it is an answer; a test that narrows says how."""
        self.asked = []
        self.open = set()
        self.refuses = None
        """(number of the search from which on, status, body)."""
        self._views = 0

    @property
    def options(self):
        return Options(hosts=(f"http://127.0.0.1:{self._http.server_port}",))

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
        if method == "POST" and path.endswith("/_pit"):
            self._views += 1
            self.open.add(f"view-{self._views}")
            return 200, {"id": f"view-{self._views}"}
        if method == "DELETE":
            self.open.discard(body["id"])
            return 200, {"succeeded": True}
        assert path == "/_search"
        assert body["pit"]["id"] in self.open
        self.asked.append(body)
        if self.refuses is not None and len(self.asked) >= self.refuses[0]:
            return self.refuses[1:]
        (order,) = body["sort"][0].values()
        hits = [
            {"_index": "i", "_id": str(n), "_source": one, "sort": [one.get("@timestamp"), n]}
            for n, one in enumerate(self.documents)
            if self.keep(body["query"], one)
        ]
        hits.sort(key=lambda hit: str(hit["sort"][0]), reverse=order["order"] == "desc")
        places = [hit["sort"] for hit in hits]
        start = places.index(body["search_after"]) + 1 if body.get("search_after") else 0
        found = hits[start : start + body["size"]]
        return 200, {"pit_id": body["pit"]["id"], "timed_out": False, "hits": {"hits": found}}


def _handler(server):
    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            status, said = server.answer(self.command, path, json.loads(body) if body else None)
            whole = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(whole)))
            self.end_headers()
            self.wfile.write(whole)

        do_POST = do_DELETE = answer  # noqa: N815  names of http.server

        def log_message(self, *_):
            pass

    return Handler
