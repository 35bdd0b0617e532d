// What the npm package gives is what the engine gives: `node module.mjs PACKAGE FOLDER`, with the models and digests that the host has.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, desk] = process.argv.slice(2);
const { load, KingletError } = await import(pathToFileURL(`${folder}/kinglet.js`));
const kinglet = await load(readFileSync(`${folder}/kinglet.wasm`));
const lines = readFileSync(`${desk}/digests`, "utf8").trim().split("\n");

for (const line of lines) {
  const [path, digest] = line.split("\t");
  const model = kinglet.open(readFileSync(path));
  assert.equal(model.digest(), digest, path);
  model.free();
}

// The predictions of the desk, one sample at a time and all at once, from two streams that share a model.
const model = kinglet.open(readFileSync(`${desk}/pump.kgl`));
const table = (name) => readFileSync(`${desk}/${name}`, "utf8").trim().split("\n").map((line) => line.split(","));
const [names, ...rows] = table("samples.csv");
const places = model.inputs.map((input) => names.indexOf(input.name));
const x = rows.map((row) => places.map((place) => Number(row[place])));
const [header, ...printed] = table("predictions.csv");
const first = header.indexOf(model.outputs[0].name);
const want = printed.map((row) => model.outputs.map((_, k) => Math.fround(Number(row[first + k]))));
const [one, all] = [model.stream(), model.stream()];
const answers = all.run(x.flat());
assert.equal(answers.length, want.length);
x.forEach((sample, t) => {
  const y = Array.from(one.step(sample));
  assert.deepEqual(y, want[t], `row ${t + 1}`);
  assert.deepEqual(Array.from(answers[t].values), y);
  assert.equal(answers[t].row, t);
});
one.reset();
assert.deepEqual(Array.from(one.step(x[0])), want[0]);

// A model that hears: the scores and alarms of the desk, whatever pieces the sound comes in.
const wakes = kinglet.open(readFileSync(`${desk}/wakes.kgl`));
assert.deepEqual(wakes.listens, { rate: 8000, frame: 256, hop: 160, bands: 12, low: 60, high: 4000 });
assert.equal(wakes.wakes, "high");
assert.equal(model.listens, null);
assert.throws(() => model.logMel(), /no front end/);
const [front, ear] = [wakes.logMel(), wakes.stream()];
const wave = readFileSync(`${desk}/beep.wav`).subarray(44);
const sound = Float32Array.from({ length: wave.length / 2 }, (_, k) => wave.readInt16LE(2 * k) / 32768);
const heard = [];
for (let at = 0; at < sound.length; at += 131) heard.push(...ear.run(front.push(sound.subarray(at, at + 131))));
const scored = table("heard.csv").slice(1).map((row) => row.slice(2).map(Number).map(Math.fround));
assert.deepEqual(heard.map(({ values, score, alarm }) => [...values, score, Number(alarm)]), scored);
assert.ok(heard.some((answer) => answer.alarm) && !heard.every((answer) => answer.alarm));
front.free();
assert.throws(() => front.push([0]), /has been freed/);
wakes.free();
ear.free();

// How its data is read.
const press = kinglet.open(readFileSync(`${desk}/press.kgl`));
assert.deepEqual(press.data, { group: "press", every: 1, missingValues: ["-200", "off"], newestFirst: false });
assert.deepEqual(model.data, { group: null, every: 1, missingValues: [], newestFirst: false });
press.free();

// What is wrong is said, and changes nothing.
assert.throws(() => kinglet.open(new Uint8Array(100)), KingletError);
assert.throws(() => kinglet.open(new ArrayBuffer(0)), KingletError);
const damaged = readFileSync(`${desk}/pump.kgl`);
damaged[damaged.length - 1] ^= 1;
assert.throws(() => kinglet.open(damaged), KingletError);
assert.throws(() => one.step([1, 2]), /a sample of 2 numbers; the model takes 6/);
assert.throws(() => one.run([1, 2, 3]), /3 numbers are no samples/);
assert.deepEqual(Array.from(one.step(x[1])), want[1]);
all.free();
assert.throws(() => all.reset(), /has been freed/);
model.free();
assert.throws(() => model.stream(), /has been freed/);
assert.deepEqual(Array.from(one.step(x[2])), want[2]);

// Memory that is freed is used again.
const file = readFileSync(`${desk}/pump.kgl`);
const used = () => process.memoryUsage().arrayBuffers + process.memoryUsage().external;
for (let n = 0; n < 200; n++) {
  const again = kinglet.open(file);
  again.stream().free();
  again.free();
}
const before = used();
for (let n = 0; n < 5000; n++) {
  const again = kinglet.open(file);
  again.stream().free();
  again.free();
}
assert.ok(used() - before < 50e6, `${used() - before} bytes more`);
console.log(`${lines.length} models have the digests of the desk, and the pump its predictions`);
