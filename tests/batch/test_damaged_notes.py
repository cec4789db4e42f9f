"""Files that earlier runs have left beside a table, damaged or written by others: of no use, and no harm."""

from __future__ import annotations

import json
import os
from contextlib import closing

import pytest

from napari_colloids import ColloidsError
from napari_colloids.batch import Job, Selection, StackFile, run_job
from napari_colloids.batch.lock import Holder
from napari_colloids.batch.outcome import Outcome, write_summary
from napari_colloids.batch.reuse import opened_store
from napari_colloids.batch.sidecar import sidecar_of
from napari_colloids.detection import Options
from napari_colloids.io import read_particles
from napari_colloids.io.files import json_object


@pytest.fixture(scope="module")
def series(make_series):
    return make_series((12, 24, 26), 0.3, 2)


CONTENTS = {
    "nested lists": b"[" * 100_000,
    "nested objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "nested within": b'{"fingerprint": "x", "volumes": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a number of many digits": b'{"particles": ' + b"9" * 5000 + b"}",
    "binary": bytes(range(256)) * 40,
    "UTF-16": '{"particles": 3}'.encode("utf-16"),
    "a list": b"[1, 2]",
    "a number": b"5",
    "null": b"null",
    "empty": b"",
    "a pipe": None,
}
contents = pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
#: Values of a wrong type or beyond all bounds, of which an entry of a note fits one at most.
ODD = [None, True, -3, 1e400, 10**400, "x", [], [[3]], [{}], {}, {"0": 3}, {"0": {"diameter": "x"}}]


def ignore(*_):
    """Progress that nobody looks at."""


@pytest.fixture
def job(folder):
    """Return a job by its choice of frames; the method needs no network, as what is looked at is beside the table."""

    def make(frames=None):
        source = StackFile(str(folder / "series.tif"))
        return Job(source, folder / "found.csv", Options(diameter=8.0, method="log"), Selection(frames=frames))

    return make


def put(path, content):
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    if content is None:
        os.mkfifo(path)
    else:
        path.write_bytes(content)


@contents
def test_of_a_table_is_as_none(job, content):
    run_job(job("0"), ignore)
    first = job().target.read_bytes()
    sidecar = job().target.with_name("found.csv.json")
    put(sidecar, content)
    assert len(read_particles(job().target)) > 0
    assert sidecar_of(job().target, job("0").fingerprint()) is None
    if content is None:
        return  # nothing is written into a pipe
    assert run_job(job("0"), ignore, skip_done=True).state == "done"
    assert job().target.read_bytes() == first
    assert json_object(sidecar)["chosen"] == "0"
    put(sidecar, content)
    assert run_job(job(), ignore).volumes == 2


@contents
@pytest.mark.parametrize("name", ["about.json", "lock.json"])
def test_of_an_interrupted_run_is_as_none(job, content, name, monkeypatch):
    monkeypatch.setattr("napari_colloids.batch.lock._WRITE_SECONDS", 0.001)
    put(job().target.with_name("found.csv.parts") / name, content)
    assert run_job(job(), ignore).state == "done"
    assert not job().target.with_name("found.csv.parts").exists()


def entries(note):
    """Return where a note has entries that a later run reads: paths of keys."""
    volume = [("volumes", 0, key) for key in note["volumes"][0]]
    return [*((key,) for key in note if key != "fingerprint"), *volume, ("estimates", "0", "diameter")]


def test_with_one_odd_entry_is_as_none_or_can_be_used(job, folder):
    outcome = run_job(job(), ignore)
    sidecar, fingerprint = job().target.with_name("found.csv.json"), job().fingerprint()
    text = sidecar.read_text()
    used = 0
    for place in entries(json.loads(text)):
        for value in ODD:
            note = json.loads(text)
            *path, last = place
            inner = note
            for key in path:
                inner = inner[key]
            inner[last] = value
            sidecar.write_text(json.dumps(note))
            found = sidecar_of(job().target, fingerprint)
            if found is not None:
                used += 1
                skipped = Outcome.skipped(job(), found)
                assert write_summary(folder, [skipped]).is_file(), (place, value)
                assert skipped.volumes == len(found["volumes"])
            if found is None or place[0] not in ("volumes", "estimates"):
                continue
            with closing(opened_store(job("0"), fingerprint, redo=False)) as store:
                assert all(estimate.diameter == 8 for estimate in store.estimates.values()), (place, value)
                assert all(len(store.load(part)) <= outcome.particles for part in store.done()), (place, value)
    assert used > 0, "some entries do not matter, such as the name of the input"


@pytest.mark.parametrize("field", ["host", "pid", "started", "word"])
def test_in_a_lock_are_taken_over(job, field, monkeypatch):
    monkeypatch.setattr("napari_colloids.batch.lock._WRITE_SECONDS", 0.001)
    lock = job().target.with_name("found.csv.parts") / "lock.json"
    for value in ODD:
        if isinstance(value, str) and field in ("host", "word"):
            continue
        put(lock, json.dumps({**Holder.this()._asdict(), field: value}).encode())
        assert run_job(job("0"), ignore).state == "done", value


def test_is_told_from_none(tmp_path):
    path = tmp_path / "a.json"
    assert json_object(path) is None
    assert json_object(tmp_path) is None
    path.write_text('{"a": [1, {"b": null}]}')
    assert json_object(path) == {"a": [1, {"b": None}]}
    with path.open("r+b") as file:
        file.truncate(1 << 30)
    with pytest.raises(ColloidsError, match=r"'.*a\.json' is too large"):
        json_object(path)
