'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const $ = (id) => document.getElementById(id);
const escape = (text) => String(text).replace(/[&<>"]/g, (c) => '&#' + c.charCodeAt(0) + ';');
const number = (x, digits = 3) => {
  if (x === 0) return '0';
  const places = Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(x))));
  return x.toLocaleString('en', {minimumFractionDigits: Math.min(places, 2), maximumFractionDigits: Math.min(places, 2)});
};
const median = (list) => {
  const sorted = [...list].sort((a, b) => a - b), half = sorted.length / 2;
  return sorted.length === 0 ? 0 : (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.floor(half)]) / 2;
};
const colour = (i) => `var(--c${i % 8})`;

// A plot: scales, grid, axes, then whatever is drawn into it. `log` names axes of powers.
function plot({width = 520, height = 300, x, y, xTicks, yTicks, xLabel, yLabel, log = '', xText = String, yText = (v) => v.toLocaleString('en'), right = 24}) {
  const box = {left: 52, top: 26, right: width - right, bottom: height - 42};
  const scale = (from, to, [low, high], isLog) => (v) =>
    isLog ? from + (to - from) * Math.log(v / low) / Math.log(high / low) : from + (to - from) * (v - low) / (high - low);
  const at = {x: scale(box.left, box.right, x, log.includes('x')), y: scale(box.bottom, box.top, y, log.includes('y')), box};
  let inner = '';
  for (const v of yTicks) inner += `<line class="grid" x1="${box.left}" x2="${box.right}" y1="${at.y(v)}" y2="${at.y(v)}"/>` +
      `<text x="${box.left - 8}" y="${at.y(v) + 4}" text-anchor="end">${yText(v)}</text>`;
  inner += `<line class="axis" x1="${box.left}" x2="${box.right}" y1="${box.bottom}" y2="${box.bottom}"/>`;
  for (const v of xTicks) inner += `<text x="${at.x(v)}" y="${box.bottom + 18}" text-anchor="middle">${xText(v)}</text>`;
  inner += `<text x="${(box.left + box.right) / 2}" y="${height - 6}" text-anchor="middle">${escape(xLabel)}</text>` +
      `<text x="${box.left - 44}" y="13">${escape(yLabel)}</text>`;
  at.svg = (drawn) => `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(yLabel + ' by ' + xLabel)}">${inner}${drawn}</svg>`;
  return at;
}
const line = (at, points, stroke, {dash = '', wide = 2.2, dots = true, title = () => ''} = {}) => {
  const d = points.map(([x, y], i) => (i ? 'L' : 'M') + at.x(x).toFixed(1) + ' ' + at.y(y).toFixed(1)).join('');
  let out = `<path d="${d}" fill="none" stroke="${stroke}" stroke-width="${wide}" stroke-linejoin="round" stroke-dasharray="${dash}"/>`;
  if (dots) for (const p of points) out += `<circle cx="${at.x(p[0]).toFixed(1)}" cy="${at.y(p[1]).toFixed(1)}" r="${wide > 2.5 ? 4 : 3.2}" fill="${stroke}" stroke="var(--card)" stroke-width="1.2"><title>${escape(title(p))}</title></circle>`;
  return out;
};
const keys = (list) => '<div class="keys">' + list.map(([name, stroke, dashed]) =>
  `<span><i class="${dashed ? 'dashed' : ''}" style="border-color:${stroke}"></i>${escape(name)}</span>`).join('') + '</div>';
const niceTicks = (high, count = 5) => {
  const raw = high / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw);
  const ticks = [];
  for (let v = 0; v < high + step * 0.999; v += step) ticks.push(v);
  return ticks;
};
const powers = (low, high, base) => {
  const ticks = [];
  for (let e = Math.ceil(Math.log(low) / Math.log(base) - 1e-9); base ** e <= high * 1.0001; ++e) ticks.push(base ** e);
  return ticks;
};

const curves = data.operators || [];
const matmuls = curves.filter((c) => c.op === 'matmul'), attentions = curves.filter((c) => c.op === 'attention');
const floorOf = (c) => median(c.limits.map((l) => l.floor_gb_per_s));
const peakOf = (c) => median(c.limits.map((l) => (l.peak_gmac_per_s || {})[c.family] || 0));
const format = (c) => c.name.split(' ')[0];
const short = (c) => c.op === 'matmul' ? format(c) : `attention ${format(c)}, ${/of (\d+)/.exec(c.name)[1]}`;

function tiles() {
  const all = curves.flatMap((c) => c.limits).concat((data.models || []).flatMap((m) => m.limits || []));
  const list = [[number(median(all.map((l) => l.floor_gb_per_s))) + ' GB/s', 'read floor, median']];
  const used = curves.length > 0 ? curves.map((c) => c.family) : all.flatMap((l) => Object.keys(l.peak_gmac_per_s || {}));
  for (const f of [...new Set(used)].slice(0, 3))
    list.push([number(median(all.map((l) => (l.peak_gmac_per_s || {})[f]).filter((v) => v))) + ' G/s', 'multiply-adds, peak of ' + f]);
  list.push([data.threads, data.threads === 1 ? 'thread' : 'threads']);
  $('tiles').innerHTML = list.map(([big, small]) => `<div class="tile"><b>${escape(big)}</b><span>${escape(small)}</span></div>`).join('');
}

