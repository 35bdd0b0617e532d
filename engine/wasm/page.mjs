// Puts the page together, in one file that can be opened where it lies: `node page.mjs KINGLET.wasm PAGE.html`.
import { readFileSync, writeFileSync } from "node:fs";

const root = new URL("../../", import.meta.url);
const read = (path) => readFileSync(new URL(path, root));
const [wasm, page] = process.argv.slice(2);
const parts = {
  "kinglet.js": read("engine/wasm/npm/kinglet.js").toString().replaceAll(/^export /gm, ""),
  "kinglet.wasm": readFileSync(wasm).toString("base64"),
  "pump.kgl": read("firmware-example/model/pump.kgl").toString("base64"),
  "keyword.kgl": read("docs/browser/keyword.kgl").toString("base64"),
  "samples.csv": read("firmware-example/model/samples.csv").toString(),
};
const html = read("docs/browser/page.html").toString();
writeFileSync(page, html.replaceAll(/\/\* (kinglet\.js|kinglet\.wasm|pump\.kgl|keyword\.kgl|samples\.csv) \*\//g, (_, name) => parts[name]));
