// The page: asks for what is turned, and draws what it is told.
import * as draw from "./draw.js";

const $ = id => document.getElementById(id);
const token = new URLSearchParams(location.search).get("token") || "";
let socket, scene = null, settings = null, lessons = [], running = false, lesson = null;
let train = [], validation = [], trails = [], latest = null;
let back = { steps: [], shown: 0, inputs: [] };

const ask = (what, more = {}) => socket?.readyState === 1 && socket.send(JSON.stringify({ do: what, ...more }));

function connect() {
  socket = new WebSocket(`ws://${location.host}/talk?token=${encodeURIComponent(token)}`);
  socket.onmessage = event => { const message = JSON.parse(event.data); hear[message.type]?.(message); };
  socket.onopen = () => notice("");
  socket.onclose = () => {
    setRunning(false);
    notice("The server does not answer. When `nnlab play` runs again at this address, this page begins anew.");
    setTimeout(connect, 1500);
  };
}

function notice(text, kind = "") {
  $("notice").hidden = !text; $("notice").textContent = text; $("notice").className = kind;
}

const hear = {
  lessons(message) {
    lessons = message.lessons;
    $("lesson").replaceChildren(new Option("none: turn the knobs as you like", ""), ...lessons.map((l, i) => new Option(`${i + 1}. ${l.title}`, i)));
  },
  scene(message) {
    scene = message; train = []; validation = []; trails = []; latest = null;
    $("n-metric-name").textContent = scene.task === "regression" ? "rmse" : "accuracy";
    $("graph").replaceChildren(); $("statistics").replaceChildren(); $("backward-steps").replaceChildren();
    $("backward-command").hidden = true; back = { steps: [], shown: 0, inputs: [] };
    $("draw").hidden = scene.kind !== "images" || !scene.gray; clearDrawing();
    for (const id of ["back-one", "forward-one", "back-all"]) $(id).disabled = true;
    showFindings([]); makeSurfaces(); makeLegend(); makePlaneChoices();
    $("plane").getContext("2d").clearRect(0, 0, $("plane").width, $("plane").height);
    if ($("plane-on").checked) ask("plane", { pair: pair() });
  },
  settings(message) {
    settings = message;
    makeKnobs(message.knobs);
    notice(message.notes.join("; "), "note");
    showCommand(message.command);
  },
  frame(message) {
    latest = message;
    train.push(...message.losses);
    if (train.length > 4000) train = train.filter((_, i) => i % 2);
    if (message.validation.loss) validation.push([message.step, ...message.validation.loss]);
    if (validation.length > 2000) validation = validation.filter((_, i) => i % 2);
    requestAnimationFrame(() => { show(message); ask("drawn"); });
  },
  running(message) { setRunning(message.running); },
  findings(message) { showFindings(message.findings); },
  backward(message) { showBackward(message); },
  plane(message) { showPlane(message); },
  drawing(message) { showDrawing(message); },
  error(message) { notice(message.text); },
};

function setRunning(now) {
  running = now;
  $("run").textContent = now ? "Pause" : "Run";
}

const short = value => value === null || value === undefined ? "-" : Math.abs(value) >= 1e4 || (value && Math.abs(value) < 1e-3) ? value.toExponential(2) : String(+value.toPrecision(4));

function show(frame) {
  const first = row => row?.find(v => v !== null);
  const last = train[train.length - 1];
  $("whose").hidden = !scene.compared || !frame.active.length;
  $("n-whose").textContent = $("whose").hidden ? "" : `${scene.compared.key.split(".").pop()} ${scene.compared.values[frame.active[0]]}`;
  $("n-step").textContent = frame.step; $("n-epoch").textContent = frame.epoch;
  $("n-rate").textContent = short(frame.rates[0]);
  $("n-train").textContent = short(last ? first(last.slice(1)) : null);
  $("n-train").dataset.value = last ? last[1] : "";
  $("n-validation").textContent = short(first(frame.validation.loss));
  $("n-metric").textContent = short(first(frame.validation[$("n-metric-name").textContent]));
  showCommand(frame.command, frame.kept);
  showData(frame);
  if (frame.network) {
    draw.drawNetwork($("graph"), frame.network, pass()); showStatistics(frame.statistics);
    $("graph-legend").textContent = graphLegend(frame.network);
  } else if (scene.compared) {
    $("graph").replaceChildren(); $("graph").setAttribute("height", 0);
    $("graph-legend").textContent = $("statistics").textContent = "One network alone is drawn.";
  }
  askDrawing();
  draw.drawLoss($("loss"), train, validation);
  checkGoal(frame);
}

