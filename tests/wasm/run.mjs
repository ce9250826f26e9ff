// Runs model images in the runtime as a WebAssembly module and compares every output:
//
//   node run.mjs MODULE (IMAGE INPUTS OUTPUTS)...
//
// IMAGE is compiled for wasm32; INPUTS and OUTPUTS hold the tensors of all rows, a byte an element.
// `cargo xtask test` builds the module (wasm32-unknown-unknown, with simd128) and names the files.
// Prints one line of JSON a model, with the least time of a row; the exit code is 1 if any output
// differs, or an image is refused.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { performance } from "node:perf_hooks";

const [module, ...files] = process.argv.slice(2);
const compiled = await WebAssembly.compile(readFileSync(module));
let failed = files.length === 0 || files.length % 3 !== 0;
for (let i = 0; i + 3 <= files.length; i += 3) {
  const [image, inputs, expected] = files.slice(i, i + 3).map((file) => readFileSync(file));
  const name = basename(files[i]);
  const { exports: dunlin } = await WebAssembly.instantiate(compiled, {});
  // A view is lost when memory grows.
  const memory = (at, len) => new Uint8Array(dunlin.memory.buffer, at, len);
  const at = dunlin.allocate(image.length);
  memory(at, image.length).set(image);
  if (!dunlin.load(at, image.length)) {
    console.log(JSON.stringify({ name, error: "refused, or failed its self-test" }));
    failed = true;
    continue;
  }
  const [inputLen, outputLen] = [dunlin.input_len(), dunlin.output_len()];
  const rows = inputs.length / inputLen;
  let different = Math.abs(rows * outputLen - expected.length);
  const times = [];
  for (let row = 0; row < rows; row++) {
    dunlin.reset();
    memory(dunlin.input(), inputLen).set(inputs.subarray(row * inputLen, (row + 1) * inputLen));
    const start = performance.now();
    dunlin.run();
    times.push(performance.now() - start);
    const output = memory(dunlin.output(), outputLen);
    output.forEach((value, i) => {
      different += value !== expected[row * outputLen + i];
    });
  }
  failed ||= different > 0 || rows === 0;
  const microseconds = Math.round(Math.min(...times) * 1e4) / 10;
  console.log(JSON.stringify({ name, rows, different, microseconds }));
}
process.exitCode = failed ? 1 : 0;
