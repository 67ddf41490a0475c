/* The explorer's painter, network and interchange, as in utils/data_utils.py, utils/model_utils.py and
   utils/explorer/view.py. What a layer gives out lies row by row, with the channels of one pixel side by side: the
   order of the neurons in a subspace's directions. Weights have their outputs last. */
"use strict";

const explorerNetwork = (() => {
  const SIZE = 28, POOLED = ["conv1", "conv2"];

  function decode({ shape, data }) {
    const text = atob(data), bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return { shape, values: new Float32Array(bytes.buffer) };
  }

  function round(value) {  // to 0.01, halves to the even neighbor, as numpy does
    const nearest = Math.round(100 * value);
    return (Math.abs(100 * value % 1) === 0.5 && nearest % 2 ? nearest - 1 : nearest) / 100;
  }

  /** The gray values of an image with these labels, each in [0, 1]; turned as by numpy.rot90. */
  function paint(labels, ranges, turned = false) {
    const [circularity, color, area] = ranges.map(([low, high], v) => round(low + (high - low) * labels[v]));
    const a = Math.sqrt(area / (Math.PI * circularity)), b = a * circularity, half = SIZE / 2;
    const image = new Float32Array(SIZE * SIZE).fill(1);
    for (let y = -half; y < half; y++) {
      for (let x = -half; x < half; x++) {
        if ((x / a) * (x / a) + (y / b) * (y / b) > 1) continue;
        const row = y + half, column = x + half;
        image[turned ? (SIZE - 1 - column) * SIZE + row : row * SIZE + column] = color;
      }
    }
    return image;
  }

  function convolve(input, { weight, bias }) {  // 3 x 3, with a border of zeros
    const [, , inputs, outputs] = weight.shape, w = weight.values, size = Math.sqrt(input.length / inputs);
    const output = new Float64Array(size * size * outputs);
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        const at = (y * size + x) * outputs;
        output.set(bias.values, at);
        for (let dy = 0; dy < 3; dy++) {
          for (let dx = 0; dx < 3; dx++) {
            const row = y + dy - 1, column = x + dx - 1;
            if (row < 0 || row >= size || column < 0 || column >= size) continue;
            for (let i = 0; i < inputs; i++) {
              const value = input[(row * size + column) * inputs + i], from = ((dy * 3 + dx) * inputs + i) * outputs;
              if (value !== 0) for (let o = 0; o < outputs; o++) output[at + o] += value * w[from + o];
            }
          }
        }
      }
    }
    return output;
  }

  function multiply(input, matrix, bias) {  // rows of the matrix are the inputs
    const [inputs, outputs] = matrix.shape, output = new Float64Array(outputs);
    if (bias) output.set(bias.values);
    for (let i = 0; i < inputs; i++) {
      for (let o = 0; o < outputs; o++) output[o] += input[i] * matrix.values[i * outputs + o];
    }
    return output;
  }

  function pool(input, channels) {  // the greatest of 2 x 2
    const size = Math.sqrt(input.length / channels), output = new Float64Array(input.length / 4).fill(-Infinity);
    for (let i = 0; i < input.length; i++) {
      const channel = i % channels, pixel = (i - channel) / channels, x = pixel % size, y = (pixel - x) / size;
      const at = ((y >> 1) * (size >> 1) + (x >> 1)) * channels + channel;
      if (input[i] > output[at]) output[at] = input[i];
    }
    return output;
  }

  const apply = (layer, input) =>
    layer.weight.shape.length === 4 ? convolve(input, layer) : multiply(input, layer.weight, layer.bias);
  const activate = (layer, output) =>
    (POOLED.includes(layer.name) ? pool(output, layer.bias.shape[0]) : output).map(value => Math.max(value, 0));

  /** A network of the data, ready to answer. */
  function load(data, { title, layer, groups, partition, sources, weights, rotation, plane }) {
    const layers = data.weights[weights].map(
      ({ name, weight, bias }) => ({ name, weight: decode(weight), bias: decode(bias) }));
    const [mean, axes, background] = [plane.mean, plane.axes, plane.background].map(decode);
    return { data, title, layer, groups, partition, sources, layers, rotation: decode(rotation),
             aligned: layers.findIndex(({ name }) => name === layer),
             plane: { names: plane.names, mean, axes, background } };
  }

  /** What the aligned layer gives out for an image. */
  function encode({ layers, aligned }, image) {
    let output = apply(layers[0], image);
    for (let i = 1; i <= aligned; i++) output = apply(layers[i], activate(layers[i - 1], output));
    return output;
  }

  /** The logit of answer 1 that follows from what the aligned layer gives out. */
  function answer({ layers, aligned }, output) {
    for (let i = aligned + 1; i < layers.length; i++) output = apply(layers[i], activate(layers[i - 1], output));
    return output[0];
  }

  /** The aligned layer's output for a base after the chosen subspaces have got the coordinates of the sources, one
      subspace after the other, as in pyvene. */
  function swap({ rotation, partition }, output, sources, chosen) {
    const [neurons, directions] = rotation.shape, swapped = Float64Array.from(output);
    partition.forEach((block, i) => {
      if (!chosen[i]) return;
      const own = multiply(swapped, rotation), changes = block.map(d => sources[i][d] - own[d]);
      for (let n = 0; n < neurons; n++) {
        block.forEach((d, j) => { swapped[n] += changes[j] * rotation.values[n * directions + d]; });
      }
    });
    return swapped;
  }

  const sum = ({ coefficients }, labels) => coefficients.reduce((total, c, v) => total + c * labels[v], 0);
  const judge = (data, labels) => Number(sum(data, labels) > data.threshold);  // of .5, .5, .5 it is just above
  const toProbability = logit => 1 / (1 + Math.exp(-logit));

  /** What labels of base and sources, and a choice of subspaces, come to: see View in utils/explorer/view.py. */
  function look(network, labels, chosen) {
    const { data, groups, rotation, partition } = network, target = [...labels[0]];
    groups.forEach((group, i) => { if (chosen[i]) for (const v of group) target[v] = labels[1 + i][v]; });
    const all = [...labels, target], images = all.map(z => paint(z, data.ranges));
    const outputs = images.slice(0, -1).map(image => encode(network, image));
    const coordinates = outputs.map(output => multiply(output, rotation));
    const after = Float64Array.from(coordinates[0]), swapped = swap(network, outputs[0], coordinates.slice(1), chosen);
    partition.forEach((block, i) => { if (chosen[i]) for (const d of block) after[d] = coordinates[1 + i][d]; });
    return {
      labels: all, images, sums: all.map(z => sum(data, z)), plain: toProbability(answer(network, outputs[0])),
      swapped: toProbability(answer(network, swapped)),
      coordinates: [...coordinates, after],
      answers: all.map(z => judge(data, z)),
    };
  }

  /** Coordinates as a point of the plane. */
  function project({ plane: { mean, axes } }, coordinates) {
    return [0, 1].map(row => mean.values.reduce(
      (total, center, d) => total + (coordinates[d] - center) * axes.values[row * mean.values.length + d], 0));
  }

  return { paint, load, encode, answer, multiply, swap, judge, look, project };
})();
