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
  /** Of a model that watches for anomalies the smoothed error of its predictions, of one that waits for a word its smoothed probability;
   * else NaN. */
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

/** What a model hears sound through. */
export interface Listens {
  /** Samples of sound a second. */
  readonly rate: number;
  /** Samples of a frame. */
  readonly frame: number;
  /** Samples from one frame to the next. */
  readonly hop: number;
  /** Numbers of a row. */
  readonly bands: number;
  /** Where the lowest band begins, in Hz. */
  readonly low: number;
  /** Where the highest one ends, in Hz. */
  readonly high: number;
}

/** How a table is read. */
export interface Data {
  /** The column that says what a row belongs to: all rows with one text in it are a stream of their own. */
  readonly group: string | null;
  /** Of a group the first of so many rows is taken. */
  readonly every: number;
  /** What stands for a missing value beside empty fields: pass NaN for it. */
  readonly missingValues: readonly string[];
  /** The last row is the oldest one. */
  readonly newestFirst: boolean;
}

/** The front end of a model that listens: rows of log-mel energies from sound, the bytes of the device. */
export class LogMel {
  /** Takes sound at `Listens.rate`, whose full scale is 1; gives the rows of the frames that end in it, one after the other, as
   * `Stream.run` takes them. */
  push(sound: ArrayLike<number>): Float32Array;
  /** Starts anew, in silence. */
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
  /** It watches for anomalies, or waits for a word. */
  readonly watches: boolean;
  /** A gap (NaN) repeats the number before it; in other models it enters as the middle of its column. */
  readonly holds: boolean;
  /** Samples per answer; null if every sample is answered. */
  readonly window: number | null;
  /** Samples from one answer to the next. */
  readonly hop: number;
  /** What it hears sound through; null if a sample is something else. */
  readonly listens: Listens | null;
  /** The word that it waits for, one of its classes. */
  readonly wakes: string | null;
  /** Samples a second, of a model whose samples are those of sound themselves. */
  readonly rate: number | null;
  /** How the table is read that the model was trained on, which `kinglet predict` does and a stream leaves to its caller. */
  readonly data: Data;
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
  /** A new front end. Throws if the model `listens` to nothing. */
  logMel(): LogMel;
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
