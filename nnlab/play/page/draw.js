// Drawing: surfaces, networks, curves, histograms. Colors of Okabe and Ito (2008), told apart by all eyes.

export const COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444", "#8c6d00"];
const BLUE = [0, 114, 178], ORANGE = [213, 94, 0], WHITE = [255, 255, 255];

export const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
const mix = (a, b, share) => a.map((v, i) => Math.round(v + (b[i] - v) * share));
const rgb = hex => [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16));

// Orange below the middle, blue above it, white between.
export function diverging(share) {
  return share < 0.5 ? mix(ORANGE, WHITE, share * 2) : mix(WHITE, BLUE, share * 2 - 1);
}
// Dark to light, for heights.
const sequential = share => mix([20, 36, 84], [250, 232, 150], share);

export function paint(canvas, side, color) {
  const small = document.createElement("canvas");
  small.width = small.height = side;
  const context = small.getContext("2d"), image = context.createImageData(side, side);
  for (let i = 0; i < side * side; i++) image.data.set([...color(i), 255], 4 * i);
  context.putImageData(image, 0, 0);
  const target = canvas.getContext("2d");
  target.imageSmoothingEnabled = true;
  target.drawImage(small, 0, 0, canvas.width, canvas.height);
}

export function surfaceColor(surface) {
  const value = bytes(surface.value);
  if (!surface.class) return i => mix(WHITE, diverging(value[i] / 255), 0.75);
  const classes = bytes(surface.class);
  return i => mix(WHITE, rgb(COLORS[classes[i] % COLORS.length]), 0.15 + 0.6 * value[i] / 255);
}

export function drawPoints(canvas, scene) {
  const context = canvas.getContext("2d"), [left, right, bottom, top] = scene.bounds;
  const small = canvas.width < 200;
  for (const split of ["train", "validation"]) for (const [x, y, target] of scene.points[split]) {
    const px = (x - left) / (right - left) * canvas.width, py = (top - y) / (top - bottom) * canvas.height;
    context.beginPath();
    const color = scene.task === "regression" ? "#222" : COLORS[scene.classes.length === 2 ? 1 - target : target % COLORS.length];
    if (split === "train") context.arc(px, py, small ? 1.3 : 3, 0, 7);
    else { const r = small ? 1.3 : 3.2; context.rect(px - r, py - r, 2 * r, 2 * r); }
    context.fillStyle = color; context.strokeStyle = split === "train" ? "#fff" : "#222"; context.lineWidth = small ? .4 : .9;
    context.fill(); context.stroke();
  }
}

export function drawLine(canvas, scene, curves) {
  const context = canvas.getContext("2d"), [left, right] = scene.bounds;
  const all = scene.points.train.map(p => p[1]), low = Math.min(...all) - .5, high = Math.max(...all) + .5;
  const at = (x, y) => [(x - left) / (right - left) * canvas.width, (high - y) / (high - low) * canvas.height];
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = "#999";
  for (const [x, y] of scene.points.train) { const [px, py] = at(x, y); context.fillRect(px - 1, py - 1, 2.5, 2.5); }
  curves.forEach((curve, k) => {
    context.strokeStyle = COLORS[k % COLORS.length]; context.lineWidth = 2.2; context.beginPath();
    curve.forEach((y, i) => y !== null && context.lineTo(...at(left + (right - left) * i / (curve.length - 1), y)));
    context.stroke();
  });
}

// A canvas as wide as its place, sharp on fine screens; returns its context and its size in pixels of the page.
export function fit(canvas) {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight || canvas.height;
  if (canvas.width !== Math.round(width * ratio)) { canvas.style.height = `${height}px`; canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio); }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return [context, width, height];
}

// Up to five whole numbers from 0 to `last`, each once.
export const marks = last => [...new Set([0, 1, 2, 3, 4].map(i => Math.round(last * i / 4)))];

