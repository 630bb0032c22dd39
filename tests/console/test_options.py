import click
import pytest

from console.fault import Refused
from console.options import as_json, common, from_dir, print_ndjson, refusing, settings_of


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BREACHLINE_CONFIG", raising=False)
    return tmp_path


def test_without_a_configuration_the_defaults_hold(here):
    assert settings_of(None, None).data_dir == here / "var"


def test_the_file_that_counts(here, monkeypatch):
    for name in ("breachline", "env", "given"):
        (here / f"{name}.yaml").write_text(f"data_dir: ./{name}\n")
    assert settings_of(None, None).data_dir == here / "breachline"
    monkeypatch.setenv("BREACHLINE_CONFIG", "env.yaml")
    assert settings_of(None, None).data_dir == here / "env"
    given = here / "given.yaml"
    assert settings_of(given, None).data_dir == here / "given"
    assert settings_of(given, here / "mine").data_dir == here / "mine"


def test_every_problem_is_said_with_its_line(here):
    (here / "breachline.yaml").write_text("respond: {mode: enfroce}\nintake: {bogus: 1}\n")
    with pytest.raises(Refused) as error:
        settings_of(None, None)
    assert [problem.partition(": ")[0] for problem in error.value.problems] == [
        "breachline.yaml:1:17", "breachline.yaml:2:10"
    ]  # fmt: skip


def test_warnings_go_to_stderr_and_steer_nothing(here, capsys, monkeypatch):
    (here / "breachline.yaml").write_text("")
    settings_of(None, None)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Warning: breachline.yaml: the file is empty")


def test_documents_are_one_a_line(capsys):
    print("before")
    print_ndjson({"n": n, "é": "\x1b\n"} for n in range(2))
    assert capsys.readouterr().out == (
        'before\n{"n":0,"é":"\\u001b\\n"}\n{"n":1,"é":"\\u001b\\n"}\n'
    )


REFUSED = [
    ("a value", ValueError("not so"), "not so"),
    ("a file", FileNotFoundError(2, "No such file", "x"), "x: no such file"),
]


@pytest.mark.parametrize(("name", "error", "says"), REFUSED, ids=[c[0] for c in REFUSED])
def test_what_cannot_be_used_is_refused(name, error, says):
    with pytest.raises(Refused) as refused, refusing():
        raise error
    assert refused.value.problems == [says]


@pytest.mark.parametrize("error", [BrokenPipeError(), KeyError("a bug"), Refused("itself")])
def test_other_errors_are_not(error):
    with pytest.raises(type(error)) as raised, refusing():
        raise error
    assert raised.value is error


def test_the_options_that_commands_share():
    @click.command()
    @from_dir
    @as_json
    @common
    def command(**_given):
        """Nothing."""

    names = {name for option in command.params for name in option.opts}
    assert names == {"--config", "--data-dir", "--from", "--json"}
