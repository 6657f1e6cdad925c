"""When a drop is finished: every rule with a clock that the test moves."""

from __future__ import annotations

from watcher.drops import ABANDONED_SECONDS, GATHER_SECONDS, LONGEST_RETRY_SECONDS, Drops
from watcher.words import Answer, Drop, Entry, Inside, Kind, Look, Reason


def folder(name: str, files: int = 1, inode: int = 1, **inside: object) -> Entry:
    facts = {"digest": files} | inside
    return Entry(name, Kind.FOLDER, (1, inode), inside=Inside(files, **facts))  # type: ignore[arg-type]


def file(name: str, size: int = 1, mtime: int = 0, inode: int = 1) -> Entry:
    return Entry(name, Kind.FILE, (1, inode), size, mtime, mtime)


def taken(answer: Answer) -> list[tuple[str, ...]]:
    return [drop.names for drop in answer.finished]


def test_a_folder_renamed_from_tmp_is_taken_at_once() -> None:
    drops = Drops()
    first = drops.scan([folder("ST-1.tmp2343", inode=7)], 0.0)
    assert first.finished == []
    assert first.waiting == {Reason.UNFINISHED_NAME: 1}
    assert drops.look(folder("ST-1", inode=7), 0.1) is Look.ANY_FILE
    assert taken(drops.scan([folder("ST-1", inode=7)], 0.1)) == [("ST-1",)]


def test_a_folder_moved_in_whole_is_taken_at_once() -> None:
    drops = Drops()
    drops.moved_in("ST-1")
    assert taken(drops.scan([folder("ST-1")], 0.0)) == [("ST-1",)]


def test_a_folder_that_was_made_again_after_a_move_is_not_trusted() -> None:
    drops = Drops()
    drops.moved_in("ST-1")
    drops.created("ST-1")
    assert taken(drops.scan([folder("ST-1")], 0.0)) == []


def test_a_move_counts_for_the_next_scan_only() -> None:
    drops = Drops()
    drops.moved_in("ST-1")
    drops.scan([], 0.0)
    assert taken(drops.scan([folder("ST-1")], 1.0)) == []


def test_a_folder_filled_in_place_is_taken_when_it_has_settled() -> None:
    drops = Drops()
    assert drops.scan([folder("ST-1", files=1)], 0.0).waiting == {Reason.GROWING: 1}
    assert drops.scan([folder("ST-1", files=2)], 2.0).waiting == {Reason.GROWING: 1}
    waiting = drops.scan([folder("ST-1", files=2)], 3.9)
    assert waiting.waiting == {Reason.SETTLING: 1}
    assert waiting.look_again == 4.0
    assert waiting.growing == 1
    assert taken(drops.scan([folder("ST-1", files=2)], 4.0)) == [("ST-1",)]


def test_mkdir_followed_by_a_copy_is_never_taken_empty() -> None:
    drops = Drops()
    for second in range(0, 7200, 60):
        answer = drops.scan([folder("ST-1", files=0)], float(second))
        assert answer.finished == []
        assert answer.waiting == {Reason.EMPTY: 1}
        assert answer.oldest_age == 0.0
        assert answer.look_again is not None
    drops.scan([folder("ST-1", files=3)], 7200.0)
    assert taken(drops.scan([folder("ST-1", files=3)], 7202.0)) == [("ST-1",)]


def test_an_empty_folder_moved_in_is_to_be_filled_in_place() -> None:
    drops = Drops()
    drops.moved_in("ST-1")
    drops.scan([folder("ST-1", files=0)], 0.0)
    assert taken(drops.scan([folder("ST-1", files=1)], 1.0)) == []
    assert taken(drops.scan([folder("ST-1", files=1)], 3.0)) == [("ST-1",)]


def test_a_quiet_time_holds_for_renamed_folders_too() -> None:
    drops = Drops(quiet=30.0)
    drops.scan([folder("ST-1.tmp1", inode=7)], 0.0)
    assert taken(drops.scan([folder("ST-1", inode=7)], 1.0)) == []
    assert taken(drops.scan([folder("ST-1", inode=7)], 30.9)) == []
    assert taken(drops.scan([folder("ST-1", inode=7)], 31.0)) == [("ST-1",)]


