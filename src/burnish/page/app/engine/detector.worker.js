/** Finds objects in a photo, as `burnish/detection/detect.py` does. */

import {answerTasks} from './tasks.js';

let session, ort;

answerTasks({
  async start({libraries, graph}) {
    ort = await import(`${libraries}ort.wasm.min.mjs`);
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = libraries;
    ort.env.logLevel = 'error';
    session = await ort.InferenceSession.create(new Uint8Array(graph), {executionProviders: ['wasm']});
  },

  /** Return the objects of an image, (height, width, 3), with boxes as parts of its sides. */
  async find({pixels, height, width, calibration}) {
    const values = new Float32Array(pixels), area = height * width, planes = new Float32Array(3 * area);
    for (let i = 0; i < area; i++) for (let c = 0; c < 3; c++) planes[c * area + i] = values[3 * i + c];
    const outputs = await session.run({image: new ort.Tensor('float32', planes, [3, height, width])},
      ['boxes', 'labels', 'scores', 'masks']);
    const {boxes, labels, scores, masks} = outputs, [, maskHeight, maskWidth] = masks.dims;
    const size = maskHeight * maskWidth;
    const objects = Array.from(scores.data, (raw, i) => {
      const score = Math.min(1 - 1e-6, Math.max(1e-6, raw)), logit = Math.log(score / (1 - score));
      return {
        label: Number(labels.data[i]),
        score: 1 / (1 + Math.exp(-calibration.slope * logit - calibration.offset)),
        box: Array.from(boxes.data.slice(4 * i, 4 * i + 4), (edge, k) => edge / (k % 2 ? height : width)),
        mask: {pixels: masks.data.slice(i * size, (i + 1) * size), height: maskHeight, width: maskWidth},
      };
    });
    return objects.sort((a, b) => b.score - a.score);
  },
});
