/** The order of versions is that of Semantic Versioning, and what is no version has no place in it. */

import { strictEqual } from "node:assert/strict";
import { compareVersions } from "../../lib/semver.ts";

/** From the oldest to the newest; each row holds versions of one precedence. */
const ORDER: readonly (readonly string[])[] = [
  ["0.0.0-0"],
  ["0.4.9"],
  ["0.4.10"],
  ["0.5.0-alpha"],
  ["0.5.0-alpha.1"],
  ["0.5.0-alpha.beta"],
  ["0.5.0-beta"],
  ["0.5.0-beta.2"],
  ["0.5.0-beta.11"],
  ["0.5.0-rc.1", "0.5.0-rc.1+linux"],
  ["0.5.0", "0.5.0+20261130", "0.5.0+20261201.x-1"],
  ["0.5.1-0"],
  ["0.5.1-9999999999999999999999"],
  ["0.5.1-10000000000000000000000"],
  ["0.5.1--"],
  ["0.5.1-1a"],
  ["0.5.1-A"],
  ["0.5.1-a"],
  ["0.5.1"],
  ["0.10.0"],
  ["1.0.0"],
  ["10.0.0"],
];

Deno.test("compareVersions() orders numbers as numbers, and pre-releases before their version", () => {
  for (const [place, row] of ORDER.entries()) {
    for (const [otherPlace, otherRow] of ORDER.entries()) {
      for (const one of row) {
        for (const other of otherRow) {
          strictEqual(
            Math.sign(compareVersions(one, other)!),
            Math.sign(place - otherPlace),
            `${one} and ${other}`,
          );
        }
      }
    }
  }
});

Deno.test("compareVersions() says nothing of what is no version", () => {
  const wrong = [
    "",
    "1",
    "1.2",
    "1.2.3.4",
    "v1.2.3",
    "01.2.3",
    "1.2.3-",
    "1.2.3-01",
    "1.2.3-a..b",
    "1.2.3+",
    "1.2.3\n",
  ];
  for (const text of wrong) {
    strictEqual(compareVersions(text, "1.2.3"), null, JSON.stringify(text));
    strictEqual(compareVersions("1.2.3", text), null, JSON.stringify(text));
  }
});
