/** The command line of the compilation, and for which platform a runtime is. */

import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { ANSWER_TIMEOUT_MS, parseArguments, platformOf, TARGETS } from "../../build/compile.ts";

function header(...bytes: number[]): Uint8Array {
  const whole = new Uint8Array(20);
  whole.set(bytes);
  return whole;
}
function elf(machine: number, bits = 2, order = 1): Uint8Array {
  const whole = header(0x7f, 0x45, 0x4c, 0x46, bits, order);
  whole[18] = machine;
  return whole;
}

Deno.test("platformOf() knows the four targets by their headers, and nothing else", () => {
  const table: [name: string, header: Uint8Array, target: string | null][] = [
    ["ELF x86-64", elf(62), TARGETS[0]],
    ["ELF aarch64", elf(183), TARGETS[1]],
    ["Mach-O x86-64", header(0xcf, 0xfa, 0xed, 0xfe, 7, 0, 0, 1), TARGETS[2]],
    ["Mach-O arm64", header(0xcf, 0xfa, 0xed, 0xfe, 12, 0, 0, 1), TARGETS[3]],
    ["ELF riscv", elf(243), null],
    ["ELF, 32 bits", elf(62, 1), null],
    ["ELF, big-endian", elf(62, 2, 2), null],
    ["a script", new TextEncoder().encode("#!/bin/sh\nexec deno run main.js\n"), null],
    ["nothing", new Uint8Array(), null],
    ["too short", elf(62).subarray(0, 19), null],
  ];
  for (const [name, bytes, target] of table) strictEqual(platformOf(bytes), target, name);
});

Deno.test("parseArguments() takes targets in order and once", () => {
  const bundle = Deno.cwd();
  const answerTimeoutMs = ANSWER_TIMEOUT_MS;
  const base = { targets: null, bundle, output: "release", runtime: null, answerTimeoutMs, standIn: false };
  const table: [args: string[], env: Record<string, string>, expected: object][] = [
    [[], {}, base],
    [["--target", TARGETS[3], `--target=${TARGETS[0]}`, "--target", TARGETS[3]], {}, {
      ...base,
      targets: [TARGETS[3], TARGETS[0]],
    }],
    [["--output=out put"], {}, { ...base, output: "out put" }],
    [[], { DEV_SESSIONS_TEST_ANSWER_MS: "100" }, { ...base, answerTimeoutMs: 100 }],
    [[], { DENORT_BIN: "/opt/denort" }, { ...base, runtime: "/opt/denort" }],
    [[], { DENORT_BIN: "" }, base],
    [["--stand-in"], {}, { ...base, standIn: true, runtime: Deno.execPath() }],
    [["--stand-in"], { DENORT_BIN: "/opt/deno" }, { ...base, standIn: true, runtime: "/opt/deno" }],
  ];
  for (const [args, env, expected] of table) {
    deepStrictEqual(parseArguments(["--bundle", bundle, ...args], env), expected);
  }
  for (const args of [["--target"], ["--output="], ["dist"], ["--stand-in=yes"]]) {
    throws(() => parseArguments(["--bundle", bundle, ...args], {}), /^Error: Usage: deno task compile/);
  }
});