function graphLegend(network) {
  const pictures = network.layers.some(layer => layer.maps || layer.images);
  return `A line is a weight: its width the size, blue positive, orange negative.${pictures ? " A unit's picture is what it responds to." : ""}`;
}

// Data and prediction.
function makeSurfaces() {
  const place = $("surfaces"), count = scene.compared ? scene.compared.values.length : 1;
  place.className = ""; place.replaceChildren();
  if (scene.kind === "plane" || scene.kind === "line") {
    const panels = scene.kind === "line" ? 1 : count, side = panels === 1 ? 360 : panels <= 4 ? 176 : 116;
    for (let k = 0; k < panels; k++) {
      const figure = document.createElement("figure"), canvas = document.createElement("canvas");
      canvas.width = canvas.height = side; canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", scene.compared ? `decision surface, ${scene.compared.key} ${scene.compared.values[k]}` : "decision surface");
      const caption = document.createElement("figcaption");
      if (scene.compared && scene.kind === "plane") caption.textContent = scene.compared.values[k];
      figure.append(canvas, caption); place.append(figure);
    }
  } else if (scene.kind === "images") {
    place.className = "image-grid";
    scene.images.forEach(image => {
      const figure = document.createElement("figure"), canvas = document.createElement("canvas");
      draw.drawImage(canvas, image, scene.shape);
      figure.append(canvas, document.createElement("figcaption")); place.append(figure);
    });
  } else place.textContent = `${scene.examples.train} rows with ${scene.inputs} inputs are learned; with two inputs they would be drawn.`;
}

function makeLegend() {
  const names = scene.classes.slice(0, 8);
  $("legend").textContent = scene.kind === "plane" && scene.task !== "regression"
    ? "circles are training examples, squares validation; classes:" : `${scene.examples.train} training, ${scene.examples.validation} validation, ${scene.examples.test} test examples`;
  if (scene.kind === "plane" && scene.task !== "regression") names.forEach((name, k) => {
    const mark = document.createElement("span");
    mark.textContent = ` ● ${name}`; mark.style.color = draw.COLORS[names.length === 2 ? 1 - k : k % draw.COLORS.length];
    $("legend").append(mark);
  });
  $("loss-legend").textContent = scene.compared ? "solid: training (moving average), dashed: validation; " + scene.compared.key : "dots: training loss of each step, with moving average (blue); dashed: validation (orange)";
  if (scene.compared) {
    $("compare-key").value = scene.compared.key;
    $("compare-values").value = scene.compared.values.join(scene.compared.values.some(v => v.includes(",")) ? "; " : ", ");
  }
  scene.compared?.values.forEach((value, k) => {
    const mark = document.createElement("span");
    mark.textContent = ` ■ ${value}`; mark.style.color = draw.COLORS[k % draw.COLORS.length];
    $("loss-legend").append(mark);
  });
}

function showData(frame) {
  const canvases = [...$("surfaces").querySelectorAll("canvas")];
  if (scene.kind === "plane") frame.surfaces?.forEach((surface, i) => {
    const canvas = canvases[frame.active[i]];
    if (!canvas) return;
    draw.paint(canvas, frame.side, draw.surfaceColor(surface));
    draw.drawPoints(canvas, scene);
  });
  else if (scene.kind === "line" && frame.curves) draw.drawLine(canvases[0], scene, frame.curves);
  else if (scene.kind === "images" && frame.predictions) [...$("surfaces").children].forEach((figure, i) => {
    const row = frame.predictions[i], best = row.indexOf(Math.max(...row)), right = best === scene.labels[i];
    const caption = figure.querySelector("figcaption");
    caption.textContent = right ? scene.classes[best] : `${scene.classes[best]}, not ${scene.classes[scene.labels[i]]}`;
    caption.className = right ? "" : "miss";
  });
}

function showStatistics(statistics) {
  const place = $("statistics");
  if (!statistics.length || place.childElementCount !== statistics.length) {
    place.replaceChildren(...statistics.map(() => {
      const box = document.createElement("div");
      box.append(document.createElement("div"), document.createElementNS("http://www.w3.org/2000/svg", "svg"), document.createElement("div"));
      return box;
    }));
  }
  statistics.forEach((one, i) => {
    const [title, graph, range] = place.children[i].children;
    title.textContent = `${one.what} ${one.name}`;
    draw.drawHistogram(graph, one);
    range.textContent = `${short(one.low)} ... ${short(one.high)}, std ${short(one.std)}`;
  });
}

