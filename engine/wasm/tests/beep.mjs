// Two seconds of noise, a high beep, and noise: `node beep.mjs OUT.wav`, 8,000 samples of 16 bits a second.
import { writeFileSync } from "node:fs";

const rate = 8000;
const length = 5 * rate;
const file = Buffer.alloc(44 + 2 * length);
file.write("RIFF");
file.writeUInt32LE(36 + 2 * length, 4);
file.write("WAVEfmt ", 8);
file.writeUInt32LE(16, 16);
[1, 1].forEach((value, k) => file.writeUInt16LE(value, 20 + 2 * k));
[rate, 2 * rate].forEach((value, k) => file.writeUInt32LE(value, 24 + 4 * k));
[2, 16].forEach((value, k) => file.writeUInt16LE(value, 32 + 2 * k));
file.write("data", 36);
file.writeUInt32LE(2 * length, 40);
let state = 1;
for (let k = 0; k < length; k++) {
  // Lehmer 1951, Park and Miller 1988.
  state = (state * 16807) % 2147483647;
  const noise = 1638 * (state / 2147483647 - 0.5);
  const beep = k >= 2 * rate && k < 2 * rate + 1000 ? 13107 * Math.sin((2 * Math.PI * 1600 * k) / rate) : 0;
  file.writeInt16LE(Math.round(beep + noise), 44 + 2 * k);
}
writeFileSync(process.argv[2], file);
