// Debian's browser.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { chromium } from "playwright-core";

/** Starts it; whoever does closes it. */
export function launch(options) {
  const folders = process.env.PATH.split(path.delimiter);
  const found = folders.map((folder) => path.join(folder, "chromium")).find((file) => fs.existsSync(file));
  assert.ok(found, "there is no chromium: sudo apt-get install chromium");
  return chromium.launch({ executablePath: found, timeout: 60_000, ...options });
}
