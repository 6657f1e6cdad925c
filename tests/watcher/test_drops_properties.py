"""For every interleaving of writes and scans: nothing is taken early, nothing is left, nothing is taken twice."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from watcher.drops import ABANDONED_SECONDS, GATHER_SECONDS, Drops
from watcher.words import Entry, Inside, Kind, Look


@dataclass
class Producer:
    """A folder or loose file that is written in steps, with the time between them."""

    name: str
    inode: int
    renames: bool
    is_folder: bool
    pauses: list[float]
    written: int = 0
    state: str = "to come"  # to come, writing, finished, taken
    next_at: float = 0.0

    def advance(self, now: float) -> None:
        while self.state in ("to come", "writing") and now >= self.next_at:
            if self.state == "to come":
                self.state = "writing"
            else:
                self.written += 1
            if self.written == len(self.pauses):
                self.state = "finished"
            else:
                self.next_at += self.pauses[self.written]

    @property
    def shown_name(self) -> str:
        return self.name + ".tmp77" if self.renames and self.state == "writing" else self.name

    def entry(self, look: Look | None) -> Entry:
        kind = Kind.FOLDER if self.is_folder else Kind.FILE
        inside = None
        if self.is_folder and look not in (None, Look.NOT_NOW):
            inside = Inside(self.written, self.written)
        size = 0 if self.is_folder else self.written
        return Entry(self.shown_name, kind, (1, self.inode), size, inside=inside)


@dataclass
class Watch:
    """The watcher's part: scans at times of its own, takes what is finished, or fails to."""

    drops: Drops
    producers: list[Producer]
    failures: list[bool]
    taken: list[str] = field(default_factory=list)

    def scan(self, now: float) -> None:
        for producer in self.producers:
            producer.advance(now)
        present = {p.shown_name: p for p in self.producers if p.state in ("writing", "finished")}
        entries = []
        for producer in present.values():
            bare = producer.entry(None)
            entries.append(producer.entry(self.drops.look(bare, now) if producer.is_folder else None))
        for drop in self.drops.scan(entries, now).finished:
            if self.failures and self.failures.pop():
                self.drops.postpone(drop, now)
                continue
            for name in drop.names:
                producer = present[name]
                assert producer.state == "finished" or not producer.renames, "taken under the hands of its producer"
                assert producer.written > 0 or not producer.is_folder, "taken empty"
                producer.state = "taken"
                self.taken.append(producer.name)


producers = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.lists(st.floats(0.01, 20.0), min_size=1, max_size=6)),
    min_size=1,
    max_size=5,
)
pauses_between_scans = st.lists(st.floats(0.0, 15.0), min_size=1, max_size=40)


@settings(max_examples=400, deadline=None)
@given(producers, pauses_between_scans, st.lists(st.booleans(), max_size=6), st.sampled_from([0.0, 3.0, 60.0]))
def test_every_finished_drop_is_taken_exactly_once_and_none_while_it_is_written_as_tmp(
    what: list[tuple[bool, bool, list[float]]], scans: list[float], failures: list[bool], quiet: float
) -> None:
    made = [
        Producer(f"p{number}", number, renames, is_folder, pauses, next_at=pauses[0])
        for number, (renames, is_folder, pauses) in enumerate(what)
    ]
    watch = Watch(Drops(quiet=quiet), made, failures)
    now = 0.0
    for pause in scans:
        now += pause
        watch.scan(now)
    # After the last write, a scan a minute finds everything: that is the guarantee of the rescan.
    end = max(now, 6 * 20.0 + 20.0) + ABANDONED_SECONDS + GATHER_SECONDS + 3600
    while now < end:
        now += 60.0
        watch.scan(now)
    assert sorted(watch.taken) == sorted(producer.name for producer in made)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0.01, 1.9), min_size=1, max_size=8), st.lists(st.floats(0.05, 1.0), min_size=30, max_size=60))
def test_a_folder_filled_in_place_without_long_pauses_is_taken_only_when_complete(
    pauses: list[float], scans: list[float]
) -> None:
    producer = Producer("in-place", 1, False, True, pauses, next_at=pauses[0])
    watch = Watch(Drops(), [producer], [])
    now = 0.0
    for pause in scans:
        now += pause
        producer.advance(now)
        complete = producer.state != "writing"
        watch.scan(now)
        assert complete or not watch.taken
    watch.scan(now + 100)
    watch.scan(now + 200)
    assert watch.taken == ["in-place"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=6))
def test_following_look_again_alone_finds_every_finished_drop(pauses: list[float]) -> None:
    producer = Producer("p", 1, False, True, pauses, next_at=0.0)
    drops, now = Drops(), 0.0
    for _ in range(200):
        producer.advance(now)
        bare = producer.entry(None)
        answer = drops.scan([producer.entry(drops.look(bare, now))], now)
        if answer.finished:
            return
        assert answer.look_again is not None
        assert answer.look_again > now
        now = answer.look_again
    raise AssertionError("never taken")
