"""The host: a board as a model, over a serial port."""

from sterna.boards.host.board import BAUD, Board, WrongNetworkError
from sterna.boards.host.conversation import NoAnswerError
from sterna.boards.host.link import BoardError, PortError

__all__ = ["BAUD", "Board", "BoardError", "NoAnswerError", "PortError", "WrongNetworkError"]
