"""Decides which entries of a watched folder are finished, which wait and why, and when to look again.

Pure logic over scans with a clock that is passed in: no Django, no watchdog, no disk. Only monotonic seconds are
compared; times of files are mere fingerprints: neither a clock that jumps nor a file server with another time matters.

A **folder** is finished when its name is (see `main.names`) and one of these holds:

- it arrived by a rename, that is, it was seen under an unfinished name or moved in as a whole: it is taken at once;
- nothing inside it has changed for the settle time, because somebody may be filling it in place.

With a quiet time, every folder must have been unchanged that long. A folder without files waits for its first one. One
that holds files with unfinished names waits until they are gone, or until nothing moved for `ABANDONED_SECONDS`.

**Loose files** are finished when they have been unchanged for the quiet time. Those that are quiet wait a little
(`GATHER_SECONDS` at most) for others that are still arriving, and go together as one drop.

What only time speaks for is a guess: the caller keeps back what a program still has open for writing (`Drops.hold_open`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from main.names import is_system, is_unfinished
from watcher.words import Answer, Drop, Entry, Kind, Look, Reason

SETTLE_SECONDS = 2.0
LOOSE_QUIET_SECONDS = 5.0
GATHER_SECONDS = 30.0
ABANDONED_SECONDS = 600.0
FILES_PER_DROP = 5000
OPEN_SECONDS = 2.0
LONGEST_RETRY_SECONDS = 60.0
# A look into a large folder may cost at most this share of the time.
LOOK_COST_FACTOR = 10.0


@dataclass(slots=True)
class _Track:
    """What is remembered of one entry from scan to scan."""

    first_seen: float
    kind: Kind
    fingerprint: object = None
    changed: float = 0.0
    arrived: bool = False
    look_at: float = 0.0
    failures: int = 0
    reason: Reason | None = None

    def changed_now(self, fingerprint: object, now: float) -> bool:
        """Note a fingerprint; say whether it differs from the one before (the first always does)."""
        if fingerprint == self.fingerprint:
            return False
        self.fingerprint, self.changed = fingerprint, now
        return True


@dataclass(slots=True)
class _Verdict:
    """The answer while it is being put together."""

    finished: list[Drop] = field(default_factory=list)
    waiting: dict[Reason, int] = field(default_factory=dict)
    oldest: float = float("inf")
    look_again: float = float("inf")

    def wait(self, track: _Track, reason: Reason, look_at: float | None = None) -> None:
        track.reason = reason
        self.waiting[reason] = self.waiting.get(reason, 0) + 1
        if reason is not Reason.EMPTY:
            self.oldest = min(self.oldest, track.first_seen)
        if look_at is not None:
            track.look_at = look_at
            self.look_again = min(self.look_again, look_at)


class Drops:
    """The finished and the waiting drops of one watched folder.

    Parameters
    ----------
    quiet : float
        Seconds for which every folder must be unchanged, even one that arrived by a rename; 0 trusts the rename.
    settle : float
        Seconds for which a folder that did not arrive by a rename must be unchanged when there is no quiet time.
    loose_quiet : float
        Seconds for which loose files must be unchanged; a larger `quiet` counts instead.
    gather : float
        The longest that quiet loose files wait for others that are still arriving.
    limit : int
        The most loose files in one drop.
    """

    def __init__(
        self,
        *,
        quiet: float = 0.0,
        settle: float = SETTLE_SECONDS,
        loose_quiet: float = LOOSE_QUIET_SECONDS,
        gather: float = GATHER_SECONDS,
        limit: int = FILES_PER_DROP,
    ) -> None:
        self.quiet = quiet
        self.settle = max(settle, quiet)
        self.loose_quiet = max(loose_quiet, quiet)
        self.gather = gather
        self.limit = limit
        self._tracks: dict[str, _Track] = {}
        self._unfinished: set[tuple[int, int]] = set()
        self._moved_in: set[str] = set()

    def moved_in(self, name: str) -> None:
        """Note that a folder of this name arrived whole, by a rename from elsewhere or from an unfinished name."""
        self._moved_in.add(name)

    def created(self, name: str) -> None:
        """Note that a folder of this name was newly made, so that its content is still to come."""
        self._moved_in.discard(name)

    def look(self, entry: Entry, now: float) -> Look:
        """Say how closely the next `scan` needs to know the inside of this folder."""
        if entry.kind is not Kind.FOLDER or is_system(entry.name) or is_unfinished(entry.name):
            return Look.NOT_NOW
        arrived = self._has_arrived(entry)
        track = self._tracks.get(entry.name)
        handed_over = arrived and not self.quiet
        if track is not None and now < track.look_at and (not handed_over or track.reason is Reason.RETRY):
            return Look.NOT_NOW
        return Look.ANY_FILE if handed_over else Look.EVERYTHING

    def scan(self, entries: Iterable[Entry], now: float) -> Answer:
        """Judge what a scan found.

        Parameters
        ----------
        entries : iterable of Entry
            Everything at the top of the folder, with ``inside`` wherever `look` asked for it. It was listed after the
            arrivals that were told by `moved_in` and `created`.
        now : float
            Monotonic seconds.
        """
        tracks: dict[str, _Track] = {}
        unfinished: set[tuple[int, int]] = set()
        loose: list[tuple[str, _Track]] = []
        verdict = _Verdict()
        for entry in entries:
            if entry.kind is Kind.OTHER or is_system(entry.name):
                continue
            track = self._tracks.get(entry.name)
            if track is None or track.kind is not entry.kind:
                track = _Track(first_seen=now, kind=entry.kind)
            tracks[entry.name] = track
            if is_unfinished(entry.name):
                unfinished.add(entry.identity)
                verdict.wait(track, Reason.UNFINISHED_NAME)
            elif entry.kind is Kind.FOLDER:
                self._judge_folder(entry, track, verdict, now)
            else:
                track.changed_now((entry.size, entry.mtime_ns, entry.ctime_ns), now)
                loose.append((entry.name, track))
        self._judge_loose(loose, verdict, now)
        known, self._tracks, self._unfinished = self._tracks.keys(), tracks, unfinished
        self._moved_in.clear()
        return Answer(
            finished=verdict.finished,
            waiting=verdict.waiting,
            oldest_age=max(0.0, now - verdict.oldest),
            look_again=verdict.look_again if verdict.look_again < float("inf") else None,
            new=len(tracks.keys() - known),
        )

    def postpone(self, drop: Drop, now: float) -> None:
        """Offer a drop that could not be taken again later, and later each time."""
        for name in drop.names:
            if (track := self._tracks.get(name)) is not None:
                track.failures += 1
                track.reason = Reason.RETRY
                track.look_at = now + min(LONGEST_RETRY_SECONDS, 2.0 ** min(track.failures, 10))

    def hold_open(self, names: Iterable[str], now: float) -> list[str]:
        """Keep back what a program has open for writing; return what is kept: not what nobody has touched for long."""
        kept = []
        for name in names:
            track = self._tracks.get(name)
            if track is not None and now < track.changed + max(ABANDONED_SECONDS, self.loose_quiet):
                track.reason = Reason.OPEN
                track.look_at = now + OPEN_SECONDS
                kept.append(name)
        return kept

    def _has_arrived(self, entry: Entry) -> bool:
        track = self._tracks.get(entry.name)
        return (
            entry.identity in self._unfinished
            or entry.name in self._moved_in
            or (track is not None and track.arrived and track.kind is Kind.FOLDER)
        )

    def _judge_folder(self, entry: Entry, track: _Track, verdict: _Verdict, now: float) -> None:
        inside = entry.inside
        track.arrived = self._has_arrived(entry)
        if inside is None:
            verdict.wait(track, track.reason or Reason.SETTLING, track.look_at)
        elif inside.unreadable:
            verdict.wait(track, Reason.UNREADABLE, now + self._patience(track, now))
        elif inside.files == 0:
            # Whoever moved an empty folder in has yet to fill it: its files will come one by one.
            track.arrived = False
            verdict.wait(track, Reason.EMPTY, now + self._patience(track, now))
        elif track.arrived and not self.quiet:
            verdict.finished.append(Drop((entry.name,), Kind.FOLDER))
        else:
            changed = track.changed_now(inside.digest, now)
            finished_at = track.changed + (max(ABANDONED_SECONDS, self.settle) if inside.unfinished else self.settle)
            if now >= finished_at:
                verdict.finished.append(Drop((entry.name,), Kind.FOLDER, guessed=not track.arrived))
                return
            # Files with unfinished names are soon renamed; the folder is looked at again before it counts as abandoned.
            soon = min(finished_at, now + self.settle)
            look_at = max(soon, now + LOOK_COST_FACTOR * inside.seconds)
            verdict.wait(track, Reason.GROWING if changed else Reason.SETTLING, look_at)

    def _judge_loose(self, loose: list[tuple[str, _Track]], verdict: _Verdict, now: float) -> None:
        quiet: list[tuple[str, _Track]] = []
        arriving = False
        for name, track in loose:
            finished_at = track.changed + self.loose_quiet
            if track.reason in (Reason.RETRY, Reason.OPEN) and now < track.look_at:
                verdict.wait(track, track.reason, track.look_at)
            elif now < finished_at:
                arriving = True
                verdict.wait(track, Reason.GROWING if track.changed == now else Reason.SETTLING, finished_at)
            else:
                quiet.append((name, track))
        if not quiet:
            return
        gathered_at = min(track.changed for _, track in quiet) + self.loose_quiet + self.gather
        if arriving and len(quiet) < self.limit and now < gathered_at:
            for _, track in quiet:
                verdict.wait(track, Reason.GATHERING, gathered_at)
            return
        for start in range(0, len(quiet), self.limit):
            names = tuple(name for name, _ in quiet[start : start + self.limit])
            verdict.finished.append(Drop(names, Kind.FILE, guessed=True))

    @staticmethod
    def _patience(track: _Track, now: float) -> float:
        """Seconds until the next look at something that only others can change: soon at first, then ever later."""
        return min(LONGEST_RETRY_SECONDS, max(1.0, (now - track.first_seen) / 4))