def test_a_folder_holding_a_partial_file_waits_until_it_is_renamed_or_abandoned() -> None:
    drops = Drops()
    drops.scan([folder("ST-1", unfinished=True)], 0.0)
    assert taken(drops.scan([folder("ST-1", unfinished=True)], ABANDONED_SECONDS - 1)) == []
    assert taken(drops.scan([folder("ST-1", unfinished=True)], ABANDONED_SECONDS)) == [("ST-1",)]


def test_a_folder_that_may_not_be_read_waits_and_is_looked_at_again() -> None:
    drops = Drops()
    answer = drops.scan([folder("ST-1", files=0, unreadable=True)], 0.0)
    assert answer.waiting == {Reason.UNREADABLE: 1}
    assert answer.look_again == 1.0


def test_an_expensive_folder_is_looked_into_less_often() -> None:
    drops = Drops()
    entry = folder("ST-1", seconds=3.0)
    assert drops.scan([entry], 0.0).look_again == 30.0
    assert drops.look(entry, 29.0) is Look.NOT_NOW
    assert drops.look(entry, 30.0) is Look.EVERYTHING


def test_loose_files_go_together_when_all_are_quiet() -> None:
    drops = Drops(loose_quiet=5.0)
    drops.scan([file("a")], 0.0)
    assert drops.scan([file("a"), file("b")], 3.0).look_again == 5.0
    waiting = drops.scan([file("a"), file("b")], 5.0)
    assert waiting.finished == []
    assert waiting.waiting == {Reason.GATHERING: 1, Reason.SETTLING: 1}
    assert drops.scan([file("a"), file("b")], 8.0).finished == [Drop(("a", "b"), Kind.FILE, guessed=True)]


def test_a_file_that_grows_for_an_hour_is_waited_for_and_holds_up_no_other_for_long() -> None:
    drops = Drops(loose_quiet=5.0)
    entries = [file("done")]
    when = {}
    for second in range(0, 3600, 2):
        for drop in drops.scan([*entries, file("slow", size=second)], float(second)).finished:
            when[drop.names] = second
            entries = []
    assert when == {("done",): 36}  # 5 s quiet + GATHER_SECONDS, rounded up to the scan
    assert GATHER_SECONDS == 30.0
    assert drops.scan([file("slow", size=3600)], 3600.0).growing == 1
    assert taken(drops.scan([file("slow", size=3600)], 3605.0)) == [("slow",)]


def test_size_mtime_and_ctime_each_show_that_a_file_changed() -> None:
    for changed in (file("a", size=2), file("a", mtime=2), Entry("a", Kind.FILE, (1, 1), 1, 0, 5)):
        drops = Drops(loose_quiet=5.0)
        drops.scan([file("a")], 0.0)
        assert taken(drops.scan([changed], 5.0)) == []
        assert taken(drops.scan([changed], 10.0)) == [("a",)]


def test_a_file_dated_in_the_future_is_taken_like_any_other() -> None:
    drops = Drops(loose_quiet=5.0)
    drops.scan([file("a", mtime=2**62)], 0.0)
    assert taken(drops.scan([file("a", mtime=2**62)], 5.0)) == [("a",)]


def test_an_inode_that_a_network_filesystem_invents_anew_delays_nothing() -> None:
    drops = Drops(loose_quiet=5.0)
    drops.scan([file("a", inode=1)], 0.0)
    assert taken(drops.scan([file("a", inode=2)], 5.0)) == [("a",)]


def test_a_drop_of_loose_files_is_bounded() -> None:
    drops = Drops(loose_quiet=5.0, limit=2)
    entries = [file(name) for name in "abcde"]
    drops.scan(entries, 0.0)
    assert taken(drops.scan(entries, 5.0)) == [("a", "b"), ("c", "d"), ("e",)]


