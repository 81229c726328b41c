"""Spoken digits: which recordings are tested on, what a picture shows, and what is said of bad files."""

from __future__ import annotations

import hashlib
import wave
from pathlib import Path

import numpy as np
import pytest

from sterna.train import data, spoken
from sterna.train.data import DataError


def write(path: Path, samples: np.ndarray, *, rate: int = 8000, channels: int = 1) -> None:
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(channels)
        stream.setsampwidth(2)
        stream.setframerate(rate)
        stream.writeframes(np.round(32767 * samples).astype("<i2").tobytes())


def tone(hertz: float, seconds: float = 0.5, loudness: float = 0.5) -> np.ndarray:
    return loudness * np.sin(2 * np.pi * hertz * np.arange(round(8000 * seconds)) / 8000)


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two speakers, seven takes; each digit a tone of its own, each take as long as its number says."""
    folder = tmp_path / "fsdd" / "recordings"
    folder.mkdir(parents=True)
    monkeypatch.setattr(spoken, "SPEAKERS", ("ann", "bob"))
    monkeypatch.setattr(spoken, "TAKES", 7)
    digest = hashlib.sha256()
    for digit in range(10):
        for speaker in ("ann", "bob"):
            for take in range(7):
                path = folder / f"{digit}_{speaker}_{take}.wav"
                write(path, tone(300 * (digit + 1), 0.2 + 0.05 * take))
                digest.update(path.read_bytes())
    monkeypatch.setattr(spoken, "SHA256", digest.hexdigest())
    monkeypatch.setenv(data.DATA_VARIABLE, str(tmp_path))
    return folder


def test_the_first_takes_are_the_test_set(recordings: Path) -> None:
    loaded = data.load_data("fsdd")
    assert (loaded.name, loaded.classes, loaded.full_scale) == ("fsdd", 10, 255)
    assert loaded.test_images.shape == (100, 1, 16, 16)
    assert loaded.train_images.shape == (40, 1, 16, 16)
    assert np.bincount(loaded.test_labels).tolist() == [10] * 10
    assert np.bincount(loaded.train_labels).tolist() == [4] * 10
    assert len(set(loaded.train_labels[-20:].tolist())) > 5  # any part has most digits
    # a picture stays with its label: digit 9 is the highest tone
    highest = loaded.train_images[loaded.train_labels == 9].float().mean((0, 1, 3)).argmax()
    lowest = loaded.train_images[loaded.train_labels == 0].float().mean((0, 1, 3)).argmax()
    assert highest > lowest + 5
    files = [recordings / f"3_bob_{take}.wav" for take in range(5)]
    of_three = loaded.test_images[loaded.test_labels == 3][5:, 0].numpy()
    np.testing.assert_array_equal(of_three, [spoken.picture(spoken.read_wave(path)) for path in files])


@pytest.mark.parametrize("hertz", [200, 440, 1000, 2000, 3500])
def test_a_tone_is_loudest_in_its_band(hertz: float) -> None:
    """Bands evenly spaced by ear: 2595 log10(1 + f / 700), from 100 Hz to 3800 Hz."""
    mel = [2595 * np.log10(1 + f / 700) for f in (100, hertz, 3800)]
    place = 17 * (mel[1] - mel[0]) / (mel[2] - mel[0]) - 1  # 16 bands between 18 corners
    shown = spoken.picture(tone(hertz))
    assert shown.dtype == np.uint8
    assert abs(int(shown.mean(axis=1).argmax()) - place) <= 0.75
    assert shown.max() == 255


def test_silence_loudness_and_length_do_not_show() -> None:
    """But for what a frame at an end sees of both sides."""
    rng = np.random.default_rng(0)
    word = np.concatenate([tone(400, 0.2), tone(2000, 0.2)])
    plain = spoken.picture(word + 1e-5 * rng.normal(size=len(word)))
    quiet = np.pad(word, 2000) + 1e-5 * rng.normal(size=len(word) + 4000)
    inner = slice(1, -1)
    for other in (
        plain,
        spoken.picture(0.1 * quiet),
        spoken.picture(np.concatenate([tone(400, 0.4), tone(2000, 0.4)])),
    ):
        assert (other[:, inner].argmax(axis=0) == plain[:, inner].argmax(axis=0)).mean() > 0.9
    assert plain[:, :7].argmax(axis=0).max() < plain[:, 9:].argmax(axis=0).min()
    assert np.median(np.abs(spoken.picture(0.1 * quiet).astype(int) - plain)) < 30


def test_short_and_silent_recordings_have_pictures() -> None:
    assert spoken.picture(np.zeros(10)).shape == (16, 16)
    assert spoken.picture(tone(500, 0.01)).shape == (16, 16)


def test_without_the_data_folder_it_says_where_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(data.DATA_VARIABLE, raising=False)
    with pytest.raises(DataError, match=r"^fsdd: get it from https://.*, put its recordings/ into a folder fsdd/"):
        data.load_data("fsdd")


def test_a_missing_recording_is_named(recordings: Path) -> None:
    (recordings / "4_ann_6.wav").unlink()
    with pytest.raises(DataError, match=r"4_ann_6\.wav: not there"):
        data.load_data("fsdd")


def test_other_recordings_are_refused(recordings: Path) -> None:
    write(recordings / "4_ann_6.wav", tone(123))
    with pytest.raises(DataError, match=r"recordings: not the official recordings"):
        data.load_data("fsdd")


@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (8000, 2)])
def test_other_formats_are_refused(tmp_path: Path, rate: int, channels: int) -> None:
    path = tmp_path / "other.wav"
    write(path, tone(300), rate=rate, channels=channels)
    with pytest.raises(DataError, match=r"other\.wav: [12] channels of 16 bits and \d+ samples a second, not 1 of 16"):
        spoken.read_wave(path)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no sound at all" * 10])
def test_what_is_no_recording_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.wav: not a whole WAV file"):
        spoken.read_wave(path)
