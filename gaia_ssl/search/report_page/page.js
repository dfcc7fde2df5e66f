const byId = id => document.getElementById(id);

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const inside = new Uint8Array(count);
const state = {task: tasks[0], cost: costs[0], chosen: null, best: -1, hovered: -1, front: []};

// What the budgets allow
function limitsOf(cost) {
  const [low, high] = cost.budget.map(value => +(value * cost.unit).toPrecision(12));
  return [cost.budget[0] <= cost.bounds[0] ? -Infinity : low, cost.budget[1] >= cost.bounds[1] ? Infinity : high];
}

function filter() {
  inside.fill(1);
  for (const cost of costs) {
    const values = cost.values, [low, high] = limitsOf(cost);
    if (low === -Infinity && high === Infinity) continue;
    for (let i = 0; i < count; i++) if (values[i] < low || values[i] > high) inside[i] = 0;
  }
  const order = orderOf(state.task);
  state.best = -1;
  state.feasible = 0;
  for (let n = 0; n < order.length; n++) {
    if (!inside[order[n]]) continue;
    if (!state.feasible++) state.best = order[n];
  }
}

let waiting;
/** What follows a budget at once; the cloud and the shares wait until it rests. */
function update(rest = 80) {
  filter();
  showBudgets();
  showResult();
  drawOverlay();
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    chart.drawCloud(inside);
    showShares();
  }, rest);
}

function changeAxes() {
  state.front = paretoFront(state.cost, state.task);
  state.hovered = -1;
  byId('tip').hidden = true;
  chart.setAxes(state.cost, state.task);
  byId('overlay').setAttribute('aria-label', `${count} subnets: ${state.task.title} over ${state.cost.title}`);
  showWinners();
  update(0);
}

// Budgets
function buildBudgets() {
  for (const cost of costs) {
    const [low, high] = cost.bounds;
    const make = (type, end, step) => {
      const name = `${end ? 'most' : 'least'} ${cost.label}${cost.symbol === 'ms' ? '' : ','} in ${cost.symbol}`;
      const input = element('input', {type, id: `${cost.name}-${end ? 'max' : 'min'}${type === 'number' ? '-number' : ''}`,
        min: low, max: high, step, value: cost.bounds[end], 'aria-label': name});
      input.addEventListener(type === 'range' ? 'input' : 'change', () => setBudget(cost, end, input.valueAsNumber));
      return input;
    };
    cost.sliders = [0, 1].map(end => make('range', end, cost.step));
    cost.numbers = [0, 1].map(end => make('number', end, 'any'));
    cost.track = element('div', {class: 'slider'}, ...cost.sliders);
    cost.track.addEventListener('pointerdown', event => {
      if (event.target !== cost.track) return;
      const box = cost.track.getBoundingClientRect();
      const share = (event.clientX - box.left - 9) / (box.width - 18);
      const value = low + Math.round(share * (high - low) / cost.step) * cost.step;
      setBudget(cost, Math.abs(value - cost.budget[0]) < Math.abs(value - cost.budget[1]) ? 0 : 1, value);
    });
    byId('budgets').append(element('fieldset', {},
      element('legend', {}, `${cost.label} `, element('small', {}, `(${cost.symbol})`)),
      element('div', {class: 'ends'}, cost.numbers[0], element('span', {}, 'to'), cost.numbers[1]), cost.track));
  }
}

function setBudget(cost, end, value) {
  const [low, high] = end ? [cost.budget[0], cost.bounds[1]] : [cost.bounds[0], cost.budget[1]];
  cost.budget[end] = Number.isNaN(value) ? cost.bounds[end] : +Math.min(high, Math.max(low, value)).toPrecision(12);
  state.chosen = null;
  update();
}

