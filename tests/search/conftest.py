"""A search loop inside this process, on the smallest of supernets."""

import threading

import pytest

from gaia_ssl.search import PrefixEvaluator
from tests import tiny


@pytest.fixture
def batches(monkeypatch) -> list[int]:
    """Collects the number of images of each batch that is scored."""
    sizes, teach = [], PrefixEvaluator.teach

    def count(self, images):
        if threading.current_thread() is not threading.main_thread():  # which only measures its speed
            sizes.append(len(images))
        return teach(self, images)

    monkeypatch.setattr(PrefixEvaluator, 'teach', count)
    return sizes


@pytest.fixture
def paths(tmp_path):
    """Config and checkpoint of a search over ten images."""
    return (tiny.write_config(tmp_path / 'tiny.py', tiny.photos(tmp_path / 'data', 10)),
            tiny.save_supernet(tmp_path / 'supernet.pth'))
