// Runs model images in the WebAssembly runtime and compares every output:
//
//   RUSTFLAGS=-Ctarget-feature=+simd128 cargo build --release --target wasm32-unknown-unknown \
//       --manifest-path tests/wasm/Cargo.toml
//   node tests/wasm/run.mjs MODULE.wasm FOLDER NAME...
//
// FOLDER holds, for each name, NAME.dnl (compiled for wasm32), NAME.input.i8 and NAME.output.i8.
// Prints one line of JSON a model; the exit code is 1 if any output differs.
import { readFileSync } from "node:fs";
import { join } from "node:path";

const [module, folder, ...names] = process.argv.slice(2);
const compiled = await WebAssembly.compile(readFileSync(module));
let failed = false;
for (const name of names) {
  const file = (end) => readFileSync(join(folder, `${name}.${end}`));
  const { exports: dunlin } = await WebAssembly.instantiate(compiled, {});
  const memory = (at, len) => new Uint8Array(dunlin.memory.buffer, at, len);
  const image = file("dnl");
  const at = dunlin.allocate(image.length);
  memory(at, image.length).set(image);
  if (!dunlin.load(at, image.length)) {
    console.log(JSON.stringify({ name, error: "refused, or failed its self-test" }));
    failed = true;
    continue;
  }
  const [inputs, expected] = [file("input.i8"), file("output.i8")];
  const [inputLen, outputLen] = [dunlin.input_len(), dunlin.output_len()];
  let different = 0;
  const times = [];
  for (let row = 0; row < inputs.length / inputLen; row++) {
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
  failed ||= different > 0;
  const least = Math.min(...times) * 1000;
  console.log(JSON.stringify({ name, rows: times.length, different, microseconds: Math.round(least * 10) / 10 }));
}
process.exitCode = failed ? 1 : 0;
