"""What can be said of docker-compose.yml, the image and its scripts without a container engine."""

import importlib
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.prepare import PASSWORDS, prepare
from streams.settings import Settings, named_files

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
ONCE = {"init", "elastic-setup", "elastic-templates"}
EVERY = pytest.mark.parametrize("name", sorted(SERVICES))
SECRET = dict.fromkeys(PASSWORDS, "0123456789abcdef0123456789abcdef")


def mounts(name):
    """(source, target, "ro" or "") of a service; an anonymous volume's source is ""."""
    found = []
    for written in SERVICES[name].get("volumes", ()):
        text = re.sub(r"\$\{(\w+):\?[^}]*\}", r"$\1", written)
        source, _, rest = text.rpartition(":") if text.endswith(":ro") else (text, "", "")
        source, _, target = source.rpartition(":")
        found.append((source, target, rest))
    return found


def volumes(name):
    return [mount for mount in mounts(name) if mount[0] and mount[0][0] not in "./$"]


def test_the_services_are_those_of_the_deployment():
    assert set(SERVICES) == {"kafka", "elasticsearch", "kibana", "worker", "ship", *ONCE}
    assert set(COMPOSE) - {"name", "services", "networks", "volumes"} == {
        "x-service", "x-breachline", "x-once",
    }  # fmt: skip
    assert SERVICES["worker"]["deploy"]["replicas"] == 2
    assert {name for name in SERVICES if "build" in SERVICES[name]} == {"init"}


@EVERY
def test_a_service_can_do_no_more_than_it_must(name):
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert not service.get("privileged")
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"1000:(1000|0)", service["user"])
    # Elasticsearch writes its keystore beside the settings that its image brings.
    assert service.get("read_only") is (None if name == "elasticsearch" else True)
    limits = service["deploy"]["resources"]["limits"]
    assert set(limits) == {"memory", "cpus", "pids"}
    for port in service.get("ports", ()):
        assert re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port), "published beyond loopback"
    if "network_mode" in service:
        assert service["network_mode"] == "none"
        assert "networks" not in service
    else:
        assert set(service["networks"]) <= set(COMPOSE["networks"])


@EVERY
def test_a_service_says_whether_it_is_well(name):
    service = SERVICES[name]
    if name in ONCE:
        assert service["restart"] == "no"
        assert service["healthcheck"] == {"disable": True}
        return
    assert service["restart"] == "unless-stopped"
    check = service["healthcheck"]
    assert set(check) == {"test", "interval", "timeout", "retries", "start_period"}
    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert int(check["timeout"].rstrip("s")) <= int(check["interval"].rstrip("s"))


@EVERY
def test_a_service_waits_for_what_can_tell(name):
    for other, how in SERVICES[name].get("depends_on", {}).items():
        wanted = "service_completed_successfully" if other in ONCE else "service_healthy"
        assert how == {"condition": wanted}, other


def test_nothing_waits_in_a_circle_and_all_for_init():
    def before(name, path=()):
        assert name not in path, "in a circle"
        needed = SERVICES[name].get("depends_on", {})
        return set(needed).union(*(before(other, (*path, name)) for other in needed))

    assert {name for name in SERVICES if "init" not in before(name)} == {"init"}
    assert before("ship") == {*ONCE, "kafka", "elasticsearch", "worker"}


@EVERY
def test_an_image_is_named_by_its_version(name):
    assert re.fullmatch(r"[a-z0-9./-]+:\d+\.\d+\.\d+", SERVICES[name]["image"])


def test_no_variable_has_a_default():
    uses = re.findall(r"\$\{?[^}]*\}?", re.sub(r"(?m)^ *#.*$", "", TEXT))
    assert len(uses) == 6
    for use in uses:
        assert re.fullmatch(r"\$\{\w+:\?is missing\. [^{}]+\}", use), use
    example = (DEPLOY / "env.example").read_text()
    names = re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE)
    assert dict(names) == dict.fromkeys({use[2:].partition(":")[0] for use in uses}, "")


def test_only_init_is_given_passwords():
    secret = re.compile(r"PASS|TOKEN|SECRET|KEY", re.IGNORECASE)
    for name, service in SERVICES.items():
        given = {key for key in service.get("environment", {}) if secret.search(key)}
        files = {key for key in given if key.endswith(("_FILE", ".ssl.key"))}
        assert given - files == (set(PASSWORDS) if name == "init" else set())
        for key in files:
            assert "/" in service["environment"][key]


def test_volumes_are_declared_used_and_written_by_one_part():
    used = {source for name in SERVICES for source, *_ in volumes(name)}
    assert used == set(COMPOSE["volumes"])
    writers = {
        volume: {n for n in SERVICES for s, _, how in volumes(n) if s == volume and how != "ro"}
        for volume in used
    }
    assert writers.pop("secrets-worker") == {"init", "elastic-setup"}
    for volume, who in writers.items():
        kept = volume in {"kafka", "elasticsearch", "kibana", "ship"}
        assert who == ({volume} if kept else {"init"})
    assert ("keys", "/var/lib/breachline/keys", "ro") in mounts("worker")
    # Two replicas on one volume would write one another's files.
    assert ("", "/var/lib/breachline", "") in mounts("worker")


