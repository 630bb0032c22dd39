"""Opens what the commands read: a scan's result, the live service's store, or the deployment's.

In: --from, the data directory, or `kafka:`. Out: a read-only store, and a desk that folds impacts
from it.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import click

from console.fault import Refused, Unreachable
from console.options import refusing
from console.screen import Screen
from evidence.store import EmbeddedStore
from incidents.fold import Desk
from incidents.owners import SPACE as OWNERS
from incidents.population import Population
from records.ids import iso
from records.incident import Incident
from streams.results import DATABASE, unfinished
from streams.settings import Settings


def folder_of(settings: Settings, from_dir: Path | None) -> Path:
    """Where to read: --from, else the live store, else the last scan.

    Raises:
        Refused: nothing was ever written there.
    """
    last = settings.data_dir / "scans" / "last"
    for folder in (from_dir,) if from_dir else (settings.data_dir, last):
        if (folder / DATABASE).exists():
            if folder != settings.data_dir and unfinished(folder):
                raise Refused(f"reading {folder}: the scan did not finish; scan again")
            return folder
    where = from_dir or settings.data_dir
    raise Refused(
        f"reading {where}: nothing was kept there yet; run `breachline scan LOG` or "
        "`breachline run LOG` first, or name a scan's folder with --from"
    )


@contextmanager
def opened(settings: Settings, from_dir: Path | None) -> Iterator[EmbeddedStore]:
    """The store, read-only: a running service goes on writing.

    Raises:
        Refused: there is none, or it cannot be read.
    """
    with refusing():
        store = EmbeddedStore.open_readonly(folder_of(settings, from_dir))
    with store:
        yield store


def of_deployment(settings: Settings, from_dir: Path | None) -> bool:
    """Whether it is a deployment on Kafka that is asked, not a folder of this machine."""
    return settings.kafka is not None and from_dir is None


@contextmanager
def answering(
    settings: Settings, from_dir: Path | None, *, offline: bool = False
) -> Iterator[EmbeddedStore]:
    """The store that answers, read-only: with Kafka configured the deployment's, as it is now.

    offline: as it was when it was last asked, without a word to the brokers.

    Raises:
        Refused: there is none, or it cannot be read.
        Unreachable: the brokers do not answer, or do not let us read.
    """
    if not of_deployment(settings, from_dir):
        with opened(settings, from_dir) as store:
            yield store
        return
    # Here, not above: who has no Kafka does not wait for its client.
    from streams.kafka import replica  # noqa: PLC0415

    with ExitStack() as stack:
        with refusing(), _catching_up():
            try:
                store = stack.enter_context(replica.opened(settings, os.environ, offline=offline))
            except ConnectionError as error:
                raise Unreachable(str(error)) from None
        if offline and (mark := replica.mark_of(store)) is not None:
            click.echo(f"The deployment as it was at {iso(mark.time_ms)}.", err=True)
        yield store


@contextmanager
def _catching_up() -> Iterator[None]:
    """Says what takes time, where somebody watches."""
    screen = Screen(stderr=True)
    with screen.status("reading the deployment") if screen.is_terminal else nullcontext():
        yield


def desk_of(store: EmbeddedStore, settings: Settings) -> Desk:
    """The desk as it stood at the last commit, for impacts and lookups."""
    population = Population()
    desk = Desk(store, population, settings.respond)
    desk.owners.load(store.load_state(OWNERS))
    desk.load(store.load_state("incidents"))
    return desk


def incident_of(store: EmbeddedStore, typed: str) -> Incident:
    """The incident of an id or its unique beginning; of a merged one, that which absorbed it.

    Raises:
        Refused: there is none, or several.
    """
    try:
        incident = store.incident(typed)
    except LookupError as error:
        raise Refused(str(error.args[0])) from error
    if incident is None:
        raise Refused(f"no incident {typed!r}: `breachline incidents` lists them")
    return incident