// Training losses as a scatter with their moving average, validation losses as a line with dots.
export function drawLoss(canvas, train, validation) {
  const [context, width, height] = fit(canvas), pad = { left: 46, right: 8, top: 8, bottom: 24 };
  const values = [...train, ...validation].flatMap(row => row.slice(1)).filter(v => v !== null && v > 0 && isFinite(v));
  if (!values.length) return;
  values.sort((a, b) => a - b);
  const low = Math.log10(values[Math.floor(values.length * .002)]) - .05, high = Math.log10(values[values.length - 1]) + .05;
  const last = Math.max(train.length ? train[train.length - 1][0] : 1, validation.length ? validation[validation.length - 1][0] : 1, 1);
  const x = s => pad.left + s / last * (width - pad.left - pad.right);
  const y = v => pad.top + (high - Math.log10(Math.max(v, 1e-12))) / Math.max(high - low, .2) * (height - pad.top - pad.bottom);
  context.font = "11px system-ui"; context.fillStyle = "#5f5f5f"; context.strokeStyle = "#e5e5e5"; context.lineWidth = 1;
  context.textAlign = "right"; context.textBaseline = "middle";
  const fine = high - low < 1.2 ? [1, 1.5, 2, 3, 5, 7] : [1, 3];
  for (let e = Math.floor(low); e <= Math.ceil(high); e++) for (const m of fine) {
    const v = m * 10 ** e, py = y(v);
    if (py < pad.top || py > height - pad.bottom) continue;
    context.beginPath(); context.moveTo(pad.left, py); context.lineTo(width - pad.right, py); context.stroke();
    context.fillText(String(+v.toPrecision(2)), pad.left - 5, py);
  }
  context.textAlign = "center"; context.textBaseline = "top";
  for (const step of marks(last)) context.fillText(String(step), Math.min(x(step), width - 22), height - pad.bottom + 7);
  const networks = (train[0] || validation[0]).length - 1;
  context.save(); context.beginPath(); context.rect(pad.left, pad.top, width, height - pad.top - pad.bottom); context.clip();
  for (let k = 1; k <= networks; k++) {
    const color = COLORS[(k - 1) % COLORS.length];
    if (networks <= 4) {
      context.fillStyle = color + "40";
      for (const row of train) if (row[k] !== null) context.fillRect(x(row[0]) - 1, y(row[k]) - 1, 2, 2);
    }
    context.strokeStyle = color; context.lineWidth = 2; context.beginPath();
    const span = Math.max(1, Math.floor(train.length / 40)), window = [];
    let sum = 0;
    for (const row of train) {
      if (row[k] === null) continue;
      window.push(row[k]); sum += row[k];
      if (window.length > span) sum -= window.shift();
      context.lineTo(x(row[0]), y(sum / window.length));
    }
    context.stroke();
    context.setLineDash([5, 3]); context.lineWidth = 1.6; context.strokeStyle = networks === 1 ? COLORS[1] : color; context.beginPath();
    for (const row of validation) if (row[k] !== null) context.lineTo(x(row[0]), y(row[k]));
    context.stroke(); context.setLineDash([]);
  }
  context.restore();
}

const SVG = "http://www.w3.org/2000/svg";
export function svg(name, attributes, parent) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (parent) parent.append(node);
  return node;
}

