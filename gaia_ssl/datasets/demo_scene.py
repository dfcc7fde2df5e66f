"""One synthetic scene: textured shapes that overlap a little, on a background like an out-of-focus photo."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

SCALE = 2  # masks are drawn at this multiple of the image size, for smooth edges and contours between pixels
TRACE_SCALE = 4  # outlines of masks are traced at this multiple of the masks' size
MIN_SIDE = 0.15  # of the image side: shortest visible box side of an object
MIN_VISIBLE = 0.65  # share of an object that others and the border may leave


def _regular(corners: int, inner: float = 1.0) -> np.ndarray:
    """Corners on the unit circle, (N, 2); with ``inner`` below 1, every second one on that radius."""
    angles = np.arange(corners) * (2 * np.pi / corners)
    radii = np.where(np.arange(corners) % 2, inner, 1.0)
    return np.stack([radii * np.sin(angles), -radii * np.cos(angles)], axis=1)


# Per class its outline, and that of its hole if it has one.
SHAPES: dict[str, list[np.ndarray]] = {
    'disc': [_regular(64)],
    'square': [_regular(4)],
    'triangle': [_regular(3)],
    'star': [_regular(10, inner=0.42)],
    'ring': [_regular(64), 0.55 * _regular(64)],
}


@dataclass
class SceneObject:
    """An object and what is visible of it.

    Attributes:
        shape: Its class.
        bbox: (x, y, width, height) in pixels.
        area: Visible pixels.
        polygons: COCO polygons (x1, y1, x2, y2, ...) in pixels; a hole is joined to its outline by a slit.
    """
    shape: str
    bbox: list[float]
    area: float
    polygons: list[list[float]]


def render_scene(rng: np.random.Generator, size: int) -> tuple[np.ndarray, list[SceneObject]]:
    """Draw a scene with 1 to 5 objects.

    Args:
        rng: Source of all randomness.
        size: Height and width in pixels.

    Returns:
        The BGR image, (size, size, 3) uint8, and its objects, the rearmost first.
    """
    image = _background(rng, size)
    owner = np.full((size * SCALE, size * SCALE), -1, np.int8)  # which object is seen at each position
    shapes: list[str] = []
    full_areas: list[float] = []
    wanted = rng.integers(1, 6)
    for _ in range(40):
        if len(shapes) == wanted:
            break
        shape = str(rng.choice(list(SHAPES)))
        mask, full_area, radius = _random_mask(rng, size, shape)
        hidden = np.where(mask > 0, np.int8(len(shapes)), owner)
        if not _all_visible(hidden, [*full_areas, full_area]):
            continue
        owner = hidden
        shapes.append(shape)
        full_areas.append(full_area)
        image = _paste(rng, image, mask, radius)
    image = _camera(rng, image)
    return image, [_annotate(shape, _without_crumbs(owner == i)) for i, shape in enumerate(shapes)]


def _random_mask(rng: np.random.Generator, size: int, shape: str) -> tuple[np.ndarray, float, float]:
    """Return a mask at SCALE of 0 and 255, the area the shape would have without the border, and its radius."""
    radius = rng.uniform(0.13, 0.25) * size * SCALE
    angle, squeeze = rng.uniform(0, 2 * np.pi), rng.uniform(0.85, 1.0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = rng.uniform(0.75 * radius, size * SCALE - 0.75 * radius, 2)
    outlines: list[np.ndarray] = [np.round((outline * radius * (1, squeeze)) @ turn.T + centre).astype(np.int32)
                for outline in SHAPES[shape]]
    mask: np.ndarray = np.zeros((size * SCALE, size * SCALE), np.uint8)
    cv2.fillPoly(mask, outlines, (255, ))  # even-odd: an inner outline is a hole
    areas = [cv2.contourArea(outline) for outline in outlines]
    return mask, areas[0] - sum(areas[1:]), radius / SCALE


def _all_visible(owner: np.ndarray, full_areas: list[float]) -> bool:
    """Whether enough of every object is seen."""
    for i, full_area in enumerate(full_areas):
        visible = _without_crumbs(owner == i)
        if visible.sum() < MIN_VISIBLE * full_area:
            return False
        if min(visible.any(0).sum(), visible.any(1).sum()) < MIN_SIDE * len(owner):
            return False
    return True


def _without_crumbs(mask: np.ndarray) -> np.ndarray:
    """Drop the connected pieces of under 1% of a bool mask: an annotator would not see them."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    areas = stats[:, cv2.CC_STAT_AREA]
    keep = areas >= 0.01 * areas[1:].sum()
    keep[0] = False
    return keep[labels]


