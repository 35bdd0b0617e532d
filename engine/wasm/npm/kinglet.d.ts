/** A column of samples or answers. */
export interface Column {
  readonly name: string;
  /** "" where none is known. */
  readonly unit: string;
}

/** What came with a sample. */
export interface Answer {
  /** Which sample of those that were passed, from 0. */
  readonly row: number;
  /** The outputs, in the units of `Model.outputs`, or a score per class or token. */
  readonly values: Float32Array;
  /** Of a model that watches for anomalies: the smoothed error of its predictions; else NaN. */
  readonly score: number;
  /** The score is above the model's threshold. */
  readonly alarm: boolean;
}

/** What is wrong with a file or a sample. */
export class KingletError extends Error {}

/** One stream of a model: its state. */
export class Stream {
  /** Takes a sample of `Model.inputs.length` numbers, or a token; null while a window is not complete. */
  step(sample: ArrayLike<number> | number): Float32Array | null;
  /** Takes samples one after the other, as one row-major array. */
  run(samples: ArrayLike<number>): Answer[];
  /** Starts anew. */
  reset(): void;
  /** Gives the memory back. */
  free(): void;
}

/** A model file. */
export class Model {
  readonly name: string;
  /** "f32", "f16", "w8a16", "w8a8", "w4a8" or "mixed". */
  readonly format: string;
  readonly inputs: readonly Column[];
  readonly outputs: readonly Column[];
  /** What an answer holds: numbers, a score per class, or one per next token. */
  readonly answers: "values" | "classes" | "tokens";
  /** A sample is a token, the place of a name in `inputs`. */
  readonly takesTokens: boolean;
  /** It watches for anomalies. */
  readonly watches: boolean;
  /** A gap (NaN) repeats the number before it; other models answer NaN from there on. */
  readonly holds: boolean;
  /** Samples per answer; null if every sample is answered. */
  readonly window: number | null;
  /** Samples from one answer to the next. */
  readonly hop: number;
  readonly stateBytes: number;
  readonly flashBytes: number;
  /** Multiplications in a step. */
  readonly macs: number;
  /** Checksum of the file, as `kinglet inspect` shows it. */
  readonly crc: string;
  /** The table of kernels that is used. */
  readonly kernels: string;
  /** Digest of the test steps in the file, run here, as `kinglet verify` prints it. */
  digest(): string;
  /** A new stream, from a reset on. */
  stream(): Stream;
  /** Gives the memory back; streams go on. */
  free(): void;
}

/** The module. */
export class Kinglet {
  /** Opens the bytes of a model file. */
  open(file: ArrayBuffer | Uint8Array): Model;
}

/** Makes a module of the bytes of kinglet.wasm, or of what `fetch` gives for it. */
export function load(wasm: BufferSource | Response | PromiseLike<BufferSource | Response>): Promise<Kinglet>;
