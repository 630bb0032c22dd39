"""Documents into Elasticsearch, many at a time: each ends up there once, or is handed back.

Documents come in, in an order that is kept; what became of them goes out. Every one counts as done
only when Elasticsearch has answered for it. It must not wait, repeat for ever, or set a document
aside for what is not its own fault: what may pass goes back to the caller with the wait.
"""

import asyncio
import zlib
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec
from elasticsearch import AsyncElasticsearch

from evidence.elastic.trouble import ERRORS, Cause, Trouble, refused, said, trouble

FIRST_DOCUMENTS: Final = 500
MOST_DOCUMENTS: Final = 5_000
MOST_BYTES: Final = 2**20
"""Before compression. More brought no more documents a second, and would hold up the loop."""
MOST_WAIT_S: Final = 60.0
_SMALL_BYTES = 4096
_QUICK, _CAREFUL = 2.0, 1.125
_GZIP = 16 + zlib.MAX_WBITS
_HEADERS = {"accept": "application/json", "content-type": "application/x-ndjson"}
_ASKED = {"filter_path": "errors,items.*.status,items.*.error.type,items.*.error.reason"}
_encode = msgspec.json.Encoder().encode


class Document(msgspec.Struct, frozen=True):
    """One document and where it belongs; `source` is JSON on one line.

    `create` leaves what stands under the id as it is. `index` replaces it, with a version only if
    that is higher than the one that stands there.
    """

    index: str
    id: str
    source: bytes
    op: Literal["create", "index"] = "create"
    version: int | None = None

    def __post_init__(self) -> None:
        if b"\n" in self.source:
            raise ValueError(f"document {self.id}: a line break would end it: write it without")
        if self.version is not None and self.op == "create":
            raise ValueError(f"document {self.id}: what is created has no version: use index")

    def lines(self) -> bytes:
        """As a bulk request has it."""
        about: dict[str, str | int] = {"_index": self.index, "_id": self.id}
        if self.version is not None:
            about |= {"version": self.version, "version_type": "external"}
        return b"%b\n%b\n" % (_encode({self.op: about}), self.source)


class Refused(msgspec.Struct, frozen=True):
    """A document that Elasticsearch will never take as it is."""

    document: Document
    reason: str
    """Without values of the document."""


class Sent(msgspec.Struct, frozen=True):
    """What became of documents[:done]: stored + already + len(refused) = done.

    Later ones may stand there too: sent again, they count as `already`.
    """

    stored: int
    already: int
    """It, or a newer version, stood there."""
    refused: list[Refused]
    trouble: Trouble | None
    """Why not all are done; send documents[done:] again, not before its wait is over."""
    done: int


class _Item(msgspec.Struct):
    status: int
    error: Cause = Cause()


class _Answer(msgspec.Struct):
    errors: bool
    items: list[dict[str, _Item]]


