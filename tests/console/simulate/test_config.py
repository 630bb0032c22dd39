from random import Random

import pytest

from console.simulate.config import config_text, write_config
from console.simulate.world import build_world
from streams.settings import load


def world(principals, prefix="/api/v1"):
    return build_world(
        Random("w"),
        users=3,
        office_users=0,
        ids="prefix",
        principals=principals,
        prefix=prefix,
    )


@pytest.mark.parametrize("principals", ["gateway", "uuid", "mapped", "asserted", "none"])
@pytest.mark.parametrize("format_", ["ecs", "json", "nginx"])
def test_the_configuration_loads_and_knows_the_world(tmp_path, principals, format_):
    write_config(tmp_path, world(principals), format_=format_, seconds=600)
    loaded = load(tmp_path / "breachline.yaml", {}, tmp_path)
    intake = loaded.settings.intake
    vouched = principals in {"gateway", "uuid", "mapped"}
    assert loaded.warnings == ()
    assert [account.id for account in intake.service_accounts] == ["batch-reports"] * vouched
    assert intake.delegates == ["support-*"] * vouched
    trusted = vouched and format_ != "ecs"
    assert intake.trust.principal == ("gateway" if trusted else "asserted")
    header = "always" if principals != "none" and format_ != "nginx" else "unknown"
    assert [item.honoured for item in intake.identity_headers] == [header]
    assert (intake.identities is not None) is (principals == "mapped")
    assert loaded.settings.respond.min_history == 120


def test_routes_have_the_worlds_prefix_and_a_long_log_the_default_history():
    text = config_text(world("gateway", ""), format_="ecs", seconds=7200)
    assert '{match: "/users/{owner}/**", category: contact}' in text
    assert "min_history" not in text


def test_a_map_of_people_is_written_only_where_it_is_needed(tmp_path):
    mapped = world("mapped")
    write_config(tmp_path, mapped, format_="ecs", seconds=600)
    rows = (tmp_path / "people.csv").read_text().splitlines()
    assert rows == ["id,user", *(f"{user.principal},{user.id}" for user in mapped.users)]
    write_config(tmp_path, world("gateway"), format_="ecs", seconds=600)
    assert not (tmp_path / "people.csv").exists()


@pytest.mark.parametrize("name", ["access.log", "access.log.gz"])
def test_the_readme_names_the_log_that_is_there(tmp_path, name):
    (tmp_path / name).touch()
    write_config(tmp_path, world("gateway"), format_="ecs", seconds=600)
    readme = (tmp_path / "README.md").read_text()
    assert f"breachline scan {name} --config breachline.yaml" in readme
