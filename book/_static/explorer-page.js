/* The explorer's controls and pictures, as in utils/explorer/widget.py and utils/explorer/picture.py. */
"use strict";

(() => {
  const data = explorerData, { variables, colors, start } = data, root = document.querySelector(".explorer");
  const find = name => root.querySelector(`.${name}`);
  const OF_SVG = ["svg", "g", "line", "rect", "circle", "path", "text", "tspan"];
  const MARKS = {
    circle: "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0Z", square: "M-5-5H5V5H-5Z", diamond: "M0-6L6 0L0 6L-6 0Z",
    star: "M0-9L2-2.8L8.6-2.8L3.3 1.1L5.3 7.3L0 3.4L-5.3 7.3L-3.3 1.1L-8.6-2.8L-2-2.8Z",
    dot: "M-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0Z",
  };
  const labels = start.map(values => [...values]), chosen = start.slice(1).map(() => true), loaded = new Map();
  let network, images, moving;

  function make(name, attributes = {}, ...children) {
    const element = OF_SVG.includes(name) ? document.createElementNS("http://www.w3.org/2000/svg", name)
      : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  const mark = (shape, x, y, color, kind = "symbol") =>
    make("path", { d: MARKS[shape], transform: `translate(${x} ${y})`, class: kind, fill: color });
  const line = (x1, y1, x2, y2, kind) => make("line", { x1, y1, x2, y2, class: kind });
  const write = (text, x, y, anchor = "middle", more = {}) =>
    make("text", { x, y, "text-anchor": anchor, ...more }, ...text.split("\n").map(
      (part, i) => make("tspan", { x, dy: `${i && 1.2}em` }, part)));
  const frame = (x, y, width, height) => make("rect", { x, y, width, height, class: "frame" });

  function legend(entries) {
    const shown = entries.map(([name, symbol]) =>
      make("li", {}, make("svg", { viewBox: "-11 -11 22 22", "aria-hidden": "true" }, symbol), name));
    return make("ul", { class: "legend" }, ...shown);
  }

  function describe(view) {
    const names = network.sources.filter((_, i) => chosen[i]), last = view.answers[view.answers.length - 1];
    const from = names.length === 1 ? "its source" : "their sources";
    const swap = names.length ? `with ${names.join(" and ")} from ${from}` : "with nothing interchanged";
    return `The network gives the base alone a probability of ${view.plain.toFixed(2)} of answer 1, and `
      + `${view.swapped.toFixed(2)} ${swap}: it answers ${(view.swapped > 0.5) === (last === 1) ? "as" : "other than"} `
      + `the causal model, whose answer is ${last} (${view.answers[0]} before).`;
  }

  function drawImage({ canvas, caption, sum, name }, pixels, z, total, answer) {
    const context = canvas.getContext("2d"), shown = context.createImageData(28, 28);
    pixels.forEach((gray, i) => shown.data.set([255 * gray, 255 * gray, 255 * gray, 255], 4 * i));
    context.putImageData(shown, 0, 0);
    const [circularity, color, area] = z.map(value => value.toFixed(2));
    caption.textContent = `circ ${circularity}  color ${color}\narea ${area}   answer ${answer}\n`
      + `weighted sum ${total.toFixed(3)}`;
    const values = variables.map((variable, v) => `${variable} ${z[v].toFixed(2)}`).join(", ");
    canvas.setAttribute("aria-label", `${name}: ${values}, weighted sum ${total.toFixed(3)}, answer ${answer}`);
    const most = data.coefficients.reduce((a, b) => a + b), at = value => 10 + 140 * value / most;
    sum.replaceChildren(frame(10, 6, 140, 12), line(at(data.threshold), 6, at(data.threshold), 22, "line"),
                        mark("circle", at(total), 12, colors.base),
                        write(`threshold ${data.threshold}`, at(data.threshold), 35));
  }

  function drawBars(view, words) {
    const at = value => 100 + 240 * value, drawn = [frame(100, 10, 240, 176)];
    const rows = [["base\nalone", view.plain, view.answers[0], colors.base],
                  ["after the\ninterchange", view.swapped, view.answers[view.answers.length - 1], colors.after]];
    rows.forEach(([name, value, , color], i) => {
      const y = 54 + 88 * i;
      drawn.push(make("rect", { x: 100, y: y - 22, width: 240 * value, height: 44, fill: color }),
                 write(name, 90, y - 3, "end"));
    });
    drawn.push(line(at(0.5), 10, at(0.5), 186, "threshold"));
    rows.forEach(([, value, wanted], i) => {
      const y = 54 + 88 * i, inside = value > 0.2;
      drawn.push(mark("diamond", at(wanted), y, "currentColor"), write(
        value.toFixed(2), at(value) + (inside ? -10 : 10), y + 5, inside ? "end" : "start",
        inside ? { fill: i ? "#000" : "#fff" } : {}));
    });
    for (const tick of ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]) {
      drawn.push(line(at(tick), 186, at(tick), 191, "line"), write(tick, at(tick), 206));
    }
    drawn.push(write("probability of answer 1", 220, 228));
    const picture = make("svg", { viewBox: "0 0 350 236", role: "img", "aria-label": words }, ...drawn);
    find("bars").replaceChildren(legend([["causal model's answer", mark("diamond", 0, 0, "currentColor")],
                                         ["threshold", line(-11, 0, 11, 0, "threshold")]]), picture);
  }

  function roundSteps(low, high) {  // up to six round numbers between the two
    const least = (high - low) / 6, power = 10 ** Math.floor(Math.log10(least));
    const step = power * [1, 2, 5, 10].find(times => times * power >= least), steps = [];
    for (let i = Math.ceil(low / step); i * step <= high; i++) steps.push(i * step);
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    return steps.map(value => [value, value.toFixed(digits).replace("-", "\u2212")]);
  }

  /** What of the plane stays as long as the network does; `moving` holds what update needs. */
  function drawPlane() {
    const { names, background } = network.plane, drawn = [frame(75, 10, 265, 190)], cloud = [];
    for (let i = 0; i < background.values.length; i += 2) cloud.push([...background.values.slice(i, i + 2)]);
    const at = [[75, 265], [200, -190]].map(([from, length], axis) => {
      const values = cloud.map(point => point[axis]), low = Math.min(...values), high = Math.max(...values);
      const margin = 0.1 * (high - low), width = high - low + 2 * margin;
      const place = value => from + length * (value - low + margin) / width;
      for (const [value, text] of roundSteps(low - margin, high + margin)) {
        const here = place(value);
        drawn.push(...axis ? [line(70, here, 75, here, "line"), write(text, 66, here + 4, "end")]
          : [line(here, 200, here, 205, "line"), write(text, here, 220)]);
      }
      return place;
    });
    const upwards = { transform: "translate(14 107) rotate(-90)" };
    drawn.push(write(names[0], 207, 242), write(names[1].replace(", axis", ",\naxis"), 0, 0, "middle", upwards),
               ...cloud.map(([x, y]) => mark("dot", at[0](x), at[1](y), undefined, "cloud")));
    const sources = network.groups.map((group, i) => [
      `source of ${network.sources[i]}`, "square", group.length === 1 ? colors.variables[group[0]] : colors.several]);
    const marks = [["base", "circle", colors.base], ...sources, ["after the interchange", "star", colors.after]];
    const group = make("g"), picture = make("svg", { viewBox: "0 0 350 250", role: "img" }, ...drawn, group);
    moving = { at, marks, group, picture };
    find("plane").replaceChildren(legend([["other images", mark("dot", 0, 0, undefined, "cloud")], ...marks.map(
      ([name, shape, color]) => [name, mark(shape, 0, 0, color)])]), picture);
  }

  function update() {
    const k = network.groups.length, view = explorerNetwork.look(network, labels.slice(0, 1 + k), chosen.slice(0, k));
    const words = describe(view);
    find("words").textContent = words;
    images.forEach((image, i) => drawImage(image, view.images[i], view.labels[i], view.sums[i], view.answers[i]));
    drawBars(view, words);
    const points = view.coordinates.map(coordinates => explorerNetwork.project(network, coordinates));
    const { at, marks, group, picture } = moving;
    group.replaceChildren(...points.map(([x, y], i) => mark(marks[i][1], at[0](x), at[1](y), marks[i][2])));
    const where = points.map((point, i) => `${marks[i][0]} at ${point.map(value => value.toFixed(1)).join(", ")}`);
    picture.setAttribute("aria-label", `Where these images lie in the subspaces: ${where.join("; ")}`);
  }

  function addImage(name) {
    const image = { name, canvas: make("canvas", { width: 28, height: 28, role: "img" }),
                    caption: make("figcaption", { "aria-hidden": "true" }),
                    sum: make("svg", { viewBox: "0 0 160 38", "aria-hidden": "true" }) };
    find("images").append(make("figure", {}, make("b", { "aria-hidden": "true" }, name), image.canvas, image.caption,
                               image.sum));
    return image;
  }

  function addSliders(name, i) {
    const rows = variables.map((variable, v) => {
      const input = make("input", { type: "range", min: 0, max: 1, step: 0.01, value: labels[i][v] });
      const output = make("output", { "aria-hidden": "true" }, labels[i][v].toFixed(2));
      input.addEventListener("input", () => {
        labels[i][v] = input.valueAsNumber;
        output.textContent = labels[i][v].toFixed(2);
        update();
      });
      return make("label", {}, make("span", {}, variable), input, output);
    });
    find("controls").append(make("fieldset", {}, make("legend", {}, name), ...rows));
  }

  function addSwap(name, i) {
    const input = make("input", { type: "checkbox" });
    input.checked = chosen[i];
    input.addEventListener("change", () => {
      chosen[i] = input.checked;
      update();
    });
    find("swaps").append(make("label", {}, input, name));
  }

  function showNetwork() {
    const [title, layer] = [find("network").value, find("layer").value], key = `${title}, ${layer}`;
    if (!loaded.has(key)) {
      loaded.set(key, explorerNetwork.load(data, data.networks.find(n => n.title === title && n.layer === layer)));
    }
    network = loaded.get(key);
    const names = ["base", ...network.sources.map(source => `source of ${source}`)];
    find("images").replaceChildren();
    find("controls").replaceChildren();
    find("swaps").replaceChildren(find("swaps").firstElementChild);
    images = [...names, "counterfactual"].map(addImage);
    names.forEach(addSliders);
    network.sources.forEach(addSwap);
    drawPlane();
    update();
  }

  function showLayers() {
    const layers = data.networks.filter(({ title }) => title === find("network").value).map(({ layer }) => layer);
    find("layer").replaceChildren(...layers.map(layer => new Option(layer)));
    showNetwork();
  }

  const titles = [...new Set(data.networks.map(({ title }) => title))];
  find("network").append(...titles.map(title => new Option(title, title, title === data.first, title === data.first)));
  find("network").addEventListener("change", showLayers);
  find("layer").addEventListener("change", showNetwork);
  root.hidden = false;
  showLayers();
})();