function showBudgets() {
  for (const cost of costs) {
    const [low, high] = cost.bounds, range = high - low || 1;
    cost.budget.forEach((value, end) => {
      const text = String(+value.toFixed(cost.digits));
      if (cost.sliders[end].valueAsNumber !== value) cost.sliders[end].value = value;
      if (cost.numbers[end].value !== text) cost.numbers[end].value = text;
      cost.sliders[end].setAttribute('aria-valuetext', `${text} ${cost.symbol}`);
      cost.track.style.setProperty(end ? '--high' : '--low', (value - low) / range);
    });
    cost.sliders[0].style.zIndex = cost.budget[0] - low > range / 2 ? 2 : '';
  }
}

// The result
function showResult() {
  const {task, best, chosen, feasible} = state, shown = chosen ? chosen.index : best;
  byId('found').hidden = byId('export').hidden = shown < 0;
  byId('infeasible').hidden = shown >= 0;
  byId('result-heading').textContent = chosen ? chosen.heading : `Best within the budgets for ${task.name}`;
  for (const row of byId('winners').tBodies[0].rows) row.classList.toggle('marked', +row.dataset.index === shown);
  if (shown < 0) return;
  const arch = archText(shown);
  byId('arch').textContent = arch;
  byId('command').textContent = report.exportCommand.replaceAll('{arch}', () => arch);
  byId('facts').replaceChildren(...[
    [task.short, scoreText(task, task.values[shown])],
    ...costs.map(cost => [cost.label, costText(cost, cost.values[shown])]),
    ['Subnets within', feasible.toLocaleString('en')],
  ].map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value))));
  const better = chosen && best >= 0 && best !== shown;
  byId('note').hidden = !better;
  if (better) byId('note').textContent = `Within the budgets, ${archText(best)} scores ${scoreText(task, task.values[best])}.`;
}

function choose(index, heading) {
  for (const cost of costs) {
    const scale = 10 ** cost.digits, value = Math.ceil(cost.values[index] / cost.unit * scale - 1e-6) / scale;
    cost.budget = [cost.bounds[0], Math.min(cost.bounds[1], value)];
  }
  state.chosen = {index, heading};
  update();
}

async function copy(button, source) {
  const text = byId(source).textContent;
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    getSelection().selectAllChildren(byId(source));
    done = document.execCommand('copy');
  }
  button.textContent = done ? 'Copied' : 'Press Ctrl+C';
  byId('said').textContent = done ? 'Copied' : 'Selected; press Ctrl+C to copy';
  setTimeout(() => { button.textContent = 'Copy'; }, 1500);
}

// The winners
function showWinners() {
  const {task} = state, table = byId('winners');
  for (const place of document.querySelectorAll('.task')) place.textContent = task.name;
  const interval = ({low, high}) => low === null || high === null ? DASH : `[${scoreText(task, low)}, ${scoreText(task, high)}]`;
  const lead = (winner, other) => {
    if (other === null || winner.similarity === null) return [scoreText(task, other)];
    const gap = winner.similarity - other;
    return [scoreText(task, other), ' ', element('small', {}, (gap < 0 ? '' : '+') + scoreText(task, gap))];
  };
  const thrifty = (winner, index, cost) => index < 0 ? [DASH] : index === winner.index ? ['the winner'] :
    [element('code', {}, archText(index)), ' ', element('small', {}, costText(cost, cost.values[index]))];
  const columns = [
    ['Group', winner => [element('button', {type: 'button', title: 'Set the budgets to this subnet'}, winner.group)]],
    ['Subnet', winner => [element('code', {}, winner.arch)]],
    ...costs.map(cost => [cost.label, winner => [costText(cost, winner[cost.name])]]),
    [task.short, winner => [element('b', {}, scoreText(task, winner.similarity)), ' ', element('span', {}, interval(winner))]],
    ['May be best', winner => [winner.contenders === null ? DASH : winner.contenders.toLocaleString('en')]],
    ['Cheapest of these', winner => thrifty(winner, winner.cheapest_contender, costs[0])],
    ...costs.slice(2).map(cost => ['Fastest', winner => thrifty(winner, winner.fastest_contender, cost)]),
    ['Expected loss', winner => [scoreText(task, winner.expected_regret ?? NaN)]],
    ['Most FLOPs', winner => lead(winner, winner.most_flops_similarity)],
    ['Random', winner => lead(winner, winner.random_similarity)],
    ['Halves', winner => [winner.half_agreement === null ? DASH : winner.half_agreement.toFixed(2)]],
  ];
  const rows = task.winners.map(winner => {
    const cells = columns.map(([, parts]) => element('td', {}, ...parts(winner)));
    const row = element('tr', {'data-index': winner.index}, ...cells);
    row.addEventListener('click', () => {
      if (winner.index >= 0) choose(winner.index, `Best of ${winner.group} for ${task.name}`);
    });
    return row;
  });
  const heads = columns.map(([name]) => element('th', {scope: 'col'}, name));
  const none = element('tr', {}, element('td', {colspan: columns.length}, 'no group holds a subnet'));
  table.replaceChildren(element('thead', {}, element('tr', {}, ...heads)),
    element('tbody', {}, ...(rows.length ? rows : [none])));
  byId('doubt').hidden = !task.doubt;
  byId('doubt').textContent = `Note: ${task.doubt}.`;
}

