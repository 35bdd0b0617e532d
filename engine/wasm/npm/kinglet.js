// The interface of kinglet.wasm: what is passed is written into the module's inbox, and results are read from its outbox.

export class KingletError extends Error {
  name = "KingletError";
}

const text = new TextDecoder();
const utf8 = new TextEncoder();

const floats = (numbers) => (numbers instanceof Float32Array ? numbers : Float32Array.from(numbers));

class Calls {
  #exports;

  constructor(exports) {
    this.#exports = exports;
  }

  /** Writes bytes or numbers of 32 bits where the module reads them. */
  pass(values) {
    const at = this.#exports.inbox(values.byteLength);
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    new Uint8Array(this.#exports.memory.buffer, at, bytes.length).set(bytes);
  }

  /** Calls a function, whose result is negative for an error. */
  call(name, ...numbers) {
    const result = this.#exports[name](...numbers);
    if (result < 0) throw new KingletError(this.text());
    return result;
  }

  /** A copy of the outbox. */
  bytes() {
    const at = this.#exports.outbox();
    return this.#exports.memory.buffer.slice(at, at + this.#exports.outbox_len());
  }

  text() {
    return text.decode(this.bytes());
  }
}

export class Stream {
  #calls;
  #stream;
  #model;

  constructor(calls, stream, model) {
    this.#calls = calls;
    this.#stream = stream;
    this.#model = model;
  }

  step(sample) {
    const values = typeof sample === "number" ? [sample] : sample;
    const width = this.#model.takesTokens ? 1 : this.#model.inputs.length;
    if (values.length !== width) {
      throw new KingletError(`a sample of ${values.length} numbers; the model takes ${width}`);
    }
    const [answer] = this.run(values);
    return answer ? answer.values : null;
  }

  run(samples) {
    this.#calls.pass(floats(samples));
    const answers = this.#calls.call("run_stream", this.#stream);
    const [bytes, outputs] = [this.#calls.bytes(), this.#model.outputs.length];
    const [whole, real] = [new Uint32Array(bytes), new Float32Array(bytes)];
    return Array.from({ length: answers }, (_, k) => {
      const at = k * (outputs + 3);
      return {
        row: whole[at],
        values: real.slice(at + 1, at + 1 + outputs),
        score: real[at + 1 + outputs],
        alarm: whole[at + 2 + outputs] === 1,
      };
    });
  }

  reset() {
    this.#calls.call("reset_stream", this.#stream);
  }

  free() {
    this.#calls.call("free_stream", this.#stream);
    this.#stream = -1;
  }
}

/** What a model file says in TOML about the data that it was trained on: the trainer writes a key and its value a line, and of texts only
 * those in single quotation marks are not as in JSON. What is more than a line is left out. */
function parse(toml) {
  const root = {};
  let table = root;
  for (const line of toml.split("\n")) {
    const [, name] = line.match(/^\[(\w+)\]$/) ?? [];
    const [, key, value] = line.match(/^(\w+) = (.*)$/) ?? [];
    if (name) table = root[name] = {};
    if (!key) continue;
    const literal = value.match(/^'([^']*)'$/);
    try {
      table[key] = literal ? literal[1] : JSON.parse(value);
    } catch {
      // Nothing that this interface tells.
    }
  }
  return root;
}

/** Of a front end; without an upper end that is half the rate. */
const settings = ({ rate, frame, hop, bands, low, high = rate / 2 }) => ({ rate, frame, hop, bands, low, high });

export class LogMel {
  #calls;
  #front;

  constructor(calls, { rate, frame, hop, bands, low, high }) {
    this.#calls = calls;
    calls.pass(Float32Array.of(rate, frame, hop, bands, low, high));
    this.#front = calls.call("open_front");
  }

  push(sound) {
    this.#calls.pass(floats(sound));
    this.#calls.call("hear", this.#front);
    return new Float32Array(this.#calls.bytes());
  }

  reset() {
    this.#calls.call("reset_front", this.#front);
  }

  free() {
    this.#calls.call("free_front", this.#front);
    this.#front = -1;
  }
}

export class Model {
  #calls;
  #model;

  constructor(calls, model) {
    this.#calls = calls;
    this.#model = model;
    calls.call("about_model", model);
    const { written, ...about } = JSON.parse(calls.text());
    const { audio, wake = null, rate = null, group = null, every = 1, format = {} } = parse(written);
    const data = { group, every, missingValues: format.missing_values ?? [], newestFirst: format.newest_first ?? false };
    Object.assign(this, about, { listens: audio ? settings(audio) : null, wakes: wake, rate, data });
    this.watches ||= this.wakes !== null;
  }

  digest() {
    this.#calls.call("digest", this.#model);
    return this.#calls.text();
  }

  logMel() {
    if (!this.listens) throw new KingletError("the model has no front end: its samples are no rows of log-mel energies");
    return new LogMel(this.#calls, this.listens);
  }

  stream() {
    this.#calls.pass(utf8.encode(this.wakes ?? ""));
    return new Stream(this.#calls, this.#calls.call("open_stream", this.#model), this);
  }

  free() {
    this.#calls.call("free_model", this.#model);
    this.#model = -1;
  }
}

export class Kinglet {
  #calls;

  constructor(exports) {
    this.#calls = new Calls(exports);
  }

  open(file) {
    this.#calls.pass(file instanceof ArrayBuffer ? new Uint8Array(file) : file);
    return new Model(this.#calls, this.#calls.call("open_model"));
  }
}

export async function load(wasm) {
  const source = await wasm;
  const bytes = typeof Response !== "undefined" && source instanceof Response ? await source.arrayBuffer() : source;
  const { instance } = await WebAssembly.instantiate(bytes, {});
  return new Kinglet(instance.exports);
}