// Work per byte against work per second; every point would lie under the lower of two roofs.
function roofline() {
  if (curves.length === 0) return '';
  const points = (c) => c.widths.map((w) => [w.multiply_adds / w.call_bytes, w.multiply_adds / w.microseconds.median / 1e3, w]);
  const all = curves.flatMap(points), floor = median(curves.map(floorOf));
  const roofs = [...new Set(curves.map((c) => c.family))].map((f) => [f, median(curves.filter((c) => c.family === f).map(peakOf))]).filter((r) => r[1] > 0);
  const low = 2 ** Math.floor(Math.log2(Math.min(...all.map((p) => p[0])) * 0.95)), high = 2 ** Math.ceil(Math.log2(Math.max(...all.map((p) => p[0])) * 1.3));
  const bottom = 2 ** Math.floor(Math.log2(Math.min(...all.map((p) => p[1])) * 0.8));
  const top = 2 ** Math.ceil(Math.log2(Math.max(...roofs.map((r) => r[1]), ...all.map((p) => p[1])) * 1.05));
  const at = plot({width: 1060, height: 480, x: [low, high], y: [bottom, top], log: 'xy', xTicks: powers(low, high, 2), yTicks: powers(bottom, top, 2),
    xLabel: 'multiply-adds per byte read', yLabel: '1e9 multiply-adds per second', xText: (v) => v < 1 ? '1/' + Math.round(1 / v) : v, yText: (v) => v < 1 ? '1/' + Math.round(1 / v) : v});
  let drawn = '';
  for (const [name, peak] of roofs) {
    const knee = Math.min(Math.max(peak / floor, low), high);
    drawn += line(at, [[knee, peak], [high, peak]], 'var(--roof)', {dots: false, wide: 1.6}) +
        `<text class="strong" x="${at.box.right - 6}" y="${at.y(peak) - 7}" text-anchor="end">${escape(name)}: ${number(peak)} G/s</text>`;
  }
  const most = Math.max(...roofs.map((r) => r[1])), end = Math.min(high, most / floor), begin = Math.max(low, bottom / floor);
  drawn += line(at, [[begin, begin * floor], [end, end * floor]], 'var(--roof)', {dots: false, wide: 1.6});
  const where = Math.sqrt(begin * end), angle = -Math.atan2(at.y(begin * floor) - at.y(end * floor), at.x(end) - at.x(begin)) * 180 / Math.PI;
  drawn += `<text class="strong" transform="translate(${at.x(where)} ${at.y(where * floor) - 9}) rotate(${angle})" text-anchor="middle">memory: ${number(floor)} GB/s</text>`;
  curves.forEach((c, i) => {
    drawn += line(at, points(c), colour(i), {dash: c.op === 'attention' ? '5 4' : '', wide: 1.8,
      title: ([x, y, w]) => `${short(c)}, ${w.n} rows: ${number(y)} G/s, ${number(x)} per byte`});
  });
  return `<div class="card">${keys(curves.map((c, i) => [short(c), colour(i), c.op === 'attention']))}${at.svg(drawn)}</div>`;
}

// Kedge, its bound and the peers, as times and as ratios to one row.
function model(m) {
  const lines = [{name: 'Kedge', stroke: colour(0), wide: 3, points: m.cost.map((r) => [r.n, r.ms])}];
  (m.peers || []).forEach((p, i) => lines.push({name: p.name, stroke: colour(i + 1), wide: 1.8, points: p.points.map((r) => [r.n, r.ms])}));
  if (m.cost.length > 0 && m.cost[0].bound_ms) lines.push({name: 'bound of this machine', stroke: 'var(--faint)', wide: 1.8, dash: '5 4', points: m.cost.map((r) => [r.n, r.bound_ms])});
  const draw = (select, label, text) => {
    const values = lines.map((l) => ({...l, points: select(l.points)}));
    const high = Math.max(...values.flatMap((l) => l.points.map((p) => p[1]))), ticks = niceTicks(high);
    const at = plot({x: [1, 16], y: [0, ticks[ticks.length - 1]], xTicks: [1, 2, 4, 6, 8, 10, 12, 14, 16], yTicks: ticks, xLabel: 'rows in a pass', yLabel: label});
    return at.svg(values.reverse().map((l) => line(at, l.points, l.stroke, {dash: l.dash || '', wide: l.wide, dots: !l.dash, title: ([x, y]) => `${l.name}, ${x} rows: ${text(y)}`})).join(''));
  };
  const ratio = (points) => points.map(([n, ms]) => [n, ms / points[0][1]]);
  const eight = (points) => (ratio(points).find((p) => p[0] === 8) || [0, 0])[1];
  return `<div class="card"><h3>${escape(m.name)} <span style="color:var(--soft);font-weight:400">${m.context} tokens of context; ` +
    `c(8) ${lines.filter((l) => !l.dash && eight(l.points)).map((l) => escape(l.name) + ' ' + number(eight(l.points))).join(', ')}</span></h3>` +
    keys(lines.map((l) => [l.name, l.stroke, l.dash])) + '<div class="pair">' +
    draw((p) => p, 'ms per pass', (y) => number(y) + ' ms') + draw(ratio, 'c(n): times the cost of one row', (y) => number(y)) + '</div></div>';
}

