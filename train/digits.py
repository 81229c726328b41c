"""scikit-learn's digits."""

from __future__ import annotations

import numpy as np
import torch

from sterna.train.dataset import DataError, DataSet


def load_digits() -> DataSet:
    """scikit-learn's digits: 1,797 images of 8 x 8 pixels, 0 to 16, that come with that package.

    The package has no split. Ours: a permutation by NumPy's ``default_rng(0)``; the first 360 images are the test set.
    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.
    """
    try:
        from sklearn import datasets
    except ImportError as error:
        raise DataError("the digits data set needs scikit-learn: pip install scikit-learn") from error
    bunch = datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.target))
    images = torch.from_numpy(bunch.images.astype(np.uint8)[order])[:, None]
    labels = torch.from_numpy(bunch.target.astype(np.int64)[order])
    return DataSet(
        name="digits",
        train_images=images[360:],
        train_labels=labels[360:],
        test_images=images[:360],
        test_labels=labels[:360],
        classes=10,
        full_scale=16,
    )