// Knobs.
function makeKnobs(knobs) {
  const focus = document.activeElement?.dataset?.key, place = $("knob-list");
  place.replaceChildren(...knobs.map(knob => {
    const label = document.createElement("label");
    label.append(knob.label);
    let input;
    if (knob.kind === "choice") {
      input = document.createElement("select");
      knob.options.forEach((option, i) => input.append(new Option(option.label, i, false, option.label === knob.value)));
      input.onchange = () => ask("set", { changes: knob.options[input.value].changes });
    } else {
      input = document.createElement("input");
      input.value = knob.value; input.spellcheck = false; input.inputMode = knob.kind === "number" ? "decimal" : "text";
      input.onchange = () => {
        const text = input.value.trim(), value = knob.key === "architecture.widths" ? `[${text}]` : text;
        ask("set", { changes: { [knob.key]: text === "" || text === knob.off ? null : value } });
      };
    }
    input.dataset.key = knob.key; input.id = `knob-${knob.key}`;
    label.append(input);
    return label;
  }));
  if (focus) document.getElementById(`knob-${focus}`)?.focus();
}

const VALUES = { "optimizer.learning_rate": "0.001, 0.01, 0.1, 1", optimizer: "sgd, momentum, nesterov, adam", seed: "0, 1, 2, 3, 4, 5, 6, 7",
  initialization: "constant, xavier, he", activation: "sigmoid, tanh, relu", "architecture.widths": "[2]; [8]; [32]; [8,8]", "trainer.batch_size": "1, 8, 32, 128" };
$("compare-key").onchange = () => { $("compare-values").value = VALUES[$("compare-key").value]; };
$("compare").onsubmit = event => {
  event.preventDefault();
  const text = $("compare-values").value, key = $("compare-key").value;
  const values = text.split(text.includes(";") || text.includes("[") ? ";" : ",").map(v => v.trim()).filter(Boolean);
  ask("compare", { key, values });
};
$("compare-off").onclick = () => ask("compare", { key: null });

$("run").onclick = () => ask(running ? "pause" : "run");
for (const name of ["step", "epoch", "reset"]) $(name).onclick = () => ask(name);
document.addEventListener("keydown", event => {
  if (event.target.closest("input, select, textarea, button") || event.ctrlKey || event.metaKey || event.altKey) return;
  const name = { " ": "run", s: "step", e: "epoch", r: "reset" }[event.key];
  if (name) { event.preventDefault(); $(name).click(); }
});

