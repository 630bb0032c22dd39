"""Real servers for the tests of this folder, each started once per pytest process on first use.

Where they cannot run, the tests are skipped and say what is missing; with CI=true they fail.
"""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.stack._elasticsearch import OLDEST_JAVA, Elasticsearch, server
from tests.stack._kafka import Cluster, Kafka, SecureKafka, kafka_jars
from tests.stack._maven import NotHereError, java

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Before `-m` selects: all that stands here needs a real server."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("stack")


@contextmanager
def or_skip(what):
    """What a machine lacks skips its tests, loudly; in CI nothing may be lacking."""
    try:
        yield
    except NotHereError as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"NOT TESTED against {what}: {missing}")


@pytest.fixture(scope="session")
def kafka_runs():
    """Java and the jars are here."""
    with or_skip("the real Kafka"):
        java()
        kafka_jars()


@pytest.fixture(scope="session")
def kafka(kafka_runs, tmp_path_factory):
    """One node. A test that stops it starts it again; topics are the test's own."""
    with Kafka(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.fixture(scope="module")
def kafka_cluster(kafka_runs, tmp_path_factory):
    """Three nodes. A test that kills one starts it again."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def secure_kafka(kafka_runs, tmp_path_factory):
    """One node with SASL and TLS; its `security` says how to come in."""
    with or_skip("a Kafka with SASL and TLS"):
        if shutil.which("openssl") is None:
            raise NotHereError("making a certificate: no openssl on PATH. Install openssl.")
    with SecureKafka(tmp_path_factory.mktemp("secure-kafka")) as running:
        yield running


@pytest.fixture(scope="session")
def elasticsearch_runs():
    """Java and the jars are here."""
    with or_skip("the real Elasticsearch"):
        java(OLDEST_JAVA)
        server()


@pytest.fixture(scope="session")
def elasticsearch(elasticsearch_runs, tmp_path_factory):
    """One node. A test that stops it starts it again; indices are the test's own."""
    with Elasticsearch(tmp_path_factory.mktemp("elasticsearch")) as running:
        yield running
