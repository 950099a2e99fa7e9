// Debian's Chromium, driven by playwright-core.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { chromium } from "playwright-core";

function browserBinary() {
  const folders = process.env.PATH.split(path.delimiter);
  const found = folders.map((folder) => path.join(folder, "chromium")).find((file) => fs.existsSync(file));
  assert.ok(found, "there is no chromium: sudo apt-get install chromium");
  return found;
}

export function launchBrowser() {
  return chromium.launch({ executablePath: browserBinary(), timeout: 60_000 });
}
