/** Where a conversation is kept, and which paths are accepted for one. */

import { strictEqual } from "node:assert/strict";
import {
  isInsideProjects,
  projectFolderName,
  transcriptPath,
} from "../../../backends/claude/transcript_path.ts";

function javaHashOf(text: string): string {
  let hash = 0n;
  for (let i = 0; i < text.length; i++) hash = BigInt.asIntN(32, hash * 31n + BigInt(text.charCodeAt(i)));
  return (hash < 0n ? -hash : hash).toString(36);
}

const LONG = "/home/u/" + "ab/".repeat(70);
const LONG_EMOJI = "/home/u/" + "😀".repeat(100);

const FOLDERS: readonly [path: string, folder: string][] = [
  ["/home/u/proj", "-home-u-proj"],
  ["/", "-"],
  ["/home/u/my.app_v 2", "-home-u-my-app-v-2"],
  ["/home/u/é漢", "-home-u---"],
  ["/home/u/😀", "-home-u---"],
  ["/" + "a".repeat(199), "-" + "a".repeat(199)],
  ["/" + "a".repeat(200), "-" + "a".repeat(199) + "-" + javaHashOf("/" + "a".repeat(200))],
  [LONG, LONG.replaceAll("/", "-").slice(0, 200) + "-" + javaHashOf(LONG)],
  [LONG_EMOJI, "-home-u-" + "-".repeat(192) + "-" + javaHashOf(LONG_EMOJI)],
];

Deno.test("projectFolderName() names the folder as Claude does", () => {
  for (const [path, folder] of FOLDERS) strictEqual(projectFolderName(path), folder, path);
});

Deno.test("projectFolderName() tells long paths apart that differ behind the cut", () => {
  const a = projectFolderName(LONG + "x");
  const b = projectFolderName(LONG + "y");
  strictEqual(a.slice(0, 201), b.slice(0, 201));
  strictEqual(a === b, false);
});

Deno.test("transcriptPath() is <config>/projects/<folder>/<session>.jsonl", () => {
  strictEqual(
    transcriptPath("/home/u/.claude", "/home/u/proj", "aaaaaaaa-0001-4000-8000-000000000001"),
    "/home/u/.claude/projects/-home-u-proj/aaaaaaaa-0001-4000-8000-000000000001.jsonl",
  );
});

const PLACES: readonly [path: string, inside: boolean][] = [
  ["/c/projects/-p/a.jsonl", true],
  ["/c/projects/-p/a/subagents/b.jsonl", true],
  ["/c/projects/a.jsonl", true],
  ["/c/projects/-p/..jsonl", true],
  ["/c/projects/-p/a.json", false],
  ["/c/projects/-p/.jsonl", false],
  ["/c/projects/.jsonl", false],
  ["/c/projects", false],
  ["/c/projects/", false],
  ["/c/projectsx/-p/a.jsonl", false],
  ["/c/sessions/a.jsonl", false],
  ["/c/projects/../../etc/a.jsonl", false],
  ["/c/projects/-p/../-q/a.jsonl", false],
  ["/c/projects/./-p/a.jsonl", false],
  ["/c/projects//-p/a.jsonl", false],
  ["//c/projects/-p/a.jsonl", false],
  ["c/projects/-p/a.jsonl", false],
  ["/c/projects/-p/a\0b.jsonl", false],
  ["", false],
];

Deno.test("isInsideProjects() accepts normalised transcripts below the projects folder only", () => {
  for (const [path, inside] of PLACES) {
    strictEqual(isInsideProjects("/c", path), inside, path);
    strictEqual(isInsideProjects("/c/", path), inside, path);
  }
  strictEqual(isInsideProjects("c", "c/projects/-p/a.jsonl"), false);
});
