"""Networks that are loaded while frames flow, on a model of a board and a damaging line, in virtual time."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable

import pytest
from board_model import ENDING, FRAME, INFO, KEEPING, RESULT, WORDS, Line, computed, frames

from sterna.boards.host import BoardError, WrongNetworkError
from sterna.boards.host.conversation import Conversation
from sterna.boards.host.outgoing import Load, Outgoing
from sterna.boards.packets import NOTHING, Info, Kind

Talk = Callable[..., Conversation]


def digest(number: int) -> str:
    """Of a network."""
    return hashlib.sha256(bytes((number,))).hexdigest()


def network(number: int) -> bytes:
    """Its digest, and words."""
    return bytes.fromhex(digest(number)) + random.Random(number).randbytes(WORDS)


class Loader:
    """Loads networks from a thread of its own."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._threads: list[threading.Thread] = []
        self.errors: list[BoardError] = []

    def begin(self, content: bytes) -> None:
        """Returns when the load waits for whoever talks; somebody has to."""
        waiting = self._conversation._loads
        before = len(waiting)

        def work() -> None:
            try:
                self._conversation.load(content)
            except BoardError as error:
                self.errors.append(error)

        self._threads.append(threading.Thread(target=work, daemon=True))
        self._threads[-1].start()
        while len(waiting) == before:
            time.sleep(0.0001)

    def at_first(self, content: bytes) -> Callable[[int], None]:
        """Progress that begins a load when it is called first."""

        def progress(done: int) -> None:
            if not self._threads:
                self.begin(content)

        return progress

    def join(self) -> None:
        """Waits for all loads."""
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive(), "a load hangs"


def right(data: bytes, got: bytes, networks: list[str]) -> bool:
    """Whether every result is that of the network which is said to have computed it."""
    parts = [data[at : at + FRAME] for at in range(0, len(data), FRAME)]
    return got == b"".join(computed(part, name) for part, name in zip(parts, networks, strict=True))


def changes(networks: list[str]) -> list[str]:
    """Without repetitions."""
    return [name for k, name in enumerate(networks) if k == 0 or networks[k - 1] != name]


@pytest.mark.parametrize("info", [KEEPING, ENDING], ids=["keeping", "ending"])
def test_frames_are_of_the_old_network_and_then_of_the_new_one(talk: Talk, info: Info) -> None:
    line = Line(3, info)
    conversation, numbers = talk(line), iter(range(1, 4))
    assert conversation.meet() == info
    loader = Loader(conversation)
    if info is ENDING:
        assert conversation.digest == NOTHING
        conversation.load(network(0))
    first = conversation.digest
    data = frames(random.Random(3), 4000)

    def progress(done: int) -> None:
        if done % 1000 < 100 and done // 1000 == line.loads - (info is ENDING) and (number := next(numbers, 0)):
            loader.begin(network(number))

    got, networks = conversation.exchange(data, frame=FRAME, result=RESULT, progress=progress)
    loader.join()
    assert right(data, got, networks)
    assert changes(networks) == [first, *(digest(number) for number in (1, 2, 3))]
    assert (conversation.sessions, conversation.digest) == (1 + (info is ENDING), digest(3))
    assert line.now < 1, "nothing was waited for"


def test_a_load_shares_the_line_with_frames(talk: Talk) -> None:
    line, kinds = Line(3, KEEPING), list[int]()
    taken = line.take

    def take(kind: int, carried: bytes) -> None:
        kinds.append(kind)
        taken(kind, carried)

    line.take = take  # type: ignore[method-assign]
    conversation = talk(line)
    conversation.meet()
    loader = Loader(conversation)
    begun = loader.at_first(network(1))
    conversation.exchange(frames(random.Random(1), 1000), frame=FRAME, result=RESULT, progress=begun)
    loader.join()
    begin, end = kinds.index(Kind.LOAD), kinds.index(Kind.LOAD_LAST)
    assert kinds[begin : end + 3] == [5, 2, 5, 2, 6, 2, 2]


def test_a_load_ends_between_frames_that_have_results_and_frames_that_were_not_sent() -> None:
    load = Load(digest=digest(1), content=bytes(range(25)))
    outgoing = Outgoing(bytes(range(100, 130)), frame=3, size=10, keeps=True)
    outgoing.begin(load)
    made = [outgoing.next(0) for _ in range(5)]
    assert [(kind, len(carried)) for kind, carried in filter(None, made)] == [
        (2, 10),
        (5, 10),
        (2, 10),
        (5, 10),
        (2, 1),
    ]
    assert [outgoing.next(done) for done in (0, 6)] == [None, None]
    assert not load.ended
    assert outgoing.next(7) == (Kind.LOAD_LAST, bytes(range(20, 25)))
    assert load.ended
    assert outgoing.next(7) == (Kind.DATA, bytes(range(121, 130)))
    assert outgoing.next(7) is None


def test_where_nothing_answers_meanwhile_no_frame_is_sent_until_the_load_is_through() -> None:
    outgoing = Outgoing(bytes(30), frame=3, size=10, keeps=False)
    assert outgoing.next(0) == (Kind.DATA, bytes(10))
    outgoing.begin(Load(digest=digest(1), content=bytes(range(15))))
    assert outgoing.next(0) == (Kind.DATA, bytes(2))
    assert [outgoing.next(done) for done in (0, 3)] == [None, None]
    assert outgoing.next(4) == (Kind.LOAD, bytes(range(10)))
    assert outgoing.next(4) == (Kind.LOAD_LAST, bytes(range(10, 15)))
    assert outgoing.next(4) is None
    outgoing.end()
    assert outgoing.next(4) == (Kind.DATA, bytes(10))


