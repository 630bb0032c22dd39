"""`breachline evidence verify`: a bundle, a store, or the deployment's topic, held against heads.

In: what is to be checked, keys and published heads. Out: what is wrong, entry by entry, or that
nothing is; and always what the check could not show. The checking is in `evidence.verify`. And
what an export is sealed with, so that it can be checked.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from console.case import answering
from console.fault import Negative, Refused, Unreachable
from console.options import as_json, common, print_ndjson, refusing, settings_of
from console.report import many
from evidence.checkpoint import parse
from evidence.signing import Signer, known_keys
from evidence.store import EmbeddedStore
from evidence.verify.bundle import check_bundle
from evidence.verify.notes import Key, Trust, read_head, read_key, read_keys, read_note
from evidence.verify.published import published_marks, read_published
from evidence.verify.report import Report
from evidence.verify.store import check_store, is_store, origin_of, read_heads, read_leaves
from evidence.verify.topic import TopicCheck
from streams.plain import plain
from streams.sealing import signer_of
from streams.settings import Settings

_EXAMPLE = """\b
Examples:
  breachline evidence verify case.zip --key ledger.pub
  breachline evidence verify var --heads /mnt/elsewhere/heads.ndjson
  breachline evidence verify --topic
"""
_SHOWN = 20


@click.command(epilog=_EXAMPLE)
@click.argument("target", type=click.Path(path_type=Path), required=False)
@click.option("--key", metavar="FILE|VKEY", help="The public key that must have signed.")
@click.option(
    "--heads",
    type=click.Path(path_type=Path, dir_okay=False),
    help='Published heads, a line {"note": ...} each (default of a store: ledger.publish.file).',
)
@click.option("--topic", is_flag=True, help="Check the deployment's topic `ledger`, no TARGET.")
@as_json
@common
def verify(
    target: Path | None,
    key: str | None,
    heads: Path | None,
    topic: bool,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """Check a bundle (zip), or a store (folder): name each entry that is not as it was written.

    Exit 1 if something was altered, is missing, was moved or inserted, or a head was forged.
    Without --key the keys that are found beside it are used, which shows that it fits together,
    not whose it is. Entries are counted from 0.
    """
    with refusing():
        if topic:
            if target is not None:
                raise Refused("checking the topic: leave TARGET out")
            report = _topic(settings_of(config, data_dir), key, heads)
        elif target is None:
            raise Refused("name a bundle or the folder of a store, or use --topic")
        elif target.is_dir():
            report = _store(target, settings_of(config, data_dir), key, heads)
        else:
            lines = None if heads is None else list(read_published(heads))
            report = check_bundle(target, None if key is None else keys_of(key), lines)
    if as_json:
        print_ndjson([report.document()])
    elif report.intact:
        _tell(report)
    if not report.intact:
        shown = [f"  {plain(problem.says)}" for problem in report.problems[:_SHOWN]]
        if report.count > _SHOWN:
            shown.append(f"  and {report.count - _SHOWN:,} more problems")
        raise Negative("\n".join([f"{report.target}: not intact", *shown]))


def keys_of(given: str) -> list[Key]:
    """The keys of a file, or the one that was typed.

    Raises:
        ValueError, OSError: it is neither.
    """
    path = Path(given)
    if "+" in given and not path.exists():
        return [read_key(given)]
    keys = read_keys(path.read_text(encoding="utf-8"))
    if not keys:
        raise ValueError(f"{path} holds no public key")
    return keys


def _tell(report: Report) -> None:
    held = many(report.heads, "signed head")
    if report.published:
        held += f" and {many(report.published, 'published head')}"
    click.echo(
        f"{report.target}: {many(report.entries, 'entry', 'entries')}, held against {held}: "
        "nothing was altered, moved or inserted, and nothing is missing."
    )
    for key in report.signed_by:
        click.echo(f"Signed by {plain(key)}")
    for what in report.unproven:
        click.echo(f"Not shown: {plain(what)}.")


def _trust(key: str | None, folders: Sequence[Path]) -> tuple[Trust, str]:
    """What is trusted, and what that does not show."""
    own: list[Key] = []
    for folder in folders:
        path = folder / "keys" / "ledger.pub"
        if path.is_file():
            own = read_keys(path.read_text(encoding="utf-8"))
            break
    if key is not None:
        return Trust(keys_of(key), own), ""
    names = ", ".join(map(str, own)) or "none"
    return Trust(own), (
        "who signed it: the keys stand beside what they signed. Compare them with what you know "
        f"from elsewhere, or give that with --key: {names}"
    )


def _store(target: Path, settings: Settings, key: str | None, heads: Path | None) -> Report:
    if not is_store(target):
        raise Refused(f"checking {target}: there is no store; name a data directory or a result")
    trust, unproven = _trust(key, [target, settings.data_dir])
    path = heads
    if path is None and origin_of(target) in {"", settings.ledger.origin}:
        path = settings.ledger.publish.file
    report = check_store(target, trust, None if path is None else read_published(path))
    if unproven:
        report.unproven.insert(0, unproven)
    if path is None:
        report.unproven.append(
            "that nobody with the key rewrote it: there are no published heads to hold it against "
            "(--heads)"
        )
    return report


# The topic


def _topic(settings: Settings, key: str | None, heads: Path | None) -> Report:
    kafka = settings.kafka
    if kafka is None:
        raise Refused("checking the topic: there is no `kafka:` in the configuration")
    path = heads or settings.ledger.publish.file
    lines = None if path is None else list(read_published(path))
    trust, unproven = _trust(key, [settings.data_dir])
    # The store is looked at before the topic's end and after: it has then what lies between.
    with answering(settings, None) as store:
        least = len(list(read_leaves(store.path)))
    end = _read(settings)
    with answering(settings, None) as store:
        known = [note for size, note in read_heads(store.path) if size <= least]
        marks = None
        side = Report("", "topic")
        if lines is not None and known:
            origin = read_head(read_note(known[-1]).text).origin
            marks = published_marks(lines, origin, trust, side)
        check = TopicCheck(
            f"{kafka.prefix}ledger", known, trust,
            beside=read_leaves(store.path), least=least, published=marks,
        )  # fmt: skip
        _read(settings, check.add, end)
        report = check.end()
    for problem in side.problems:
        report.add(problem.what, problem.says)
    if unproven:
        report.unproven.insert(0, unproven)
    return report


def _read(
    settings: Settings, take: Callable[[bytes, bytes], None] | None = None, end: int | None = None
) -> int:
    # Here, not above: who has no Kafka does not wait for its client.
    from streams.kafka.leaves import read_leaves as read  # noqa: PLC0415

    assert settings.kafka is not None  # noqa: S101  only then it is called
    try:
        return asyncio.run(read(settings.kafka, os.environ, take, end))
    except ConnectionError as error:
        raise Unreachable(str(error)) from None


# What an export is sealed with


def sealing(settings: Settings, store: EmbeddedStore) -> dict[str, Any]:
    """The `keys`, `signers` and `published` heads of a bundle from this store.

    The manifest is signed where the key of the log is at hand; a log that nobody has signed yet is
    signed with the key of this configuration.

    Raises:
        OSError, ValueError: the key, or the file of published heads, cannot be used.
    """
    head = store.ledger.head()
    signers: list[Signer] = []
    try:
        signer = signer_of(settings, create=head is None)
    except FileNotFoundError:
        pass  # it stands on the machine that wrote the log
    else:
        ids = {one.key_id for one in parse(head.note)[1]} if head else {signer.key_id}
        signers += [signer] if signer.key_id in ids else []
    path = settings.ledger.publish.file
    notes = []
    if path is not None and path.is_file():
        for _, line in read_published(path):
            try:
                note = msgspec.json.decode(line)["note"]
                parse(note)
            except (ValueError, KeyError, TypeError):
                continue  # it proves nothing; `verify` says so of the file itself
            notes.append(note)
    keys = [key for folder in (store.path, settings.data_dir) for key in known_keys(folder)]
    return {"keys": keys, "signers": signers, "published": notes}