// A table of one's own.
let own = null;
function takeFile(file) {
  if (!file) return;
  file.text().then(text => {
    const header = text.split(/\r?\n/).find(line => line.trim()) || "";
    const separator = [";", "\t", ","].find(c => header.includes(c)) || ",";
    const names = header.split(separator).map(n => n.trim().replace(/^["']|["']$/g, ""));
    own = { name: file.name, text };
    $("own-target").replaceChildren(...names.map(name => new Option(name, name)));
    $("own-target").value = names[names.length - 1];
    $("own").hidden = false;
    $("own-target").focus();
  });
}
$("own").onsubmit = event => { event.preventDefault(); ask("file", { ...own, target: $("own-target").value }); };
$("file").onchange = () => { takeFile($("file").files[0]); $("file").value = ""; };
$("drop").onkeydown = event => { if (event.key === "Enter" || event.key === " ") $("file").click(); };
for (const type of ["dragover", "drop"]) document.addEventListener(type, event => event.preventDefault());
$("drop").addEventListener("dragover", () => $("drop").classList.add("over"));
$("drop").addEventListener("dragleave", () => $("drop").classList.remove("over"));
$("drop").addEventListener("drop", event => { $("drop").classList.remove("over"); takeFile(event.dataTransfer.files[0]); });

// Diagnosis.
function showFindings(findings) {
  if (!findings.length) { $("findings").innerHTML = "<p class=quiet></p>"; $("findings").firstChild.textContent = scene.compared ? "One network alone is diagnosed." : "Nothing stands out so far."; return; }
  $("findings").replaceChildren(...findings.map(finding => {
    const box = document.createElement("div"), title = document.createElement("b"), text = document.createElement("span");
    box.className = `finding ${finding.severity === "note" || finding.level === "note" ? "note" : ""}`;
    title.textContent = finding.where; text.textContent = finding.explanation;
    box.append(title, text);
    if (finding.changes && Object.keys(finding.changes).length) {
      const button = document.createElement("button");
      button.textContent = `Try ${finding.override}`;
      button.onclick = () => ask("set", { changes: finding.changes });
      box.append(document.createElement("br"), button);
    }
    return box;
  }));
}

// The loss over two parameters.
function makePlaneChoices() {
  for (const [id, position] of [["plane-x", 0], ["plane-y", 1]]) {
    const select = $(id), before = select.value;
    select.replaceChildren(...scene.parameters.map((name, i) => new Option(name, i)));
    select.value = before && before < scene.parameters.length ? before : Math.min(position, scene.parameters.length - 1);
  }
}
const pair = () => [+$("plane-x").value, +$("plane-y").value];
for (const id of ["plane-x", "plane-y"]) $(id).onchange = () => { trails = []; if ($("plane-on").checked) ask("plane", { pair: pair() }); };
$("plane-on").onchange = () => $("plane-on").checked && ask("plane", { pair: pair() });
setInterval(() => { if (running && $("plane-on").checked) ask("plane", { pair: pair() }); }, 700);
function showPlane(plane) {
  plane.places.forEach((place, k) => (trails[k] ||= []).push(place));
  if (plane.surface) draw.drawPlane($("plane"), plane, trails.filter(Boolean));
}

// The backward pass.
$("backward").onclick = () => ask("backward", { example: +$("example").value || 0 });
function showBackward(message) {
  back = { steps: message.steps, shown: 1, inputs: message.inputs, at: latest?.step };
  $("backward-command").hidden = false; $("backward-command").textContent = message.command;
  $("backward-steps").replaceChildren(...message.steps.map(step => {
    const item = document.createElement("li"), code = document.createElement("code"), table = document.createElement("table");
    item.className = step.back ? "back" : "there";
    item.append(nameOf(step.name)); code.textContent = ` = ${step.equation}`; item.append(code);
    step.text.slice(0, 12).forEach(row => { const line = table.insertRow(); row.slice(0, 8).forEach(v => { line.insertCell().textContent = v; }); });
    item.append(table);
    return item;
  }));
  showBack();
}
function nameOf(name) {
  const node = document.createElement("b"), bar = name.endsWith("_bar");
  node.textContent = bar ? name.slice(0, -4) : name; node.className = bar ? "bar" : "";
  return node;
}
function showBack() {
  [...$("backward-steps").children].forEach((item, i) => { item.classList.toggle("later", i >= back.shown); item.classList.toggle("now", i === back.shown - 1); });
  $("back-one").disabled = back.shown <= 1; $("forward-one").disabled = back.shown >= back.steps.length; $("back-all").disabled = $("forward-one").disabled;
  if (latest?.network) draw.drawNetwork($("graph"), latest.network, pass());
}
// What the steps shown so far say of every unit and weight: the newest value, and error signal, of each layer.
function pass() {
  if (!back.shown || back.at !== latest.step) return null; // its numbers are of weights that have gone
  const found = { values: { 0: back.inputs }, errors: {}, weights: {} }, layers = latest.network.layers.length - 1;
  for (const step of back.steps.slice(0, back.shown)) {
    const name = step.name.replace("_bar", "");
    if (/^W\d+$/.test(name)) found.weights[step.layer] = step.value;
    else if (/^([zh]\d+|[yp])$/.test(name) && Math.min(step.layer, layers) > 0)
      found[step.back ? "errors" : "values"][Math.min(step.layer, layers)] = step.value.map(row => row[0]);
  }
  return found;
}
$("forward-one").onclick = () => { back.shown++; showBack(); };
$("back-one").onclick = () => { back.shown--; showBack(); };
$("back-all").onclick = () => { back.shown = back.steps.length; showBack(); };

// A digit of one's own.
const pen = $("drawing").getContext("2d", { willReadFrequently: true });
let drawnOn = false, waiting = 0;
function clearDrawing() {
  pen.fillStyle = "#000"; pen.fillRect(0, 0, 112, 112); drawnOn = false;
  $("chances").replaceChildren(); $("drawn").getContext("2d").clearRect(0, 0, $("drawn").width, $("drawn").height);
}
function penAt(event) {
  const box = $("drawing").getBoundingClientRect();
  return [(event.clientX - box.left) / box.width * 112, (event.clientY - box.top) / box.height * 112];
}
$("drawing").onpointerdown = event => {
  $("drawing").setPointerCapture(event.pointerId);
  pen.strokeStyle = "#fff"; pen.lineWidth = 11; pen.lineCap = pen.lineJoin = "round";
  const [x, y] = penAt(event);
  pen.beginPath(); pen.moveTo(x, y); pen.lineTo(x + .1, y); pen.stroke(); drawnOn = true;
};
$("drawing").onpointermove = event => {
  if (!event.buttons) return;
  pen.lineTo(...penAt(event)); pen.stroke();
};
$("drawing").onpointerup = () => askDrawing(true);
$("drawing").onkeydown = event => { if (event.key === "Delete" || event.key === "Backspace") clearDrawing(); };
$("clear").onclick = clearDrawing;
function askDrawing(always = false) {
  const now = performance.now();
  if (!drawnOn || $("draw").hidden || (!always && now - waiting < 500)) return;
  waiting = now;
  const pixels = pen.getImageData(0, 0, 112, 112).data;
  let text = "";
  for (let i = 0; i < pixels.length; i += 4) text += String.fromCharCode(pixels[i]);
  ask("draw", { pixels: btoa(text) });
}
function showDrawing(message) {
  if (!drawnOn) return;
  draw.drawImage($("drawn"), message.image, scene.shape);
  const row = message.predictions[0] || [], best = row.indexOf(Math.max(...row)), high = Math.max(1e-9, ...row.map(Math.abs));
  $("chances").replaceChildren(...row.slice(0, 20).map((value, k) => {
    const line = document.createElement("div"), name = document.createElement("b"), bar = document.createElement("i"), number = document.createElement("span");
    name.textContent = scene.classes[k]; bar.style.width = `${Math.max(0, 100 * value / high)}%`; number.textContent = value.toFixed(2);
    line.className = k === best ? "best" : ""; line.append(name, bar, number);
    return line;
  }));
}

// The command.
function showCommand(command, kept) {
  $("command").textContent = command;
  $("kept").textContent = kept == null ? "" : `Weights were kept from step ${kept} of the run before; after a reset this command repeats what is on the screen.`;
}
$("copy").onclick = () => navigator.clipboard.writeText($("command").textContent).then(() => { $("copy").textContent = "Copied"; setTimeout(() => { $("copy").textContent = "Copy"; }, 1200); });

// Lessons.
$("lesson").onchange = () => {
  lesson = $("lesson").value === "" ? null : lessons[$("lesson").value];
  const body = $("lesson-body");
  body.replaceChildren();
  if (!lesson) return;
  const text = document.createElement("p"), tries = document.createElement("ul"), question = document.createElement("p"), verdict = document.createElement("p");
  text.textContent = lesson.text; tries.className = "tries"; verdict.setAttribute("role", "status");
  lesson.try.forEach(line => { const item = document.createElement("li"); item.textContent = line; tries.append(item); });
  question.textContent = lesson.question;
  const choices = lesson.choices.map((choice, i) => {
    const button = document.createElement("button");
    button.className = "choice"; button.textContent = choice;
    button.onclick = () => {
      const right = i === lesson.answer;
      verdict.textContent = right ? `Right. ${lesson.why}` : "Not quite: try it, and answer again.";
      verdict.className = right ? "right" : "wrong";
    };
    return button;
  });
  const goal = document.createElement("p");
  goal.id = "goal";
  body.append(text, tries, question, ...choices, verdict, goal);
  ask("lesson", { settings: lesson.settings, compare: lesson.compare || null });
};
function checkGoal(frame) {
  const place = $("goal");
  if (!place || !lesson?.goal) return;
  const { metric, at_least, at_most } = lesson.goal, values = (frame.validation[metric] || []).filter(v => v !== null);
  const good = values.filter(v => (at_least === undefined || v >= at_least) && (at_most === undefined || v <= at_most)).length;
  const wanted = at_least !== undefined ? `at least ${at_least}` : `at most ${at_most}`;
  place.textContent = `${metric} ${wanted}: reached by ${good} of ${values.length}`;
  place.className = good ? "right" : "";
}

window.addEventListener("resize", () => latest && draw.drawLoss($("loss"), train, validation));
connect();
