import os
import stat
import sys
import tempfile
from pathlib import Path

import pytest

from napari_colloids.errors import ColloidsError
from napari_colloids.io import atomic_write


def test_replaces_the_old_file(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("old")
    with atomic_write(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".csv"
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_written_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    path = tmp_path / "points.csv"
    events = []
    sync, replace = os.fsync, os.replace

    def synced(descriptor):
        events.append(f"sync of {os.fstat(descriptor).st_size} bytes")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", lambda *given: (events.append("rename"), replace(*given)))
    with atomic_write(path) as temporary:
        temporary.write_text("new")
    assert events == ["sync of 3 bytes", "rename"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_failure_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    path = tmp_path / "points.csv"
    path.write_text("old")

    def write():
        with atomic_write(path) as temporary:
            temporary.write_text("half")
            raise failure

    with pytest.raises(failure):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_is_told(tmp_path):
    def write():
        with atomic_write(tmp_path / "points.csv"):
            raise OSError(28, "No space left on device")

    with pytest.raises(ColloidsError, match=r"points\.csv.*No space left"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_folder_and_missing_folder_are_told(tmp_path):
    for path, message in [(tmp_path, "is a folder"), (tmp_path / "none" / "a.csv", "create it first")]:
        with pytest.raises(ColloidsError, match=message), atomic_write(path):
            pass


@pytest.mark.skipif(sys.platform == "win32", reason="links and permissions work differently")
def test_links_and_permissions_stay(tmp_path):
    file, link = tmp_path / "file.csv", tmp_path / "link.csv"
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file)
    with atomic_write(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@pytest.fixture
def ordinary_user():
    """The superuser may write anywhere: step down for a test."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.mark.skipif(sys.platform == "win32", reason="folders are protected differently")
def test_read_only_places_are_told(ordinary_user):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "points.csv"
        file.write_text("old")
        file.chmod(0o444)
        with pytest.raises(ColloidsError, match="write-protected"), atomic_write(file):
            pass
        folder.chmod(0o555)
        with pytest.raises(ColloidsError, match="Nothing can be written in the folder"), atomic_write(folder / "a.csv"):
            pass
        folder.chmod(0o755)
        assert file.read_text() == "old"


def test_a_signal_just_after_the_temporary_file_was_made_leaves_none(tmp_path, monkeypatch):
    touch = Path.touch

    def interrupted(self, **choices):
        touch(self, **choices)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "touch", interrupted)
    with pytest.raises(KeyboardInterrupt), atomic_write(tmp_path / "found.csv"):
        pass
    assert not list(tmp_path.iterdir())