function small(c) {
  const points = c.widths.map((w) => [w.n, w.of_bound.median, w]), high = Math.max(2, ...matmuls.flatMap((m) => m.widths.map((w) => w.of_bound.median)));
  const ticks = niceTicks(high, 4), n = c.widths[c.widths.length - 1].n;
  const at = plot({width: 340, height: 200, x: [1, Math.max(n, 2)], y: [0, ticks[ticks.length - 1]], xTicks: c.widths.map((w) => w.n).filter((v) => v === 1 || v % 4 === 0), yTicks: ticks, xLabel: 'rows', yLabel: 'time, of the bound'});
  const bound = `<line x1="${at.box.left}" x2="${at.box.right}" y1="${at.y(1)}" y2="${at.y(1)}" stroke="var(--faint)" stroke-width="1.6" stroke-dasharray="5 4"/>`;
  return `<div class="card"><h3>${escape(c.name)}</h3>${at.svg(bound + line(at, points, colour(curves.indexOf(c)), {title: ([x, y]) => `${x} rows: ${number(y)} of the bound`}))}</div>`;
}

const judged = (share) => share >= 0.85 ? 'good' : share >= 0.6 ? 'fair' : 'bad';
function table() {
  if (curves.length === 0) return '';
  let rows = '';
  for (const c of curves)
    c.widths.filter((w) => [1, 4, 8, 16].includes(w.n)).forEach((w, i) => {
      const share = w.of_bound.median > 0 ? 1 / w.of_bound.median : 0, grade = judged(share);
      rows += `<tr class="${i ? '' : 'first'}"><td>${i ? '' : escape(c.op + ' ' + c.name)}</td><td>${w.n}</td><td>${number(w.microseconds.median)}</td>` +
        `<td>${number(w.microseconds.low)} – ${number(w.microseconds.high)}</td><td>${w.c.median.toFixed(2)}</td><td>${number(w.gb_per_s)}</td><td>${number(100 * w.share_of_floor.median, 2)} %</td>` +
        `<td>${number(100 * w.share_of_peak.median, 2)} %</td><td>${w.of_bound.median.toFixed(2)}</td><td class="${grade}">${number(100 * share, 2)} %<span class="bar"><i style="width:${Math.min(100, 100 * share)}%;background:var(--${grade})"></i></span></td></tr>`;
    });
  return '<div class="card"><table><thead><tr><th>operator</th><th>rows</th><th>µs</th><th>quartiles</th><th>c(n)</th><th>GB/s</th><th>of floor</th><th>of peak</th><th>t / bound</th><th>of what is possible</th></tr></thead><tbody>' + rows + '</tbody></table></div>';
}

// What makes figures worth less: somebody else had the processors, or limits that were beaten.
function doubts() {
  const shared = curves.filter((c) => c.disturbed > 0), beaten = curves.filter((c) => c.widths.some((w) => w.of_bound.median < 0.9));
  const what = [];
  if (shared.length > 0) what.push(`Other programs had the processors: ${shared.reduce((sum, c) => sum + c.disturbed, 0)} repetitions of ${shared.length} of ${curves.length} curves were left out.`);
  if (beaten.length > 0) what.push(`Faster than the limit that was measured beside it, which the same programs slowed down: ${beaten.map((c) => escape(c.op + ' ' + c.name)).join(', ')}.`);
  return what.length === 0 ? '' : `<p class="doubt"><b>Measure again on a quiet machine.</b> ${what.join(' ')}</p>`;
}

function section(id, html) {
  if (html) $(id).innerHTML = html;
  else $(id + '-section').remove();
}
$('machine').textContent = `${data.machine}, ${data.isa}, ${data.when}`;
tiles();
section('roofline', roofline());
section('models', (data.models || []).map(model).join(''));
section('operators', curves.length === 0 ? '' : '<div class="cells">' + matmuls.map(small).join('') + '</div>' + table());
$('doubts').innerHTML = doubts();
const theme = (name) => {
  document.documentElement.dataset.theme = name;
  $('theme').textContent = name === 'dark' ? 'Light' : 'Dark';
};
theme(location.hash === '#dark' || (location.hash !== '#light' && matchMedia('(prefers-color-scheme: dark)').matches) ? 'dark' : 'light');
$('theme').onclick = () => theme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark');