def _annotate(shape: str, visible: np.ndarray) -> SceneObject:
    """Measure the visible mask, a bool array at SCALE."""
    rows, columns = np.flatnonzero(visible.any(1)), np.flatnonzero(visible.any(0))
    x, y = columns[0] / SCALE, rows[0] / SCALE
    bbox = [x, y, (columns[-1] + 1) / SCALE - x, (rows[-1] + 1) / SCALE - y]
    return SceneObject(shape, bbox, float(visible.sum()) / SCALE**2, _polygons(visible))


def _polygons(visible: np.ndarray) -> list[list[float]]:
    """Trace a mask."""
    top, left = np.flatnonzero(visible.any(1))[0], np.flatnonzero(visible.any(0))[0]
    crop = visible[top:, left:].astype(np.uint8)
    # cv2 connects pixel centres, half a pixel inside the edge: on an enlarged mask that is next to nothing.
    enlarged = crop.repeat(TRACE_SCALE, 0).repeat(TRACE_SCALE, 1)
    contours, hierarchy = cv2.findContours(enlarged, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    outlines = [cv2.approxPolyDP(contour, 0.7 * TRACE_SCALE, True)[:, 0] for contour in contours]
    polygons = []
    for outline, (_, _, hole, parent) in zip(outlines, hierarchy[0], strict=True):
        if parent >= 0:
            continue
        while hole >= 0:
            outline = _join(outline, outlines[hole])
            hole = hierarchy[0, hole, 0]
        points = ((outline + 0.5) / TRACE_SCALE + (left, top)) / SCALE
        polygons.append(points.round(2).ravel().tolist())
    return polygons


def _join(outline: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Cut a slit from the outline to the hole where they are closest: (N, 2) and (M, 2) to (N + M + 2, 2)."""
    distances = ((outline[:, None] - hole[None])**2).sum(-1)
    i, j = np.unravel_index(distances.argmin(), distances.shape)
    return np.concatenate([outline[:i + 1], hole[j:], hole[:j + 1], outline[i:]])


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return y and x of each pixel in [0, 1): (size, 1) and (1, size) float32."""
    line = np.arange(size, dtype=np.float32) / size
    return line[:, None], line[None]


def _smooth_noise(rng: np.random.Generator, size: int, cells: int, channels: int = 1) -> np.ndarray:
    """Blobs about size / cells wide: (size, size, channels), about normal."""
    grid = rng.standard_normal((cells, cells, channels), np.float32)
    return cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC).reshape(size, size, channels)


def _colour(rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]) -> np.ndarray:
    """A BGR colour of random hue, (3,) in [0, 255]."""
    hsv = np.array([[[rng.uniform(0, 360), rng.uniform(*saturation), rng.uniform(*value)]]], np.float32)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0] * 255


