"""One process runs a run; a dead one holds nothing."""

import os
import signal
import threading
from pathlib import Path

import pytest

from tests.memory.support import child
from workbench.core.errors import Refused, Unavailable
from workbench.memory import lease, locks
from workbench.memory.base import Holder


def holder(run: str = "r1") -> Holder:
    return Holder(run=run, pid=os.getpid(), session="s", notebook="/work/a.ipynb", since="2026-01-01T12:00:00.5+00:00")


def test_a_run_is_held_by_one_and_the_other_hears_by_whom(tmp_path: Path):
    held = lease.take(tmp_path, holder())
    with pytest.raises(
        Refused, match=rf"r1 is being run by process {os.getpid()}, a\.ipynb, since 2026-01-01 12:00:00"
    ):
        lease.take(tmp_path, holder())
    lease.take(tmp_path, holder("r2")).let_go()
    held.let_go()
    held.let_go()
    lease.take(tmp_path, holder()).let_go()
    assert list((tmp_path / "leases").iterdir()) == []


def test_the_lease_of_a_killed_process_is_free_at_once_and_its_run_is_known_as_left(tmp_path: Path):
    process = child("hold_lease", tmp_path, "r1")
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(Refused, match=f"process {process.pid}"):
        lease.take(tmp_path, holder())
    assert list(lease.left(tmp_path)) == []
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert [(found.run, found.pid) for found in lease.left(tmp_path)] == [("r1", process.pid)]
    lease.take(tmp_path, holder()).let_go()
    assert list(lease.left(tmp_path)) == []


def test_a_forked_child_neither_keeps_nor_frees_the_lease_of_its_parent(tmp_path: Path):
    held = lease.take(tmp_path, holder())
    pid = os.fork()
    if not pid:
        held.let_go()
        os._exit(0 if locks.is_held(tmp_path / "leases" / "r1") else 1)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    with pytest.raises(Refused):
        lease.take(tmp_path, holder())
    held.let_go()


def test_many_that_take_and_let_go_never_hold_it_together(tmp_path: Path):
    inside: list[int] = []
    taken: list[int] = []

    def work(me: int) -> None:
        while len(taken) < 200:
            try:
                held = lease.take(tmp_path, holder())
            except Refused:
                continue
            inside.append(me)
            assert inside == [me]
            inside.remove(me)
            taken.append(me)
            held.let_go()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) >= 200
    assert inside == []


def test_a_damaged_file_and_a_strange_name_are_no_trouble(tmp_path: Path):
    (tmp_path / "leases").mkdir()
    (tmp_path / "leases" / "r1").write_text("{")
    assert list(lease.left(tmp_path)) == []
    lease.take(tmp_path, holder("../../r1")).let_go()
    lease.take(tmp_path, holder()).let_go()
    assert list((tmp_path / "leases").iterdir()) == []


def test_a_folder_that_takes_nothing_is_told_with_what_to_do(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable) as caught:
        lease.take(tmp_path / "file" / "home", holder())
    assert "WORKBENCH_HOME" in caught.value.hint
