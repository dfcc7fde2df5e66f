'use strict';

function ticksOf(low, high, count) {
  const step = niceStep((high - low) / count);
  const ticks = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) ticks.push(+(k * step).toPrecision(12));
  return {ticks, digits: decimals(step)};
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5].find(factor => factor * power >= rough * 0.999);
  return +((factor || 10) * power).toPrecision(6);
}

function decimals(step) {
  return Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
}

/** A scatter plot on two canvases: the cloud, drawn when an axis changes, and what lies over it. */
class Chart {
  constructor(cloud, overlay) {
    this.cloud = cloud;
    this.overlay = overlay;
    this.layer = document.createElement('canvas');
  }

  /** x and y: {values, unit, title}; a point that is not finite in one of them is left out. */
  setAxes(x, y) {
    this.axes = {x, y};
    this.ranges = [x, y].map(axis => {
      let low = Infinity, high = -Infinity;
      for (const value of axis.values) {
        if (!Number.isFinite(value)) continue;
        if (value < low) low = value;
        if (value > high) high = value;
      }
      if (low > high) [low, high] = [0, 1];
      const margin = (high - low) * 0.04 || Math.abs(high) * 0.04 || 1;
      return [low - margin, high + margin];
    });
    this.layout();
  }

  layout() {
    const ratio = this.ratio = window.devicePixelRatio || 1;
    this.width = this.overlay.clientWidth;
    this.height = this.overlay.clientHeight;
    for (const canvas of [this.cloud, this.overlay, this.layer]) {
      canvas.width = Math.round(this.width * ratio);
      canvas.height = Math.round(this.height * ratio);
    }
    this.frame = {left: 72, top: 10, right: this.width - 12, bottom: this.height - 46};
    const style = getComputedStyle(document.documentElement);
    this.colour = name => style.getPropertyValue(`--${name}`).trim();
    this.rgb = name => [1, 3, 5].map(at => parseInt(this.colour(name).slice(at, at + 2), 16));
    const {x, y} = this.axes;
    const count = x.values.length;
    this.px = new Float32Array(count);
    this.py = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      const finite = Number.isFinite(x.values[i]) && Number.isFinite(y.values[i]);
      this.px[i] = finite ? this.toX(x.values[i]) : NaN;
      this.py[i] = finite ? this.toY(y.values[i]) : NaN;
    }
  }

  isStale() {
    return this.width !== this.overlay.clientWidth || this.height !== this.overlay.clientHeight;
  }

  toX(value) {
    const {left, right} = this.frame, [low, high] = this.ranges[0];
    return left + (value - low) / (high - low) * (right - left);
  }

  toY(value) {
    const {top, bottom} = this.frame, [low, high] = this.ranges[1];
    return bottom - (value - low) / (high - low) * (bottom - top);
  }

  begin(canvas) {
    const context = canvas.getContext('2d');
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    return context;
  }

  drawCloud(inside) {
    const context = this.begin(this.cloud);
    this.drawAxes(context);
    if (this.px.length <= 3000) this.drawDots(context, inside);
    else this.drawDensity(context, inside);
  }

  drawAxes(context) {
    const {left, top, right, bottom} = this.frame, {x, y} = this.axes;
    const [xs, ys] = this.ranges;
    const across = ticksOf(xs[0] / x.unit, xs[1] / x.unit, Math.max(3, (right - left) / 90));
    const upward = ticksOf(ys[0] / y.unit, ys[1] / y.unit, Math.max(3, (bottom - top) / 56));
    context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    context.strokeStyle = this.colour('grid');
    context.fillStyle = this.colour('muted');
    context.lineWidth = 1;
    context.textAlign = 'center';
    context.textBaseline = 'top';
    context.beginPath();
    for (const tick of across.ticks) {
      const at = Math.round(this.toX(tick * x.unit)) + 0.5;
      context.moveTo(at, top);
      context.lineTo(at, bottom);
      context.fillText(tick.toFixed(across.digits), at, bottom + 7);
    }
    context.textAlign = 'right';
    context.textBaseline = 'middle';
    for (const tick of upward.ticks) {
      const at = Math.round(this.toY(tick * y.unit)) + 0.5;
      context.moveTo(left, at);
      context.lineTo(right, at);
      context.fillText(tick.toFixed(upward.digits), left - 8, at);
    }
    context.stroke();
    context.textAlign = 'center';
    context.textBaseline = 'alphabetic';
    context.fillStyle = this.colour('ink');
    context.fillText(x.title, (left + right) / 2, this.height - 6);
    context.translate(14, (top + bottom) / 2);
    context.rotate(-Math.PI / 2);
    context.fillText(y.title, 0, 0);
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
  }

  drawDots(context, inside) {
    const radius = this.px.length <= 500 ? 3.5 : 2.5;
    for (const [wanted, name] of [[0, 'outside'], [1, 'inside']]) {
      context.fillStyle = this.colour(name);
      context.globalAlpha = 0.6;
      for (let i = 0; i < this.px.length; i++) {
        if (inside[i] !== wanted || Number.isNaN(this.px[i])) continue;
        context.beginPath();
        context.arc(this.px[i], this.py[i], radius, 0, 7);
        context.fill();
      }
    }
    context.globalAlpha = 1;
  }

  /** Count the points on each pixel, then turn the counts into opacity. */
  drawDensity(context, inside) {
    const {width, height} = this.layer;
    const counts = [new Uint16Array(width * height), new Uint16Array(width * height)];
    const side = Math.max(2, Math.round((this.px.length > 30000 ? 1.5 : 2.5) * this.ratio));
    for (let i = 0; i < this.px.length; i++) {
      if (Number.isNaN(this.px[i])) continue;
      const target = counts[inside[i]];
      const start = Math.round(this.py[i] * this.ratio - side / 2) * width + Math.round(this.px[i] * this.ratio - side / 2);
      for (let row = 0; row < side; row++) {
        for (let column = 0; column < side; column++) target[start + row * width + column]++;
      }
    }
    const opacity = Float32Array.from({length: 64}, (_, n) => n && 1 - 0.72 * Math.exp(-0.12 * (n - 1)));
    const image = new ImageData(width, height), pixels = image.data;
    const under = this.rgb('outside'), over = this.rgb('inside');
    for (let at = 0; at < counts[0].length; at++) {
      if (!counts[0][at] && !counts[1][at]) continue;
      const a = opacity[Math.min(63, counts[1][at])], b = opacity[Math.min(63, counts[0][at])] * (1 - a);
      for (let band = 0; band < 3; band++) pixels[4 * at + band] = (over[band] * a + under[band] * b) / (a + b);
      pixels[4 * at + 3] = 255 * (a + b);
    }
    this.layer.getContext('2d').putImageData(image, 0, 0);
    context.drawImage(this.layer, 0, 0, this.width, this.height);
  }

  /** limits: [low, high] of x; front: points by rising x; diamonds: points; chosen, hovered: a point or -1. */
  drawOverlay({limits, front, diamonds, chosen, hovered}) {
    const context = this.begin(this.overlay), {left, top, right, bottom} = this.frame;
    const ends = limits.map(limit => Math.min(right, Math.max(left, this.toX(limit))));
    context.fillStyle = this.colour('veil');
    context.fillRect(left, top, ends[0] - left, bottom - top);
    context.fillRect(ends[1], top, right - ends[1], bottom - top);
    context.strokeStyle = this.colour('muted');
    context.setLineDash([4, 4]);
    for (const end of ends) if (end > left && end < right) this.path(context, [[end, top], [end, bottom]]);
    context.setLineDash([]);
    if (front.length) {
      const steps = [];
      for (const point of front) {
        if (steps.length) steps.push([this.px[point], steps.at(-1)[1]]);
        steps.push([this.px[point], this.py[point]]);
      }
      steps.push([right, steps.at(-1)[1]]);
      context.strokeStyle = this.colour('front');
      context.lineWidth = 2;
      context.lineJoin = 'round';
      this.path(context, steps);
    }
    for (const point of diamonds) {
      const x = this.px[point], y = this.py[point];
      this.mark(context, 'won', () => [[x, y - 6], [x + 6, y], [x, y + 6], [x - 6, y], [x, y - 6]]
        .forEach((corner, n) => n ? context.lineTo(...corner) : context.moveTo(...corner)));
    }
    if (hovered >= 0) this.mark(context, 'inside', () => context.arc(this.px[hovered], this.py[hovered], 5, 0, 7));
    if (chosen >= 0) {
      const x = this.px[chosen], y = this.py[chosen];
      context.strokeStyle = this.colour('chosen');
      context.lineWidth = 1;
      this.path(context, [[left, y], [x - 9, y]]);
      this.path(context, [[x, y + 9], [x, bottom]]);
      context.lineWidth = 3;
      context.beginPath();
      context.arc(x, y, 9, 0, 7);
      context.stroke();
    }
  }

  mark(context, colour, outline) {
    context.beginPath();
    outline();
    context.fillStyle = this.colour(colour);
    context.strokeStyle = this.colour('card');
    context.lineWidth = 1.5;
    context.fill();
    context.stroke();
  }

  path(context, points) {
    context.beginPath();
    points.forEach((point, n) => n ? context.lineTo(...point) : context.moveTo(...point));
    context.stroke();
  }

  /** The point nearest to a place on the canvas, or -1 beyond radius. */
  nearest(x, y, radius) {
    let best = -1, least = radius * radius;
    for (let i = 0; i < this.px.length; i++) {
      const dx = this.px[i] - x, dy = this.py[i] - y, distance = dx * dx + dy * dy;
      if (distance < least) [best, least] = [i, distance];
    }
    return best;
  }
}
