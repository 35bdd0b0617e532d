// The page in headless Chromium, opened as a file: `node page.mjs PAGE.html FOLDER CHROMIUM`, from where playwright-core is installed.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [page, desk, executablePath] = process.argv.slice(2);
const { chromium } = createRequire(`${process.cwd()}/`)("playwright-core");
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
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

  // What is wrong is said on the page.
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
