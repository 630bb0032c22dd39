"""Several processes as one: begun again when killed, stopped together, never left behind."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from streams.herd import NUMBER, herd

CHILD = """
import asyncio, os, sys
sys.path.insert(0, {root!r})
from streams.herd import NUMBER, when_orphaned

async def main():
    stop = asyncio.Event()
    when_orphaned(stop)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(15, stop.set)
    with open({out!r}, "a") as file:
        file.write(f"{{os.environ[NUMBER]}} {{os.getpid()}}\\n")
    await stop.wait()

asyncio.run(main())
"""
ROOT = str(Path.cwd())
pytestmark = pytest.mark.stack


def words(tmp_path, text=CHILD):
    return [sys.executable, "-c", text.format(root=ROOT, out=str(tmp_path / "out"))]


def children(tmp_path):
    path = tmp_path / "out"
    text = path.read_text() if path.exists() else ""
    return [(int(n), int(pid)) for n, pid in (line.split() for line in text.splitlines())]


async def until(condition):
    for _ in range(600):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it never came")


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_one_that_is_killed_is_begun_again_and_all_are_stopped_together(tmp_path):
    async def story():
        running = asyncio.ensure_future(herd(words(tmp_path), 2, os.environ))
        await until(lambda: len(children(tmp_path)) == 2)
        number, pid = children(tmp_path)[0]
        os.kill(pid, signal.SIGKILL)
        await until(lambda: len(children(tmp_path)) == 3)
        assert children(tmp_path)[2][0] == number
        os.kill(os.getpid(), signal.SIGTERM)
        return await running

    assert asyncio.run(story()) == signal.SIGTERM
    assert all(is_gone(pid) for _, pid in children(tmp_path))


def test_one_that_gives_up_ends_all_with_its_code(tmp_path):
    text = "import os, sys, time; os.environ['{NUMBER}'] == '0' and sys.exit(2); time.sleep(60)"
    text = text.replace("{NUMBER}", NUMBER)
    with pytest.raises(ChildProcessError) as raised:
        asyncio.run(herd(words(tmp_path, text), 2, os.environ))
    assert raised.value.errno == 2


def test_children_end_when_their_parent_is_killed(tmp_path):
    parent = (
        f"import asyncio, os, sys; sys.path.insert(0, {ROOT!r}); from streams.herd import herd; "
        "asyncio.run(herd([sys.executable, '-c', os.environ['CHILD']], 2, os.environ))"
    )

    async def story():
        child = words(tmp_path)[2]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", parent, env={**os.environ, "CHILD": child}
        )
        await until(lambda: len(children(tmp_path)) == 2)
        process.kill()
        await process.wait()
        await until(lambda: all(is_gone(pid) for _, pid in children(tmp_path)))

    asyncio.run(story())
