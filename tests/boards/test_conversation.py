"""The host's conversation with a model of a board after docs/protocol.md, on a damaging line, in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from board_model import FRAME, INFO, RESULT, Line, expected, frames

from sterna.boards.host import BoardError, NoAnswerError
from sterna.boards.host.conversation import Conversation
from sterna.boards.packets import Info

Talk = Callable[..., Conversation]


def test_without_faults_there_is_one_session_and_the_buffer_is_used(talk: Talk) -> None:
    line, rng = Line(1), random.Random(1)
    conversation = talk(line)
    assert conversation.meet() == INFO
    for count in (1, 82, 5000):
        data, seen = frames(rng, count), []
        got, networks = conversation.exchange(data, frame=FRAME, result=RESULT, progress=seen.append)
        assert got == expected(data)
        assert networks == [INFO.digest] * count
        assert seen == sorted(seen)
        assert seen[-1] == count
    assert (conversation.sessions, conversation.damaged, line.most_waiting) == (3, 0, 2)
    assert line.now < 1, "nothing was waited for but an empty line at the start"


@pytest.mark.parametrize("seed", range(4))
def test_thousands_of_faults_and_no_wrong_result(talk: Talk, seed: int) -> None:
    rng = random.Random(seed)
    rates = {"flipped": 0.0008, "dropped": 0.0008, "doubled": 0.0008, "lost": 0.02, "reset": 0.003}
    line = Line(seed, **rates)
    results = errors = 0
    while line.faults < 600:
        data = frames(rng, rng.choice((1, 3, 40, 200)))
        conversation = talk(line)
        killed = rng.random() < 0.2

        def progress(done: int, killed: bool = killed) -> None:
            if killed:
                raise KeyboardInterrupt

        try:
            assert conversation.meet() == INFO
            got, _ = conversation.exchange(data, frame=FRAME, result=RESULT, progress=progress)
        except KeyboardInterrupt:
            continue
        except BoardError:
            errors += 1
            continue
        assert got == expected(data)
        results += len(data) // FRAME
    assert results > 1000
    assert errors < 10


def test_a_board_that_gives_nothing_is_said(talk: Talk) -> None:
    class Mute(Line):
        """Takes packets and computes nothing."""

        def _work(self) -> None:
            self._kept.clear()

    conversation = talk(Mute(1), stall=5.0)
    conversation.meet()
    with pytest.raises(BoardError, match="24 sessions on the model were lost one after the other without a result"):
        conversation.exchange(bytes(30), frame=FRAME, result=RESULT, progress=lambda done: None)


def test_a_line_without_anybody_is_said(talk: Talk) -> None:
    line = Line(1, lost=1.0)
    with pytest.raises(NoAnswerError, match="no answer from the model at 1000000 baud: program the board"):
        talk(line).meet()
    assert 1 < line.now < 10
    line = Line(1, flipped=0.5)
    with pytest.raises(NoAnswerError, match="what comes from the model at 1000000 baud is no packet"):
        talk(line).meet()


@pytest.mark.parametrize(
    ("registers", "message"),
    [
        (
            b"STRN\x02" + bytes(27),
            "speaks version 2 of the protocol, and this Sterna version 1: make its",
        ),
        (b"XTRN\x01" + bytes(27), "what answers is no board of Sterna's"),
    ],
)
def test_another_board_is_refused(registers: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Info.read(lambda number: registers)
