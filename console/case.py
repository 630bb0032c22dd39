"""Opens what the commands read: a scan's result, or the live service's store.

In: --from or the data directory. Out: a read-only store, and a desk that folds impacts from it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from console.fault import Refused
from console.options import refusing
from evidence.store import EmbeddedStore
from incidents.fold import Desk
from incidents.population import Population
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


def desk_of(store: EmbeddedStore, settings: Settings) -> Desk:
    """The desk as it stood at the last commit, for impacts and lookups."""
    population = Population()
    desk = Desk(store, population, settings.respond)
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
