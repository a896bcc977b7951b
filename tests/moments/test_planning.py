"""Which moments can be had, from which dump, by which pieces; and why others cannot: never the nearest."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from backups.dumpfile.log_positions import Place
from backups.errors import Problem
from backups.moments.planning import Draft, drafted
from backups.moments.timeline import Log
from backups.moments.until import Until, before_transaction
from backups.moments.windows import windows
from tests.moments.logs import FILE, at, barrier, base, gap, log, marks, piece, place

# A dump at noon and one ten minutes later, hourly pieces cut at the second dump.
PLAIN = log(30, [base(0), base(10, 2)], [piece(0, 10), piece(10, 30)])


def refusal(of: Log, until: Until) -> Problem:
    with pytest.raises(Problem) as raised:
        drafted(of, until)
    return raised.value


def to(moment: datetime) -> Until:
    return Until(moment=moment)


def spans(of: Log) -> list[tuple[float, float]]:
    """Its windows as minutes after noon."""
    return [((each.begins - at(0)).total_seconds() / 60, (each.ends - at(0)).total_seconds() / 60)
            for each in windows(of)]  # fmt: skip


def test_any_moment_from_the_first_dump_on_up_to_what_is_stored() -> None:
    assert spans(PLAIN) == [(0, 30)]


@pytest.mark.parametrize(
    ("minute", "key", "lower", "upper"),
    [(0, 1, 0, 0), (9.5, 1, 9, 10), (10, 2, 10, 10), (10.5, 2, 10, 11), (29.9, 2, 29, 30), (30, 2, 30, 30)],
)
def test_the_newest_dump_before_and_the_minute_in_which_the_end_is(
    minute: float, key: int, lower: float, upper: float
) -> None:
    draft = drafted(PLAIN, to(at(minute)))

    assert draft.base.key == key
    assert (draft.lower, draft.upper) == (place(lower), place(upper))


def test_what_is_read_is_what_lies_between_dump_and_end() -> None:
    draft = drafted(PLAIN, to(at(10.5)))

    assert [each.start for each in draft.pieces_to(place(10.2))] == [place(10).position]
    assert draft.pieces_to(place(10)) == []


def test_the_longest_piece_of_those_that_begin_at_one_place() -> None:
    """Each minute a longer one is stored, until one is sealed; those before it are forgotten."""
    grown = [replace(piece(0, end, key=end), is_kept=end == 5) for end in range(1, 6)]
    draft = drafted(log(5, [base(0)], grown), to(at(4)))

    assert [each.key for each in draft.pieces_to(draft.upper)] == [5]


def test_a_dump_from_before_it_was_switched_on_is_none_to_begin_with() -> None:
    """Its position is exact, but what came then is not stored; also where nothing was logged since."""
    quiet = replace(log(60, [base(0), base(30, 2)], []), switched=at(20))

    assert spans(quiet) == [(30, 60)]
    assert refusal(quiet, to(at(10))).code == "moment.before_first"


def test_nothing_was_logged_for_a_while_after_the_first_dump() -> None:
    """What stores the log was started anew meanwhile, and its first piece begins where it then was."""
    quiet = log(30, [base(0)], [piece(12, 30)])

    assert spans(quiet) == [(0, 30)]
    assert drafted(quiet, to(at(20))).base.key == 1


def test_two_pieces_that_do_not_meet_are_a_hole() -> None:
    """No gap was noted, so a row is missing: better no moment than a wrong one."""
    holed = log(30, [base(0), base(15, 2)], [piece(0, 10), piece(20, 30)])

    for minute in (12, 25):
        draft = drafted(holed, to(at(minute)))
        if minute == 12:
            assert [each.end for each in draft.pieces_to(place(12))] == [place(10).position]
            continue
        with pytest.raises(Problem) as raised:
            draft.pieces_to(place(25))
        assert raised.value.code == "moment.hole"


def test_after_it_was_switched_off_and_on_the_first_piece_tells_what_was_followed() -> None:
    again = log(60, [base(0), base(5, 2), base(40, 3)], [piece(5, 20), piece(40, 60)], [gap(20, 40)])

    assert spans(replace(again, switched=at(40))) == [(5, 20), (40, 60)]
    assert spans(again) == [(0, 20), (40, 60)]


def test_a_dump_that_was_made_while_a_gap_stood_open_is_none_either() -> None:
    broken = log(60, [base(0), base(30, 3), base(40, 2)], [piece(0, 20)], [gap(20, 40)])

    assert spans(broken) == [(0, 20), (40, 60)]


def test_a_quiet_database_stays_fresh() -> None:
    """Nothing of it was logged since its dump, and the log is stored up to now all the same."""
    quiet = log(600, [base(0)], [])

    draft = drafted(quiet, to(at(599)))
    assert draft.pieces_to(draft.upper) == []
    assert spans(quiet) == [(0, 600)]


def test_file_numbers_beyond_six_digits_come_after() -> None:
    old, new = "binlog.999999", "binlog.1000000"
    long = replace(
        log(30, [base(0)._replace(place=Place(old, 4))], [
            piece(0, 10, file=old), piece(0, 5, key=99, file=new, stored=at(15)),
        ]),
        end=Place(new, 5004), marks=[],
    )  # fmt: skip
    draft = drafted(long, to(at(20)))

    assert [each.file for each in draft.pieces_to(draft.upper)] == [old, new]


BROKEN = log(60, [base(0), base(40, 2)], [piece(0, 20), piece(40, 60)], [gap(20, 40)])


def test_a_gap_ends_a_window_and_a_dump_begins_the_next() -> None:
    assert spans(BROKEN) == [(0, 20), (40, 60)]
    assert drafted(BROKEN, to(at(20))).base.key == 1
    assert drafted(BROKEN, to(at(40))).base.key == 2


def test_in_a_gap_it_is_said_what_can_be_had() -> None:
    problem = refusal(BROKEN, to(at(30)))

    assert problem.code == "moment.in_gap"
    assert "has a gap from 2026-11-28 12:20:00 to 2026-11-28 12:40:00 (It was purged)" in problem.sentence()
    assert "from 2026-11-28 12:00:00 to 2026-11-28 12:20:00" in problem.do
    assert "from 2026-11-28 12:40:00 to 2026-11-28 13:00:00" in problem.do


def test_what_people_are_told_can_be_typed() -> None:
    """Times with parts of a second are told in whole ones that can be had."""
    odd = replace(BROKEN, bases=[base(0), base(40.005, 2)], gaps=[gap(20.005, 40.005)], marks=[])
    problem = refusal(odd, to(at(30)))

    assert "from 2026-11-28 12:00:00 to 2026-11-28 12:20:00, from 2026-11-28 12:40:01 to" in problem.do
    assert drafted(odd, to(at(20))).base.key == 1
    assert drafted(odd, to(at(40) + timedelta(seconds=1))).base.key == 2


def test_an_open_gap_has_no_end_yet() -> None:
    broken = replace(log(60, [base(0)], [piece(0, 20)], [gap(20, None)]), stored_until=at(60))

    assert spans(broken) == [(0, 20)]
    assert refusal(broken, to(at(30))).code == "moment.in_gap"


def test_the_same_names_after_a_gap_are_another_log() -> None:
    """RESET: the log begins anew with its first names."""
    anew = log(60, [base(0), base(40, 2)._replace(place=place(1))], [
        piece(0, 20), piece(1, 15, key=9, made=9000, stored=at(55)),
    ], [gap(20, 40)])  # fmt: skip
    anew = replace(anew, end=place(15), marks=[])

    draft = drafted(anew, to(at(50)))
    assert draft.base.key == 2
    assert [each.made for each in draft.pieces_to(draft.upper)] == [9000]
    assert refusal(anew, before_transaction(f"{FILE}:5000")).code == "moment.ambiguous_transaction"


BARRED = log(60, [base(0), base(40, 2)], [piece(0, 40, barriers=[barrier(30)]), piece(40, 60)])


def test_a_barrier_ends_a_window_until_the_next_dump() -> None:
    assert spans(BARRED) == [(0, 30), (40, 60)]
    problem = refusal(BARRED, to(at(35)))
    assert problem.code == "moment.behind_barrier"
    assert problem.params["barrier"] == "log.database_replaced"
    assert "The database was dropped or made anew." in problem.what
    assert "from 2026-11-28 12:00:00 to 2026-11-28 12:30:00" in problem.do


def test_just_before_what_cannot_be_replayed_can_be_had() -> None:
    draft = drafted(BARRED, before_transaction(f"{FILE}:{place(30).position}"))

    draft.refuse_walls(draft.upper)
    with pytest.raises(Problem, match=r"\AJust before transaction .* the log cannot be replayed past"):
        draft.refuse_walls(place(30.001))


def test_a_dump_at_the_very_barrier_has_it_yet_to_come() -> None:
    barred = log(60, [base(30)], [piece(30, 60, barriers=[barrier(30)])])

    assert spans(barred) == [(30, 30)]


@pytest.mark.parametrize(
    ("which", "minute", "code"),
    [
        (PLAIN, -1, "moment.before_first"),
        (PLAIN, 30.01, "moment.after_end"),
        (log(60, [], [piece(0, 20)]), 10, "moment.no_base"),
        (Log(is_on=False), 10, "moment.no_archive"),
        (Log(is_on=True, server="u"), 10, "moment.no_base"),
        (log(60, [base(0, server="of before")], [piece(0, 20)]), 10, "moment.no_base"),
    ],
)
def test_what_cannot_be_had_is_refused(which: Log, minute: float, code: str) -> None:
    problem = refusal(which, to(at(minute)))

    assert problem.code == code
    assert problem.safe
    assert problem.do


def test_a_piece_that_is_not_kept_is_gone_with_what_follows_it() -> None:
    holed = log(60, [base(0), base(40, 2)], [piece(0, 10), piece(10, 20, is_kept=False), piece(20, 60)])

    assert spans(holed) == [(0, 10), (40, 60)]
    assert refusal(holed, to(at(30))).code == "moment.not_kept"


def test_old_dumps_whose_log_is_forgotten_are_restored_as_they_are() -> None:
    old = log(60, [base(0), base(20, 2), base(40, 3)], [
        piece(0, 20, is_kept=False), piece(20, 40, is_kept=False), piece(40, 60),
    ])  # fmt: skip

    assert spans(old) == [(40, 60)]
    assert refusal(old, to(at(30))).code == "moment.before_first"


def test_before_a_transaction_that_is_not_stored() -> None:
    assert refusal(PLAIN, before_transaction("binlog.000099:4")).code == "moment.unknown_transaction"
    assert refusal(PLAIN, before_transaction(f"{FILE}:30004")).code == "moment.unknown_transaction"


def test_before_the_position_of_the_first_dump_there_is_none() -> None:
    later = log(30, [base(10)], [piece(0, 30)])

    early = before_transaction(f"{FILE}:{place(5).position}")
    assert refusal(later, early).code == "moment.unknown_transaction"
    draft: Draft = drafted(later, before_transaction(f"{FILE}:{place(15).position}"))
    assert (draft.lower, draft.upper) == (place(15), place(15))


def test_without_marks_all_that_is_stored_is_looked_at() -> None:
    """As of a portal that was rebuilt from its repository."""
    unmarked = replace(PLAIN, marks=[])

    draft = drafted(unmarked, to(at(9)))
    assert (draft.lower, draft.upper) == (place(0), place(30))
    assert marks(1)[1].place == place(1)
