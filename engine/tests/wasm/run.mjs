// Runs the module in Node: `node run.mjs FILE.wasm`. A panic is a trap, and ends with exit code 1.
import { readFileSync } from "node:fs";

const text = new TextDecoder();
const host = {
  print(start, length) {
    process.stdout.write(text.decode(new Uint8Array(instance.exports.memory.buffer, start, length)));
  },
};
const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]), { host });
instance.exports.run();
