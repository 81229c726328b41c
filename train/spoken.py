"""The Free Spoken Digit Dataset, as small pictures of loudness over time and pitch."""

from __future__ import annotations

import hashlib
import math
import wave
from pathlib import Path

import numpy as np
import torch

from sterna.train.dataset import DataError, DataSet
from sterna.train.files import DATA_VARIABLE, data_folder, require

HOME = "https://github.com/Jakobovski/free-spoken-digit-dataset"
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
DIGITS, TAKES, TEST_TAKES = 10, 50, 5
RATE = 8000
#: Of all recordings in the order of :func:`names`.
SHA256 = "785339f71d0b6135255dedb18ad7d4ffd064c47f58940c1489407a0e278b5322"

#: Samples of a frame, and from one to the next.
FRAME, HOP = 256, 80
#: Bands on the mel scale, from the lowest to the highest frequency, in Hz; and times of a picture.
BANDS, TIMES = 16, 16
LOWEST, HIGHEST = 100.0, 3800.0
#: A picture spans so many dB below its loudest point; speech is what comes within so many of its loudest frame.
SPAN, SPEECH = 50.0, 35.0


def load_spoken_digits() -> DataSet:
    """3,000 recordings of ten digits by six speakers, as pictures of 16 bands by 16 times, 0 to 255.

    The official split: takes 0 to 4 of each speaker and digit are the test set, 300 recordings. The others come in an
    order drawn by NumPy's ``default_rng(0)``, so that any part of them has all digits. They are read from the folder
    ``fsdd/recordings`` in ``STERNA_DATA``. Source: Z. Jackson and others, Free Spoken Digit Dataset, CC BY-SA 4.0.

    Raises
    ------
    DataError
        If the folder is not given, or a recording is missing or damaged.
    """
    paths = recordings()
    pictures = np.stack([picture(read_wave(path)) for path in paths])
    labels = np.arange(len(paths)) // (len(SPEAKERS) * TAKES)
    test = np.arange(len(paths)) % TAKES < TEST_TAKES
    drawn = np.random.default_rng(0).permutation(np.flatnonzero(~test))
    images = torch.from_numpy(pictures)[:, None]
    targets = torch.from_numpy(labels.astype(np.int64))
    return DataSet(
        name="fsdd",
        train_images=images[drawn],
        train_labels=targets[drawn],
        test_images=images[test],
        test_labels=targets[test],
        classes=DIGITS,
        full_scale=255,
    )


def recordings() -> list[Path]:
    """The official recordings in the folder ``fsdd/recordings`` of ``STERNA_DATA``, in the order of :func:`names`.

    Raises
    ------
    DataError
        If the folder is not given, or a recording is missing or damaged.
    """
    folder = data_folder("fsdd")
    if folder is None:
        raise DataError(
            f"fsdd: get it from {HOME}, put its recordings/ into a folder fsdd/, and set {DATA_VARIABLE} to that "
            "folder's parent"
        )
    paths = [require(folder / "recordings" / name) for name in names()]
    check(paths)
    return paths


def names() -> list[str]:
    """The recordings' files: by digit, then speaker, then take."""
    return [f"{digit}_{speaker}_{take}.wav" for digit in range(DIGITS) for speaker in SPEAKERS for take in range(TAKES)]


def check(paths: list[Path]) -> None:
    """Whether all recordings are the official ones.

    Raises
    ------
    DataError
        If they are not.
    """
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    if digest.hexdigest() != SHA256:
        raise DataError(
            f"{paths[0].parent}: not the official recordings (their SHA-256 differs); get them again from {HOME}"
        )


def read_wave(path: Path) -> np.ndarray:
    """Samples of a recording of one channel, 16 bits and 8,000 samples a second: float64, -1 to 1.

    Raises
    ------
    DataError
        If it is no such file.
    """
    try:
        with wave.open(str(path)) as stream:
            form = (stream.getnchannels(), stream.getsampwidth(), stream.getframerate())
            content = stream.readframes(stream.getnframes())
    except (wave.Error, EOFError, OSError) as error:
        raise DataError(f"{path}: not a whole WAV file: {error}") from error
    if form != (1, 2, RATE):
        raise DataError(
            f"{path}: {form[0]} channels of {8 * form[1]} bits and {form[2]} samples a second, not 1 of 16 and {RATE}"
        )
    return np.frombuffer(content, "<i2") / 32768


def picture(samples: np.ndarray) -> np.ndarray:
    """Loudness of speech by band and time, its loudest point 255: uint8, (bands, times).

    Silence before and behind is cut off, and the rest is stretched to the times of a picture: slow and fast speakers
    look alike.

    Parameters
    ----------
    samples : float, (samples,)
        8,000 a second.
    """
    padded = np.pad(samples, (0, max(0, FRAME - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP] * np.hanning(FRAME)
    power = np.abs(np.fft.rfft(frames)) ** 2 @ filters().T  # (frames, bands)
    whole = decibels(power.sum(axis=1))
    speech = np.flatnonzero(whole >= whole.max() - SPEECH)
    loudness = decibels(power)
    shown = np.clip((loudness[speech[0] : speech[-1] + 1] - loudness.max()) / SPAN + 1, 0, 1)
    # the mean over each of the times, of frames that may lie in two
    edges = np.linspace(0, len(shown), TIMES + 1)
    summed = np.concatenate([np.zeros((1, BANDS)), np.cumsum(shown, axis=0)])
    places = np.arange(len(summed))
    at = np.stack([np.interp(edges, places, summed[:, band]) for band in range(BANDS)])
    return np.round(255 * np.diff(at, axis=1) / (len(shown) / TIMES)).astype(np.uint8)


def decibels(power: np.ndarray) -> np.ndarray:
    """10 log10 of a power; of none, that of 1e-12."""
    return 10 * np.log10(power + 1e-12)


def filters() -> np.ndarray:
    """Triangular bands, evenly spaced on the mel scale 2595 log10(1 + f / 700); float64, (bands, FRAME // 2 + 1)."""
    low, high = (2595 * math.log10(1 + f / 700) for f in (LOWEST, HIGHEST))
    corners = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    frequencies = np.arange(FRAME // 2 + 1) * RATE / FRAME
    rising = (frequencies - corners[:-2, None]) / (corners[1:-1] - corners[:-2])[:, None]
    falling = (corners[2:, None] - frequencies) / (corners[2:] - corners[1:-1])[:, None]
    return np.clip(np.minimum(rising, falling), 0, None)
