import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def photo(seed: int, size: int = 48, mode: str = 'RGB') -> Image.Image:
    """A smooth random picture."""
    grid = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(grid).resize((size, size), Image.BICUBIC).convert(mode)


def encoded(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven good images in a tree, among them other colour modes and endings, and a file that is no image."""
    root = tmp_path / 'photos'
    (root / 'a' / 'deep').mkdir(parents=True)
    (root / 'b').mkdir()
    photo(0).save(root / 'a' / '0.jpg')
    photo(1, mode='L').save(root / 'a' / '1_gray.png')
    photo(2, mode='RGBA').save(root / 'a' / 'deep' / '2_alpha.png')
    photo(3).save(root / 'a' / 'deep' / '3.JPEG')
    photo(4).save(root / 'b' / '4.WebP')
    photo(5, mode='LA').save(root / 'b' / '5_gray_alpha.png')
    photo(6, mode='P').save(root / 'b' / '6_palette.png')
    (root / 'b' / 'notes.txt').write_text('not an image')
    return root


@pytest.fixture
def damaged_folder(folder: Path) -> Path:
    """``folder`` with four files that cannot be decoded: two in a row, one in the middle, and the last."""
    jpeg, png = encoded(photo(7, size=200), 'JPEG'), encoded(photo(8, size=200), 'PNG')
    (folder / 'a' / '00_truncated.jpg').write_bytes(jpeg[:len(jpeg) // 2])
    (folder / 'a' / '0_zero_bytes.jpg').write_bytes(b'')
    (folder / 'b' / '4_truncated.png').write_bytes(png[:len(png) // 2])
    (folder / 'b' / '7_text.jpg').write_text('this is text, not a picture')
    return folder