function showCourse() {
  byId('course').hidden = !report.course.length;
  byId('course').textContent = `A race dropped archs that could not win any more: ${report.course.map(({archs, images, share}) =>
    `${archs.toLocaleString('en')} on ${images.toLocaleString('en')} images (${(100 * share).toFixed(1)} %)`).join(', then ')}. ` +
    'In brackets: of the multiply-adds of the search in full, so far.';
}

// What they share
function buildShares() {
  for (const dimension of dimensions) {
    const [, kind, stage] = dimension.name.match(/^(\D+)(\d?)$/);
    dimension.label = stage ? `Stage ${stage} ${kind}` : 'Stem width';
    dimension.summary = element('span');
    dimension.bars = dimension.choices.map(choice => {
      const bars = ['best', 'won', 'all'].map(name => element('i', {class: name}));
      const plot = element('div', {class: 'plot'}, ...bars);
      return {bars, column: element('div', {class: 'choice'}, plot, element('span', {}, choice))};
    });
    dimension.figure = element('figure', {role: 'img'},
      element('figcaption', {}, element('b', {}, dimension.label), dimension.summary),
      element('div', {class: 'bars'}, ...dimension.bars.map(({column}) => column)));
    dimension.figure.style.setProperty('--choices', dimension.choices.length);
    byId('shares').append(dimension.figure);
  }
}

function showShares() {
  const order = orderOf(state.task), size = Math.min(state.feasible, Math.max(10, Math.ceil(state.feasible / 100)));
  const top = [];
  for (let n = 0; top.length < size; n++) if (inside[order[n]]) top.push(order[n]);
  const won = state.task.winners.map(winner => winner.index).filter(index => index >= 0);
  byId('best-count').textContent = `best ${size} of the ${state.feasible.toLocaleString('en')} subnets within the budgets`;
  byId('won-count').textContent = `winners of the ${won.length} groups`;
  for (const dimension of dimensions) {
    const {digits, choices} = dimension;
    const tally = indices => {
      const sums = new Float64Array(choices.length);
      for (const i of indices) sums[digits[i]]++;
      return sums;
    };
    const all = new Float64Array(choices.length);
    for (let i = 0; i < count; i++) if (inside[i]) all[digits[i]]++;
    const sums = [tally(top), tally(won), all], totals = [size, won.length, all.reduce((a, b) => a + b, 0)];
    const shares = sums.map((column, n) => Array.from(column, sum => sum / (totals[n] || 1)));
    const most = Math.max(...shares.flat(), 1e-9), peak = shares[0].indexOf(Math.max(...shares[0]));
    dimension.summary.textContent = size ? `${choices[peak]} in ${Math.round(100 * shares[0][peak])} %` : DASH;
    const said = choices.map((choice, n) =>
      `${choice}: ${sums[0][n]} of ${size} best, ${sums[1][n]} of ${won.length} winners`);
    dimension.figure.setAttribute('aria-label', `${dimension.label}. ${said.join('; ')}`);
    dimension.bars.forEach(({bars, column}, n) => {
      bars.forEach((bar, which) => bar.style.setProperty('--share', shares[which][n] / most));
      column.title = `${said[n]}, ${Math.round(100 * shares[2][n])} % of all within the budgets`;
    });
  }
}

