const MISSING = 2 ** 32 - 1, DASH = '–';
const report = JSON.parse(document.getElementById('data').textContent);

function bytes(text) {
  const raw = atob(text), out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}

function unpack({low, step, data}, missing) {
  const levels = new Uint32Array(bytes(data).buffer), values = new Float64Array(levels.length);
  for (let i = 0; i < levels.length; i++) values[i] = levels[i] === MISSING ? missing : low + step * levels[i];
  return values;
}

function digitsOf({choices, data}) {
  return choices.length > 256 ? new Uint16Array(bytes(data).buffer) : bytes(data);
}

const count = report.count;
const dimensions = report.dimensions.map(dimension => ({...dimension, digits: digitsOf(dimension)}));
const tasks = report.tasks.map(task => {
  const values = unpack(task, -Infinity);
  const winners = report.winners.filter(winner => winner.task === task.name);
  return {...task, values, unit: 1, short: task.title.includes('cosine') ? 'Cosine' : 'Similarity', winners,
    decimals: decimalsOf(winners)};
});
const costs = report.costs.map(describeCost);

function describeCost(cost) {
  const values = unpack(cost, Infinity);
  let low = Infinity, high = 0;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high && value < Infinity) high = value;
  }
  if (low > high) low = high;
  const scales = cost.name === 'latency_ms' ? [[1, 'ms']] : [[1e9, 'G'], [1e6, 'M'], [1e3, 'k']];
  const [unit, symbol] = scales.find(([scale]) => high >= scale) ?? scales.at(-1);
  const titles = {flops: `multiply-adds at ${report.resolution} px (${symbol})`, params: `params (${symbol})`,
    latency_ms: 'latency (ms)'};
  const label = {flops: 'FLOPs', params: 'Params', latency_ms: 'Latency'}[cost.name];
  const step = niceStep((high - low) / unit / 400 || high / unit / 400 || 1), digits = decimals(step) + 1;
  const bounds = [Math.floor(low / unit / step), Math.ceil(high / unit / step)].map(n => +(n * step).toPrecision(12));
  return {...cost, values, unit, symbol, label, title: titles[cost.name], step, digits, bounds, budget: [...bounds]};
}

function archText(index) {
  const [stem, ...stages] = dimensions.map(({choices, digits}) => choices[digits[index]]);
  return [stem, ...[0, 2, 4, 6].map(at => `${stages[at]}x${stages[at + 1]}`)].join('-');
}

function costText(cost, value) {
  return Number.isFinite(value) ? `${(value / cost.unit).toFixed(cost.digits)} ${cost.symbol}` : DASH;
}

/** As many decimals as the narrowest interval needs. */
function decimalsOf(winners) {
  const halves = winners.map(({low, high}) => (high - low) / 2).filter(half => half > 0);
  return Math.min(7, Math.max(4, Math.ceil(-Math.log10(Math.min(1e-4, ...halves)))));
}

function scoreText(task, value) {
  return Number.isFinite(value) ? value.toFixed(task.decimals) : DASH;
}

/** Points by falling similarity; those without one are left out. */
function orderOf(task) {
  task.order ??= Uint32Array.from({length: count}, (_, i) => i).filter(i => task.values[i] > -Infinity)
    .sort((a, b) => task.values[b] - task.values[a] || a - b);
  return task.order;
}

/** By rising cost, the points that none of the same or less cost matches or beats. */
function paretoFront(cost, task) {
  cost.order ??= Uint32Array.from({length: count}, (_, i) => i).filter(i => cost.values[i] < Infinity)
    .sort((a, b) => cost.values[a] - cost.values[b] || a - b);
  const front = [];
  let best = -Infinity;
  for (const i of cost.order) {
    if (task.values[i] <= best) continue;
    best = task.values[i];
    if (front.length && cost.values[front.at(-1)] === cost.values[i]) front.pop();
    front.push(i);
  }
  return front;
}