@EVERY
def test_what_is_mounted_from_here_is_here_and_read_only(name):
    for source, target, how in mounts(name):
        if source.startswith((".", "$")):
            assert how == "ro", target
        if source.startswith("."):
            assert (ROOT / source).is_file()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    prepare(root, SECRET)
    return root


@pytest.mark.stack
def test_init_mounts_a_volume_for_every_folder_that_it_writes(prepared):
    folders = {f"/run/breachline/{path.name}" for path in prepared.iterdir()}
    assert {target for _, target, _ in mounts("init")} == folders


@pytest.mark.stack
@pytest.mark.parametrize(("name", "service"), [("breachline", "worker"), ("ship", "ship")])
def test_a_configuration_names_files_that_are_there(prepared, name, service):
    settings = Settings.model_validate(yaml.safe_load((DEPLOY / f"{name}.yaml").read_text()))
    there = {f"/run/breachline/{p.relative_to(prepared)}" for p in prepared.rglob("*")}
    there.add("/run/breachline/worker/api_key")
    seen = tuple(f"{target}/" for _, target, how in mounts(service) if how == "ro")
    found = [str(path) for _, path in named_files(settings)]
    assert len(found) == (4 if service == "worker" else 2)
    for path in found:
        assert path in there
        assert path.startswith(seen), f"{path} is not mounted"
    assert settings.kafka is not None
    assert settings.kafka.brokers == ["kafka:9092"]
    assert any(target == f"{settings.data_dir}" for _, target, _ in mounts(service))
    config = SERVICES[service]["environment"]["BREACHLINE_CONFIG"]
    assert (f"./deploy/{name}.yaml", config, "ro") in mounts(service)


def test_the_broker_lets_nobody_in_from_outside_without_a_password():
    lines = (DEPLOY / "kafka.properties").read_text().splitlines()
    properties = dict(line.split("=", 1) for line in lines if line and line[0] != "#")
    open_ = set()
    for entry in properties["listener.security.protocol.map"].split(","):
        name, protocol = entry.split(":")
        if protocol == "SASL_SSL":
            assert f"listener.name.{name.lower()}.scram-sha-512.sasl.jaas.config" in properties
        else:
            open_.add(name)
    for listener in properties["listeners"].split(","):
        name, address = listener.split("://")
        assert address.startswith("127.0.0.1:" if name in open_ else ":"), listener
    assert open_ == {"OWN", "CONTROLLER"}
    assert properties["sasl.enabled.mechanisms"] == "SCRAM-SHA-512"


def instructions():
    text = (DEPLOY / "Dockerfile").read_text()
    text = re.sub(r"(?m)^#.*\n", "", text).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def test_the_image_is_small_and_runs_as_nobody_special():
    lines = instructions()
    bases = [rest for word, rest in lines if word == "FROM"]
    assert len(bases) == 2
    assert all(re.match(r"python:3\.11-slim-\w+( AS build)?$", base) for base in bases)
    words = [word for word, _ in lines]
    assert set(words) == {
        "FROM", "WORKDIR", "RUN", "COPY", "ENV", "USER", "STOPSIGNAL", "HEALTHCHECK",
        "ENTRYPOINT", "CMD",
    }, "no ADD, which fetches URLs; no ARG, which stays in the history"  # fmt: skip
    last = lines[len(words) - words[::-1].index("FROM") :]
    assert [rest for word, rest in last if word == "USER"] == ["1000:1000"]
    assert words.index("USER") > max(i for i, word in enumerate(words) if word in {"RUN", "COPY"})
    for word, rest in lines:
        assert not re.search(
            r"https?://|password|secret|token|pip\.conf|index", rest, re.IGNORECASE
        )
        if "pip install" in rest:
            assert "--require-hashes -r requirements.lock" in rest or "--no-deps" in rest, word


def test_the_image_is_built_from_what_may_be_in_it():
    sources = set()
    for word, rest in instructions():
        if word == "COPY" and "--from" not in rest:
            sources.update(rest.split()[:-1])
    ignore = (ROOT / ".dockerignore").read_text().split("\n")
    lines = [line for line in ignore if line and line[0] != "#"]
    assert lines[0] == "*"
    assert {line[1:] for line in lines if line[0] == "!"} == sources
    assert all((ROOT / source).exists() for source in sources)
    rooms = re.findall(r'"(\w+)\*"', (ROOT / "pyproject.toml").read_text())
    assert len(rooms) >= 8
    assert set(rooms) <= sources


@pytest.mark.stack
def test_passwords_are_not_for_git():
    words = ["git", "check-ignore", "--quiet", "deploy/.env"]
    assert subprocess.run(words, cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("name", ["worker", "ship"])
def test_the_program_understands_its_command_line(name):
    command, *words = SERVICES[name]["command"]
    module = importlib.import_module(f"console.commands.{command}")
    with module.command.make_context(command, list(words)) as context:
        assert context.params["config"] is None, "it comes by $BREACHLINE_CONFIG"
