"""The host: a board as a model, over a serial port."""

from sterna.boards.host.board import BAUD, Board
from sterna.boards.host.conversation import WrongNetworkError
from sterna.boards.host.link import BoardError, PortError
from sterna.boards.host.wire import NoAnswerError

__all__ = ["BAUD", "Board", "BoardError", "NoAnswerError", "PortError", "WrongNetworkError"]
