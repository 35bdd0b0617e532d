// The page in headless Chromium, opened as a file: `node page.mjs PAGE.html FOLDER CHROMIUM`, from where playwright-core is installed.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [page, desk, executablePath] = process.argv.slice(2);
const { chromium } = createRequire(`${process.cwd()}/`)("playwright-core");
// The microphone hears a file, over and over.
const microphone = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", `--use-file-for-fake-audio-capture=${resolve(desk, "beep.wav")}`];
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", ...microphone] });
try {
  const context = await browser.newContext({ offline: true, viewport: { width: 900, height: 1000 }, acceptDownloads: true });
  const tab = await context.newPage();
  const asked = [];
  const failures = [];
  tab.on("request", (request) => asked.push(request.url()));
  tab.on("pageerror", (error) => failures.push(error.message));
  await tab.goto(pathToFileURL(page).href);
  await tab.waitForSelector("html[data-ready]", { state: "attached" });
  const text = (id) => tab.locator(`#${id}`).textContent();
  const digests = new Map(readFileSync(`${desk}/digests`, "utf8").trim().split("\n").map((line) => line.split("\t")));
  const digest = [...digests].find(([path]) => path.endsWith("/pump.kgl"))[1];

  // The pump, live.
  await tab.click("#demo");
  await tab.waitForFunction(() => Number(document.getElementById("rows").textContent) >= 20);
  assert.equal(await text("digest"), digest);
  assert.match(await text("time"), /µs here \(kernels: wide\)/);
  await tab.screenshot({ path: `${desk}/pump.png` });
  await tab.click("#demo");

  // Files that are chosen, and predictions that are the desk's.
  const choose = (...names) => tab.setInputFiles("#files", names.map((name) => `${desk}/${name}`));
  await choose("pump.kgl", "samples.csv");
  const rows = readFileSync(`${desk}/samples.csv`, "utf8").trim().split("\n").length - 1;
  await tab.waitForFunction((rows) => document.getElementById("rows").textContent === String(rows), rows);
  const [download] = await Promise.all([tab.waitForEvent("download"), tab.click("#save")]);
  const numbers = (path) => readFileSync(path, "utf8").trim().split("\n").slice(1).map((line) => line.split(",").map(Number));
  const got = numbers(await download.path()).map((row) => row.slice(1));
  assert.deepEqual(got, numbers(`${desk}/predictions.csv`));
  await tab.screenshot({ path: `${desk}/files.png` });

  // A recording, with the scores of the desk; then the microphone.
  await choose("wakes.kgl", "beep.wav");
  await tab.waitForFunction(() => document.getElementById("heard").textContent === "high");
  const [saved] = await Promise.all([tab.waitForEvent("download"), tab.click("#save")]);
  const scores = (path, from) => readFileSync(path, "utf8").trim().split("\n").slice(1).map((line) => line.split(",").slice(from).map((x) => Math.fround(x)));
  assert.deepEqual(scores(await saved.path(), 1), scores(`${desk}/heard.csv`, 2));
  await choose("beeps.kgl", "beep.wav");
  const tokens = readFileSync(`${desk}/said.csv`, "utf8").trim().split("\n").slice(1).map((line) => line.split(",")[1]);
  assert.ok(tokens.length > 0);
  await tab.waitForFunction((tokens) => document.getElementById("heard").textContent === tokens, tokens.join(" "));
  await choose("wakes.kgl");
  await tab.click("#listen");
  await tab.waitForFunction(() => document.getElementById("heard").textContent.startsWith("high"), null, { timeout: 60000 });
  await tab.screenshot({ path: `${desk}/heard.png` });
  await tab.click("#listen");
  assert.equal(await text("listen"), "Listen");

  // The word, live.
  await tab.click("#voice");
  await tab.waitForFunction(() => Number(document.getElementById("rows").textContent.split(",")[0]) >= 100, null, { timeout: 60000 });
  assert.equal(await text("digest"), digests.get("docs/browser/keyword.kgl"));
  await tab.screenshot({ path: `${desk}/voice.png` });
  await tab.click("#listen");

  // What is wrong is said on the page.
  await choose("pump.kgl");
  const said = async (name, content, words) => {
    writeFileSync(`${desk}/${name}`, content);
    await choose(name);
    await tab.waitForFunction((words) => document.getElementById("error").textContent.includes(words), words);
  };
  await said("other.csv", "a,b\n1,2\n", 'other.csv: no column "load"; there are a, b');
  const csv = readFileSync(`${desk}/samples.csv`, "utf8").split("\n");
  await said("gap.csv", [csv[0], csv[1].replace(/^[^,]*/, "")].join("\n"), 'gap.csv, line 2: column "load" is empty');
  await said("word.csv", [csv[0], csv[1], csv[2].replace(/^[^,]*/, "much")].join("\n"), 'line 3: column "load" holds "much"');
  await said("short.csv", [csv[0], "1,2"].join("\n"), "line 2: 2 fields where the first line has 6");
  await said("no.kgl", "no model", "no.kgl: ");
  await said("short.wav", "RIFF", "short.wav: pump does not hear");
  await choose("wakes.kgl");
  await said("no.wav", "no sound", "no.wav: not a WAV file");
  await said("cut.wav", readFileSync(`${desk}/beep.wav`).subarray(0, 5000), "cut.wav: is cut");
  const fast = Buffer.from(readFileSync(`${desk}/beep.wav`));
  fast.writeUInt32LE(16000, 24);
  await said("fast.wav", fast, "fast.wav: 16000 samples a second, and 8000 are listened to");

  // What of the model's data was no number is none, and rows of two groups are no stream.
  await choose("press.kgl");
  await said("presses.csv", "press,x\n0,1\n1,2\n", 'presses.csv, line 3: another "press" than before');
  const gaps = async (name, ...values) => {
    writeFileSync(`${desk}/${name}`, `x\n${values.join("\n")}\n`);
    await choose(name);
    await tab.waitForFunction((rows) => document.getElementById("rows").textContent === String(rows), values.length);
    const [saved] = await Promise.all([tab.waitForEvent("download"), tab.click("#save")]);
    return numbers(await saved.path());
  };
  assert.deepEqual(await gaps("sentinels.csv", 1, "-200.0", "off", 3), await gaps("empty.csv", 1, "?", "na", 3));
  await choose("pump.kgl");
  await tab.screenshot({ path: `${desk}/error.png` });

  // On a phone.
  await tab.setViewportSize({ width: 360, height: 780 });
  await choose("pump.kgl", "samples.csv");
  await tab.waitForFunction(() => document.getElementById("error").textContent === "");
  assert.ok(await tab.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page is wider than the screen");
  await tab.screenshot({ path: `${desk}/phone.png` });

  assert.deepEqual(failures, []);
  assert.deepEqual(asked.filter((url) => !/^(file|blob|data):/.test(url)), []);
  console.log(`the page has the digest ${digest} and the desk's predictions, and asked nobody`);
} finally {
  await browser.close();
}
