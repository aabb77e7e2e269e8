// The figure of the page "A model in a browser": the regions of a network's classes and its
// weights, after the epoch that a slider chooses. All probabilities come from WebAssembly.
"use strict";
{
  const root = document.getElementById("browser-network");
  const facts = JSON.parse(root.querySelector("script").textContent);
  const bytes = Uint8Array.from(atob(facts.module), (letter) => letter.charCodeAt(0));
  const wasm = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
  const COLOURS = [[31, 95, 168], [224, 123, 40], [58, 145, 88]]; // of the classes
  const SIZE = 320; // pixels of a canvas
  const CELLS = 160; // of the region, in each direction
  const n = facts.classes.length;

  /** The probabilities of rows [x, y] by the network after epoch number `k` of `facts.epochs`. */
  function predict(k, rows) {
    const found = [];
    for (let start = 0; start < rows.length; start += facts.rows) {
      const some = rows.slice(start, start + facts.rows);
      new Float32Array(wasm.memory.buffer, wasm.inputs(), 2 * some.length).set(some.flat());
      wasm.predict_rows(k, some.length);
      const out = new Float32Array(wasm.memory.buffer, wasm.outputs(), n * some.length);
      for (let i = 0; i < some.length; i++) found.push(Array.from(out.slice(n * i, n * i + n)));
    }
    return found;
  }

  const best = (p) => p.indexOf(Math.max(...p));
  const colour = (k) => `rgb(${COLOURS[k].join()})`;
  const pixel = ([x, y]) => [((1 + x) / 2) * SIZE, ((1 - y) / 2) * SIZE];

  /** A new element below `parent`, with attributes and styles. */
  function add(parent, name, attributes = {}, style = "") {
    const element = parent.appendChild(document.createElement(name));
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.style = style;
    return element;
  }

  function canvas(parent, label) {
    const shape = { width: SIZE, height: SIZE, role: "img", "aria-label": label };
    return add(parent, "canvas", shape, "max-width: 100%; background: #fff; border-radius: 4px");
  }

  const controls = add(root, "p", {}, "display: flex; gap: 1em; align-items: center");
  const play = add(controls, "button", { type: "button" });
  play.textContent = "Play";
  const last = facts.epochs.length - 1;
  const range = { type: "range", min: 0, max: last, value: last, "aria-label": "epoch" };
  const slider = add(controls, "input", range);
  const epoch = add(controls, "output");
  const pictures = add(root, "div", {}, "display: flex; gap: 1em; flex-wrap: wrap");
  const region = canvas(pictures, "the regions of the classes, and the points");
  const graph = canvas(pictures, "the units and weights of the network");
  const reading = add(root, "p");
  reading.textContent = "Point at the left picture.";

  const centre = (i) => (2 * i + 1) / CELLS - 1;
  const cells = Array.from({ length: CELLS * CELLS }, (_, i) => [
    centre(i % CELLS), -centre(Math.floor(i / CELLS)),
  ]);
  const small = new OffscreenCanvas(CELLS, CELLS);

  /** Each cell has the mean colour of the classes, by their probabilities; paler than the points. */
  function drawRegion(k) {
    const image = new ImageData(CELLS, CELLS);
    predict(k, cells).forEach((p, i) => {
      for (let c = 0; c < 3; c++) {
        const mean = p.reduce((sum, share, j) => sum + share * COLOURS[j][c], 0);
        image.data[4 * i + c] = 255 - 0.55 * (255 - mean);
      }
      image.data[4 * i + 3] = 255;
    });
    small.getContext("2d").putImageData(image, 0, 0);
    const pen = region.getContext("2d");
    pen.drawImage(small, 0, 0, SIZE, SIZE);
    facts.points.forEach((point, i) => disc(pen, ...pixel(point), 3, colour(facts.labels[i])));
  }

  function disc(pen, x, y, radius, fill) {
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    pen.fillStyle = fill;
    pen.strokeStyle = "#fff";
    pen.lineWidth = 1;
    pen.fill();
    pen.stroke();
  }

  /** Weights are lines: blue above zero, orange below, as wide as they are large. */
  function drawGraph(k) {
    const layers = facts.weights[k];
    const units = [layers[0].length, ...layers.map((rows) => rows[0].length)];
    const place = (l, i) => [
      30 + (l * (SIZE - 60)) / layers.length, ((i + 0.5) * SIZE) / units[l],
    ];
    const pen = graph.getContext("2d");
    pen.clearRect(0, 0, SIZE, SIZE);
    layers.forEach((rows, l) => rows.forEach((row, i) => row.forEach((weight, j) => {
      pen.beginPath();
      pen.moveTo(...place(l, i));
      pen.lineTo(...place(l + 1, j));
      pen.strokeStyle = weight > 0 ? colour(0) : colour(1);
      pen.globalAlpha = Math.min(1, 0.1 + Math.abs(weight) / 3);
      pen.lineWidth = Math.min(4, Math.abs(weight));
      pen.stroke();
    })));
    pen.globalAlpha = 1;
    units.forEach((width, l) => {
      for (let i = 0; i < width; i++) {
        disc(pen, ...place(l, i), 6, l === layers.length ? colour(i) : "#7a808a");
      }
    });
  }

  function show() {
    const k = Number(slider.value);
    const right = predict(k, facts.points).filter((p, i) => best(p) === facts.labels[i]).length;
    epoch.textContent =
      `after epoch ${facts.epochs[k]}: ${right} of ${facts.points.length} points are right`;
    drawRegion(k);
    drawGraph(k);
  }

  let timer = null;
  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  }

  play.addEventListener("click", () => {
    if (timer !== null) return stop();
    play.textContent = "Stop";
    if (Number(slider.value) === last) slider.value = 0;
    show();
    timer = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      show();
      if (Number(slider.value) === last) stop();
    }, 500);
  });
  slider.addEventListener("input", () => {
    stop();
    show();
  });
  region.addEventListener("pointermove", (event) => {
    const box = region.getBoundingClientRect();
    const x = (2 * (event.clientX - box.left)) / box.width - 1;
    const y = 1 - (2 * (event.clientY - box.top)) / box.height;
    const [p] = predict(Number(slider.value), [[x, y]]);
    const shares = p.map((share, j) => `class ${facts.classes[j]}: ${share.toFixed(3)}`);
    reading.textContent = `At (${x.toFixed(2)}, ${y.toFixed(2)}): ${shares.join(", ")}`;
  });
  show();
  root.predict = predict; // for the console: document.getElementById("browser-network").predict
}
