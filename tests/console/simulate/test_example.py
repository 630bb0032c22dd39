import gzip
import json

from console.simulate.example import FILES, FOLDER, write_example
from streams.settings import load


def unpacked(path):
    data = path.read_bytes()
    # Another zlib may pack the same bytes differently.
    return gzip.decompress(data) if path.suffix == ".gz" else data


def test_the_bundled_example_is_what_its_command_writes(tmp_path):
    write_example(tmp_path)
    for name in FILES:
        assert unpacked(FOLDER / name) == unpacked(tmp_path / name), (
            f"{name} differs: run python -m console.simulate.example, and review the change"
        )


def test_it_is_small_and_its_attack_unfolds_in_the_second_half():
    assert (FOLDER / "access.log.gz").stat().st_size < 400_000
    truth = json.loads((FOLDER / "truth.json").read_text())
    (attacker,) = truth["attackers"]
    assert truth["lines"] == 6_000
    assert "2026-11-22T09:50" < attacker["first"] < attacker["last"] < truth["end"]
    assert len(attacker["victims"]) == 24
    log = unpacked(FOLDER / "access.log.gz").decode()
    assert log.count("support-7") >= 10
    assert log.count("192.0.2.10") > 500
    assert log.count('"method":"PUT"') > 1


def test_its_configuration_loads():
    loaded = load(FOLDER / "breachline.yaml", {}, FOLDER)
    assert loaded.warnings == ()


def test_its_readme_names_the_command_and_the_files():
    readme = (FOLDER / "README.md").read_text()
    assert [
        name for name in (*FILES, "python -m console.simulate.example") if name not in readme
    ] == []