@pytest.mark.parametrize("info", [KEEPING, ENDING], ids=["keeping", "ending"])
@pytest.mark.parametrize("seed", range(3))
def test_faults_while_networks_are_loaded_and_no_wrong_result(talk: Talk, info: Info, seed: int) -> None:
    rng = random.Random(seed)
    rates = {"flipped": 0.0004, "dropped": 0.0004, "doubled": 0.0004, "lost": 0.01, "reset": 0.002}
    line = Line(seed, info, **rates)
    results = loads = errors = 0
    while line.faults < 250:
        conversation = talk(line)
        loader = Loader(conversation)
        data = frames(rng, rng.choice((1, 40, 400)))
        killed = rng.random() < 0.2

        def progress(done: int, killed: bool = killed, loader: Loader = loader) -> None:
            if killed:
                raise KeyboardInterrupt
            if rng.random() < 0.3:
                loader.begin(network(rng.randrange(8)))

        try:
            assert conversation.meet() == info
            if conversation.digest == NOTHING:
                conversation.load(network(0))
            got, networks = conversation.exchange(data, frame=FRAME, result=RESULT, progress=progress)
        except KeyboardInterrupt:
            continue
        except BoardError:
            errors += 1
            continue
        finally:
            loader.join()
            loads += len(loader._threads) - len(loader.errors)
            errors += len(loader.errors)
        assert right(data, got, networks)
        assert conversation.digest == line.network or loader.errors
        results += len(networks)
    assert results > 1000
    assert loads > 20
    assert errors < 10


def test_a_load_alone_needs_no_new_session_where_answers_are_lost(talk: Talk) -> None:
    line = Line(2, KEEPING)
    conversation = talk(line)
    conversation.meet()
    line.rates["lost"] = 0.2
    for number in range(6):
        conversation.load(network(number))
        assert (line.network, conversation.digest) == (digest(number),) * 2
    assert line.faults > 10
    assert conversation.sessions < 12, "one each, and those whose opening was lost"


def test_a_session_that_is_lost_behind_a_load_asks_who_answers(talk: Talk) -> None:
    class Stumbling(Line):
        """Is reset right behind the first load."""

        def take(self, kind: int, carried: bytes) -> None:
            super().take(kind, carried)
            if kind == Kind.LOAD_LAST and self.loads == 1:
                self.reset()

    line = Stumbling(1, KEEPING)
    conversation = talk(line)
    conversation.meet()
    loader = Loader(conversation)
    begun = loader.at_first(network(1))
    data = frames(random.Random(1), 900)
    got, networks = conversation.exchange(data, frame=FRAME, result=RESULT, progress=begun)
    loader.join()
    assert right(data, got, networks)
    assert (changes(networks), line.loads) == ([INFO.digest, digest(1)], 1)
    assert conversation.sessions == 2


def test_a_board_that_waits_for_its_network_says_so(talk: Talk) -> None:
    conversation = talk(Line(1, ENDING))
    conversation.meet()
    with pytest.raises(WrongNetworkError, match=r"waits for its network: load one, as `sterna load MODEL --port the m"):
        conversation.exchange(bytes(FRAME), frame=FRAME, result=RESULT, progress=lambda done: None)


@pytest.mark.parametrize("info", [KEEPING, ENDING], ids=["keeping", "ending"])
def test_a_load_that_is_refused_is_said(talk: Talk, info: Info) -> None:
    line = Line(1, info)
    conversation = talk(line)
    conversation.meet()
    with pytest.raises(BoardError, match="did not take the network: its load has another length than the board wants"):
        conversation.load(b"\x12" * (32 + WORDS - 1))
    assert (line.network, conversation.digest) == (INFO.digest if info is KEEPING else NOTHING,) * 2
    conversation.load(network(1))
    loader = Loader(conversation)
    data = frames(random.Random(1), 900)
    exchanged = {"frame": FRAME, "result": RESULT, "progress": loader.at_first(b"\x34" * (32 + WORDS + 1))}
    if info is KEEPING:
        got, networks = conversation.exchange(data, **exchanged)
        assert right(data, got, networks)
        assert changes(networks) == [digest(1)]
    else:
        with pytest.raises(WrongNetworkError, match="waits for its network"):
            conversation.exchange(data, **exchanged)
    loader.join()
    assert len(loader.errors) == 1


def test_a_board_that_was_programmed_anew_is_noticed(talk: Talk) -> None:
    line = Line(1, KEEPING)
    conversation = talk(line)
    conversation.meet()
    conversation.load(network(1))

    def progress(done: int) -> None:
        if line.network != INFO.digest:
            line.reset()
            line.network = INFO.digest

    data = frames(random.Random(1), 300)
    with pytest.raises(WrongNetworkError, match=r"has another network now \(digest 5a5a5a5a5a5a..., not "):
        conversation.exchange(data, frame=FRAME, result=RESULT, progress=progress)
    with pytest.raises(WrongNetworkError, match="has another network now"):  # trying again makes nothing right
        conversation.exchange(data, frame=FRAME, result=RESULT, progress=lambda done: None)
    conversation.load(network(1))
    got, networks = conversation.exchange(data, frame=FRAME, result=RESULT, progress=lambda done: None)
    assert right(data, got, networks)
    assert changes(networks) == [digest(1)]