// The chart
const chart = new Chart(byId('cloud'), byId('overlay'));

function drawOverlay() {
  chart.drawOverlay({
    limits: limitsOf(state.cost), front: state.front, hovered: state.hovered,
    diamonds: state.task.winners.map(winner => winner.index).filter(index => index >= 0),
    chosen: state.chosen ? state.chosen.index : state.best});
}

function hover(index) {
  if (index === state.hovered) return;
  state.hovered = index;
  const tip = byId('tip');
  tip.hidden = index < 0;
  if (index >= 0) {
    const facts = [...costs.map(cost => `${cost.label} ${costText(cost, cost.values[index])}`),
      `${state.task.short} ${scoreText(state.task, state.task.values[index])}`];
    tip.replaceChildren(element('code', {}, archText(index)), ...facts.map(fact => element('div', {}, fact)));
    const x = chart.px[index], y = chart.py[index];
    tip.style.left = `${Math.max(4, x + 14 + tip.offsetWidth > chart.width ? x - 14 - tip.offsetWidth : x + 14)}px`;
    tip.style.top = `${Math.max(4, Math.min(chart.height - tip.offsetHeight - 4, y - tip.offsetHeight / 2))}px`;
  }
  drawOverlay();
}

function walk(event) {
  const moves = {ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity};
  if (event.key in moves && state.front.length) {
    const from = state.front.indexOf(state.hovered), at = from < 0 && event.key === 'ArrowLeft' ? state.front.length : from;
    hover(state.front[Math.max(0, Math.min(state.front.length - 1, at + moves[event.key]))]);
    byId('said').textContent = [...byId('tip').children].map(child => child.textContent).join(', ');
  } else if (event.key === 'Enter' && state.hovered >= 0) choose(state.hovered, 'Chosen on the chart');
  else if (event.key === 'Escape') hover(-1);
  else return;
  event.preventDefault();
}

// Start
byId('count').textContent = count.toLocaleString('en');
byId('task').append(...tasks.map(({name, use}) => element('option', {value: name}, use ? `${name} (${use})` : name)));
byId('cost').append(...costs.map(({name, label}) => element('option', {value: name}, label)));
buildBudgets();
buildShares();
showCourse();
changeAxes();
byId('task').addEventListener('change', event => {
  state.task = tasks[event.target.selectedIndex];
  state.chosen = null;
  changeAxes();
});
byId('cost').addEventListener('change', event => {
  state.cost = costs[event.target.selectedIndex];
  changeAxes();
});
byId('reset').addEventListener('click', () => {
  for (const cost of costs) cost.budget = [...cost.bounds];
  state.chosen = null;
  update();
});
byId('copy-arch').addEventListener('click', event => copy(event.currentTarget, 'arch'));
byId('copy-command').addEventListener('click', event => copy(event.currentTarget, 'command'));
const overlay = byId('overlay');
for (const type of ['pointermove', 'pointerdown']) {
  overlay.addEventListener(type, event => hover(chart.nearest(event.offsetX, event.offsetY, 12)));
}
overlay.addEventListener('pointerleave', () => hover(-1));
overlay.addEventListener('click', () => state.hovered >= 0 && choose(state.hovered, 'Chosen on the chart'));
overlay.addEventListener('keydown', walk);
overlay.addEventListener('blur', () => hover(-1));
const redraw = () => {
  if (!overlay.clientWidth) return;
  chart.layout();
  chart.drawCloud(inside);
  drawOverlay();
};
new ResizeObserver(() => chart.isStale() && redraw()).observe(overlay);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