// The network: columns of units; each shows what it responds to, over the plane or in its weights, or is a circle.
const unitCanvas = document.createElement("canvas");
// `pass`, of one example: by layer the units' values and error signals, and by layer the weights' error signals.
export function drawNetwork(root, network, pass = null) {
  const gapX = 104, gapY = 40, size = 32, tall = Math.max(...network.layers.map(l => l.shown), 1);
  const width = gapX * (network.layers.length - 1) + size + 30, height = tall * gapY + 26;
  root.setAttribute("width", width); root.setAttribute("height", height); root.setAttribute("viewBox", `0 0 ${width} ${height}`);
  root.replaceChildren();
  const at = (layer, unit) => [15 + layer * gapX, 12 + (tall - network.layers[layer].shown) * gapY / 2 + unit * gapY];
  network.edges.forEach((edge, layer) => {
    const largest = Math.max(1e-6, ...edge.weights.flat().map(v => Math.abs(v ?? 0)));
    edge.weights.forEach((row, to) => row.forEach((weight, from) => {
      if (from >= network.layers[layer].shown || weight === null) return;
      const [x1, y1] = at(layer, from), [x2, y2] = at(layer + 1, to), share = Math.abs(weight) / largest;
      if (share < .02) return;
      const line = svg("path", {
        d: `M${x1 + size} ${y1 + size / 2} C${x1 + gapX * .6} ${y1 + size / 2} ${x2 - gapX * .25} ${y2 + size / 2} ${x2} ${y2 + size / 2}`,
        fill: "none", stroke: weight > 0 ? "#0072b2" : "#d55e00", "stroke-width": (.4 + 3 * share).toFixed(2), opacity: (.25 + .6 * share).toFixed(2),
      }, root);
      const signal = pass?.weights[layer + 1]?.[to]?.[from];
      svg("title", {}, line).textContent = `weight ${weight}` + (signal === undefined ? "" : `, error signal ${+signal.toPrecision(4)}`);
    }));
  });
  network.layers.forEach((layer, position) => {
    for (let unit = 0; unit < layer.shown; unit++) {
      const [x, y] = at(position, unit), picture = unitPicture(layer, unit);
      if (picture) svg("image", { href: picture, x, y, width: size, height: size, style: "image-rendering:auto" }, root);
      svg("rect", { x, y, width: size, height: size, rx: picture ? 3 : size / 2, fill: picture ? "none" : "#fff", stroke: "#777" }, root);
      for (const [kind, color, up] of [["values", "#00507e", 13], ["errors", "#a84600", 26]]) {
        const value = pass?.[kind][position]?.[unit];
        if (value !== undefined) svg("text", { x: x + size / 2, y: y + up, class: `value ${kind}`, fill: color }, root).textContent = brief(value);
      }
    }
    const label = svg("text", { x: at(position, 0)[0] + size / 2, y: height - 2, "text-anchor": "middle", "font-size": 10, fill: "#5f5f5f" }, root);
    label.textContent = layer.shown < layer.size ? `${layer.shown} of ${layer.size}` : `${layer.size}`;
  });
}

// A number in six characters.
const brief = value => Math.abs(value) >= 1000 || (value && Math.abs(value) < .005) ? value.toExponential(0) : value.toFixed(2);

function unitPicture(layer, unit) {
  const map = layer.maps?.[unit], image = layer.images?.[unit];
  if (!map && !image) return null;
  const data = bytes(map || image), n = Math.round(Math.sqrt(data.length));
  unitCanvas.width = unitCanvas.height = n;
  const context = unitCanvas.getContext("2d"), pixels = context.createImageData(n, n);
  for (let i = 0; i < n * n; i++) pixels.data.set([...(map ? diverging(data[i] / 255) : [data[i], data[i], data[i]]), 255], 4 * i);
  context.putImageData(pixels, 0, 0);
  return unitCanvas.toDataURL();
}

export function drawHistogram(root, one) {
  root.replaceChildren();
  root.setAttribute("viewBox", `0 0 ${one.counts.length} 20`); root.setAttribute("preserveAspectRatio", "none");
  const most = Math.max(...one.counts, 1);
  one.counts.forEach((count, i) => svg("rect", { x: i + .08, y: 20 - 20 * count / most, width: .84, height: 20 * count / most,
    fill: one.what === "gradient" ? "#d55e00" : "#0072b2" }, root));
}

export function drawImage(canvas, text, shape) {
  const data = bytes(text), [height, width] = shape;
  canvas.width = width; canvas.height = height;
  const context = canvas.getContext("2d"), pixels = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) pixels.data.set([data[i], data[i], data[i], 255], 4 * i);
  context.putImageData(pixels, 0, 0);
}

export function drawPlane(canvas, plane, trails) {
  const data = bytes(plane.surface);
  paint(canvas, plane.side, i => sequential(1 - data[i] / 255));
  const context = canvas.getContext("2d"), [left, right, bottom, top] = plane.bounds;
  const at = ([x, y]) => [(x - left) / (right - left) * canvas.width, (top - y) / (top - bottom) * canvas.height];
  trails.forEach((trail, k) => {
    context.strokeStyle = context.fillStyle = COLORS[k % COLORS.length]; context.lineWidth = 2; context.beginPath();
    trail.forEach(p => context.lineTo(...at(p))); context.stroke();
    const [x, y] = at(trail[trail.length - 1]);
    context.beginPath(); context.arc(x, y, 4.5, 0, 7); context.fill(); context.strokeStyle = "#fff"; context.stroke();
  });
}