class Bulk:
    """Sends documents; one call at a time, or their order is lost."""

    def __init__(
        self,
        client: AsyncElasticsearch,
        *,
        most_documents: int = MOST_DOCUMENTS,
        most_bytes: int = MOST_BYTES,
        compress: bool = True,
    ) -> None:
        """A request never holds more than that, but for one document that does by itself."""
        self._client = client
        self._compress = compress
        self._most_documents = most_documents
        self._most_bytes = most_bytes
        self._documents = min(FIRST_DOCUMENTS, most_documents)
        self._bytes = most_bytes
        self._growth = _QUICK
        self._failures = 0

    async def send(self, documents: Sequence[Document]) -> Sent:
        """What became of them, up to the first trouble. Raises only for bugs."""
        sent = _Count()
        while sent.done < len(documents) and sent.trouble is None:
            batch, body = self._cut(documents, sent.done)
            answer = await self._ask(body, len(batch))
            if not isinstance(answer, Trouble):
                sent.take(batch, answer)
                self._adapt(sent.trouble, batch, body)
            elif answer.kind not in {"too_large", "document"}:
                sent.trouble = answer
                self._adapt(answer, batch, body)
            elif len(batch) == 1:
                # Nothing else was in the request: it is this one that cannot be sent.
                sent.set_aside(batch[0], answer)
            else:
                self._adapt(answer, batch, body)
        return sent.result(self._waiting(sent.trouble, progress=sent.done > 0))

    def _cut(self, documents: Sequence[Document], start: int) -> tuple[list[Document], bytes]:
        """As many as a request may hold now, and at least one; and the request's body."""
        batch: list[Document] = []
        parts: list[bytes] = []
        size = 0
        for at in range(start, min(start + self._documents, len(documents))):
            part = documents[at].lines()
            size += len(part)
            if parts and size > self._bytes:
                break
            batch.append(documents[at])
            parts.append(part)
        return batch, b"".join(parts)

    async def _ask(self, body: bytes, count: int) -> list[_Item] | Trouble:
        headers = _HEADERS
        if self._compress and len(body) > _SMALL_BYTES:
            # In a thread: it lets go of the interpreter while it compresses.
            body = await asyncio.to_thread(zlib.compress, body, 1, _GZIP)
            headers = _HEADERS | {"content-encoding": "gzip"}
        response = await self._post(body, headers)
        if isinstance(response, Trouble) and response.kind == "broken":
            # Who finds a request too large may close the connection while it is being sent, and
            # the answer is lost; asked before the sending, it answers.
            response = await self._post(body, headers | {"expect": "100-continue"})
        if isinstance(response, Trouble):
            return response
        try:
            answer = msgspec.convert(response, _Answer)
            items = [item for one in answer.items for item in one.values()]
        except msgspec.ValidationError:
            return trouble("answer", "the answer to a bulk request has another form: who answers?")
        if len(items) != count:
            return trouble("answer", f"{count} documents were sent, {len(items)} answered for")
        return items

    async def _post(self, body: bytes, headers: Mapping[str, str]) -> object:
        try:
            response = await self._client.perform_request(
                "POST", "/_bulk", params=_ASKED, headers=headers, body=body, endpoint_id="bulk"
            )
        except ERRORS as error:
            return said(error)
        return response.body

    def _adapt(self, failed: Trouble | None, batch: Sequence[Document], body: bytes) -> None:
        """More in the next request when one went well, half of this one when it was too much."""
        kind = None if failed is None else failed.kind
        if kind is None:
            # One that was not full says nothing about a fuller one.
            if len(batch) >= self._documents or len(body) * 2 > self._bytes:
                self._documents = _grown(self._documents, self._growth, self._most_documents)
                self._bytes = _grown(self._bytes, self._growth, self._most_bytes)
        elif kind == "document":
            self._documents = max(len(batch) // 2, 1)
        elif kind == "too_large":
            self._most_bytes = self._bytes = max(len(body) // 2, 1)
        elif kind in {"busy", "timeout", "broken"}:
            self._documents = max(len(batch) // 2, 1)
            self._bytes = max(len(body) // 2, 1)
            self._growth = _CAREFUL

    def _waiting(self, failed: Trouble | None, *, progress: bool) -> Trouble | None:
        """The trouble, with a wait that doubles for as long as nothing gets through."""
        if failed is None or progress:
            self._failures = 0
        if failed is None or failed.retry_after_s is None:
            return failed
        doubled_s = min(failed.retry_after_s * 2.0 ** min(self._failures, 16), MOST_WAIT_S)
        self._failures += 1
        return msgspec.structs.replace(failed, retry_after_s=max(failed.retry_after_s, doubled_s))


def _grown(now: int, by: float, most: int) -> int:
    return min(max(now + 1, int(now * by)), most)


class _Count:
    """What has become of the documents so far, in their order."""

    def __init__(self) -> None:
        self.stored = self.already = 0
        self.refused: list[Refused] = []
        self.trouble: Trouble | None = None

    @property
    def done(self) -> int:
        return self.stored + self.already + len(self.refused)

    def take(self, batch: Sequence[Document], items: Sequence[_Item]) -> None:
        """Up to the first that may pass later: those behind it are sent again with it."""
        for document, item in zip(batch, items, strict=True):
            if item.status in {200, 201}:
                self.stored += 1
            elif item.status == 409:
                self.already += 1
            else:
                why = refused(item.status, item.error)
                if why.kind != "document":
                    self.trouble = why
                    return
                self.set_aside(document, why)

    def set_aside(self, document: Document, why: Trouble) -> None:
        self.refused.append(Refused(document, why.words))

    def result(self, failed: Trouble | None) -> Sent:
        return Sent(self.stored, self.already, self.refused, failed, self.done)