def test_system_files_links_and_devices_are_neither_taken_nor_waited_for() -> None:
    drops = Drops()
    entries = [file("Thumbs.db"), file(".DS_Store"), folder("@eaDir"), Entry("link", Kind.OTHER, (1, 5))]
    assert drops.scan(entries, 0.0) == Answer()
    assert drops.scan(entries, 100.0) == Answer()


def test_what_cannot_be_taken_is_offered_again_later_and_later() -> None:
    drops = Drops()
    now, waits = 0.0, []
    drops.scan([folder("ST-1.tmp1", inode=7)], now)
    (drop,) = drops.scan([folder("ST-1", inode=7)], now).finished
    for _ in range(8):
        drops.postpone(drop, now)
        retry_at = drops.scan([Entry("ST-1", Kind.FOLDER, (1, 7))], now).look_again
        assert retry_at is not None
        assert drops.look(folder("ST-1", inode=7), retry_at - 0.01) is Look.NOT_NOW
        early = drops.scan([Entry("ST-1", Kind.FOLDER, (1, 7))], retry_at - 0.01)
        assert early.finished == []
        assert early.waiting == {Reason.RETRY: 1}
        assert early.look_again == retry_at
        waits.append(retry_at - now)
        now = retry_at
        assert drops.scan([folder("ST-1", inode=7)], now).finished == [drop]
    assert waits == [2.0, 4.0, 8.0, 16.0, 32.0, LONGEST_RETRY_SECONDS, LONGEST_RETRY_SECONDS, LONGEST_RETRY_SECONDS]


def test_one_drop_that_cannot_be_taken_holds_up_no_other() -> None:
    drops = Drops(loose_quiet=5.0)
    drops.scan([file("bad")], 0.0)
    (drop,) = drops.scan([file("bad")], 5.0).finished
    drops.postpone(drop, 5.0)
    drops.scan([file("bad"), file("good")], 5.5)
    (other,) = [drop for drop in drops.scan([file("bad"), file("good")], 10.6).finished if "good" in drop.names]
    assert "good" in other.names


def test_what_a_program_has_open_is_kept_back_but_not_for_ever() -> None:
    drops = Drops(loose_quiet=5.0)
    entries = [file("open"), file("closed")]
    drops.scan(entries, 0.0)
    (drop,) = drops.scan(entries, 5.0).finished
    assert drop.guessed
    assert drop.without(drops.hold_open(["open"], 5.0)).names == ("closed",)
    answer = drops.scan(entries[:1], 5.1)
    assert (answer.finished, answer.waiting, answer.growing) == ([], {Reason.OPEN: 1}, 1)
    assert answer.look_again == 7.0
    assert taken(drops.scan(entries[:1], 7.0)) == [("open",)]
    assert drops.hold_open(["open"], ABANDONED_SECONDS) == []


def test_a_folder_that_a_program_has_open_is_kept_back() -> None:
    drops = Drops()
    drops.scan([folder("ST-1")], 0.0)
    (drop,) = drops.scan([folder("ST-1")], 2.0).finished
    assert drop.guessed
    drops.hold_open(drop.names, 2.0)
    assert drops.look(folder("ST-1"), 3.9) is Look.NOT_NOW
    assert drops.scan([Entry("ST-1", Kind.FOLDER, (1, 1))], 3.9).waiting == {Reason.OPEN: 1}
    assert drops.scan([folder("ST-1")], 4.0).finished == [drop]


def test_a_renamed_folder_is_no_guess() -> None:
    for quiet in (0.0, 3.0):
        drops = Drops(quiet=quiet)
        drops.scan([folder("ST-1.tmp1", inode=7)], 0.0)
        drops.scan([folder("ST-1", inode=7)], 1.0)
        (drop,) = drops.scan([folder("ST-1", inode=7)], 4.0).finished
        assert not drop.guessed


def test_the_oldest_age_counts_from_when_an_entry_was_first_seen() -> None:
    drops = Drops()
    drops.scan([folder("ST-1.tmp1")], 10.0)
    answer = drops.scan([folder("ST-1.tmp1")], 100.0)
    assert answer.oldest_age == 90.0
    assert answer.waiting == {Reason.UNFINISHED_NAME: 1}