def _background(rng: np.random.Generator, size: int) -> np.ndarray:
    """A muted gradient with noise of several widths, blurred blots and thin strokes: (size, size, 3) float32."""
    ends = [_colour(rng, (0.05, 0.4), (0.25, 0.85)) for _ in range(2)]
    angle = rng.uniform(0, 2 * math.pi)
    y, x = _grid(size)
    ramp = np.clip((x - 0.5) * math.cos(angle) + (y - 0.5) * math.sin(angle) + 0.5, 0, 1)[..., None]
    image = ends[0] * (1 - ramp) + ends[1] * ramp
    for cells, strength in ((4, 12), (9, 8), (24, 6), (size // 3, 5)):
        image += rng.uniform(0.3, 1.3) * strength * _smooth_noise(rng, size, cells)
    image += 7 * _smooth_noise(rng, size, 5, channels=3)
    clutter: np.ndarray = image.astype(np.float32).copy()
    for _ in range(rng.integers(3, 9)):
        centre = tuple(int(v) for v in rng.integers(0, size, 2))
        axes = tuple(int(v) for v in rng.integers(2, max(3, size // 7), 2))
        colour = _colour(rng, (0.05, 0.45), (0.2, 0.9)).tolist()
        cv2.ellipse(clutter, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
    clutter = cv2.GaussianBlur(clutter, (0, 0), size / 50)
    for _ in range(rng.integers(2, 7)):
        points = np.cumsum(np.concatenate([rng.uniform(0, size, (1, 2)), rng.normal(0, size / 8, (4, 2))]), axis=0)
        colour = _colour(rng, (0.05, 0.5), (0.15, 0.9)).tolist()
        cv2.polylines(clutter, [points.astype(np.int32)], False, colour, max(1, size // 110), cv2.LINE_AA)
    return image + 0.75 * (clutter - image)


def _texture(rng: np.random.Generator, size: int) -> np.ndarray:
    """Share of a second colour at each pixel: plain, stripes, checks, dots or a gradient, (size, size, 1) in [0, 1]."""
    y, x = _grid(size)
    angle, frequency = rng.uniform(0, math.pi), rng.uniform(9, 16) * 2 * math.pi
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    wave_u, wave_v = np.sin(u * frequency), np.sin(v * frequency)
    kind = rng.choice(['plain', 'stripes', 'checks', 'dots', 'gradient'])
    if kind == 'plain':
        return np.zeros((size, size, 1), np.float32)
    pattern = dict(
        stripes=4 * wave_u, checks=8 * wave_u * wave_v, dots=4 * (wave_u + wave_v) - 3.2,
        gradient=2 * np.sin(u * 2 * math.pi))[kind]
    return (1 / (1 + np.exp(-pattern)))[..., None]


def _paste(rng: np.random.Generator, image: np.ndarray, mask: np.ndarray, radius: float) -> np.ndarray:
    """Lay a textured, shaded object with a soft shadow over the image."""
    size = len(image)
    alpha: np.ndarray = cv2.resize(mask, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)[..., None] / 255
    first = _colour(rng, (0.6, 1.0), (0.5, 1.0))
    second = first * rng.uniform(0.45, 0.75) if rng.random() < 0.5 else _colour(rng, (0.3, 1.0), (0.5, 1.0))
    share = 0.8 * _texture(rng, size)
    surface = first * (1 - share) + second * share
    surface *= 1 + 0.08 * _smooth_noise(rng, size, 8) + 0.05 * _smooth_noise(rng, size, size // 3)
    shift = np.array([[1, 0, rng.uniform(-0.12, 0.12) * radius], [0, 1, rng.uniform(0.04, 0.16) * radius]], np.float32)
    shadow = cv2.warpAffine(cv2.GaussianBlur(alpha, (0, 0), 0.1 * radius), shift, (size, size))[..., None]
    alpha = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.3, 0.8) * size / 160).reshape(size, size, 1)
    return image * (1 - 0.45 * shadow) * (1 - alpha) + surface * alpha


def _camera(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Uneven light, a little blur and sensor noise: to (size, size, 3) uint8."""
    size = len(image)
    image = image * (1 + 0.07 * _smooth_noise(rng, size, 3))
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.2, 0.7) * size / 160)
    image = image + rng.uniform(1, 5) * rng.standard_normal(image.shape, np.float32)
    return np.clip(image, 0, 255).round().astype(np.uint8)
