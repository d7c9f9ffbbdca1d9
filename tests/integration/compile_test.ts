/**
 * What is built is the whole program and nothing else: each module of the bundle finds those it imports, and the
 * compiled file holds exactly the bundle, with all permissions, no prompts and no code cache. The compiled file is made
 * with Deno itself in the place of the runtime, so it can be read here, but not run as dev-sessions.
 */

import { deepStrictEqual, doesNotMatch, match, ok, rejects, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { bundle } from "../../build/bundle.ts";
import {
  ANSWER_TIMEOUT_MS,
  compile,
  type CompileOptions,
  RuntimeUnavailableError,
  type Target,
} from "../../build/compile.ts";
import { faultsOf, inspect, type Inspection } from "../../build/inspect.ts";
import { LAYERS } from "../../build/layers.ts";
import { VERSION } from "../../lib/version.ts";
import { step } from "../support/live_session.ts";
import { tinyProgram } from "../support/tiny_program.ts";

const CHECKOUT = join(import.meta.dirname ?? "", "..", "..");
const HOST = Deno.build.target as Target;

async function names(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
}

/** Runs `deno task compile` without the bundling. */
async function compileTask(args: readonly string[], runtime: string | null) {
  const { DENORT_BIN: _, ...env } = Deno.env.toObject();
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", join(CHECKOUT, "build", "compile.ts"), ...args],
    cwd: CHECKOUT,
    clearEnv: true,
    env: { ...env, NO_COLOR: "1", ...(runtime === null ? {} : { DENORT_BIN: runtime }) },
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

Deno.test("the bundle and what is compiled from it", async (t) => {
  const root = await Deno.realPath(await Deno.makeTempDir({ prefix: "ds-build" }));
  const folder = join(root, "dist");
  const output = join(root, "out");
  const options: CompileOptions = {
    targets: null,
    bundle: folder,
    output,
    runtime: Deno.execPath(),
    answerTimeoutMs: ANSWER_TIMEOUT_MS,
    standIn: true,
  };
  try {
    await bundle(folder);

    await step(
      t,
      "every import of the bundle names a file of the bundle, and none is read before it is reached",
      async () => {
        const files = new Set(await names(folder));
        let [lazy, eagerly] = [0, 0];
        for (const file of files) {
          match(file, /^[\w.-]+\.js$/);
          const text = await Deno.readTextFile(join(folder, file));
          const computed = [...text.matchAll(/\bimport\(String\(['"]\.\/([^'"]+)['"]\)\)/g)];
          const eager = [...text.matchAll(/^(?:import|export|\}).*['"]([^'"]+)['"];$/gm)];
          strictEqual(
            text.match(/\bimport\((?!['"]node:)/g)?.length ?? 0,
            computed.length,
            `${file} has another kind of import`,
          );
          for (const [, name = ""] of computed) ok(files.has(name), `${file} imports ${name}`);
          for (const [, path = ""] of eager) {
            if (path.startsWith("./")) ok(files.has(path.slice(2)), `${file} imports ${path}`);
            else match(path, /^node:/);
          }
          eagerly += eager.length;
          lazy += computed.length;
        }
        ok(lazy > 20 && eagerly > 100, `${lazy} lazy imports, ${eagerly} others`);
        ok(files.has("main.js"));
      },
    );

    await step(
      t,
      "each stage of a command is one file, and nothing waits for the program itself",
      async () => {
        const files = await names(folder);
        for (const { name } of LAYERS) {
          const found = files.filter((file) => new RegExp(`^${name}-[\\w-]{8}\\.js$`).test(file));
          strictEqual(found.length, 1, `${name}: ${found}`);
        }
        for (const file of files) {
          doesNotMatch(await Deno.readTextFile(join(folder, file)), /['"]\.\/main\.js['"]/, file);
        }
      },
    );

    await step(
      t,
      "what a function holds for its time only (using) is held so in the bundle, too",
      async () => {
        const declarations = /^\s*(?:await )?using \w+ = /gm;
        const count = async (paths: readonly string[]) => {
          const texts = await Promise.all(paths.map((path) => Deno.readTextFile(path)));
          return texts.reduce((sum, text) => sum + (text.match(declarations)?.length ?? 0), 0);
        };
        const info = await new Deno.Command(Deno.execPath(), {
          args: ["info", "--json", join(CHECKOUT, "main.ts")],
          cwd: CHECKOUT,
        }).output();
        const { modules } = JSON.parse(new TextDecoder().decode(info.stdout));
        const own = modules.flatMap(({ local }: { local?: string }) => local?.endsWith(".ts") ? [local] : []);
        const expected = await count(own);
        ok(expected > 20, `${expected} declarations`);
        strictEqual(await count((await names(folder)).map((name) => join(folder, name))), expected);
      },
    );

    let found: Inspection | undefined;
    await step(
      t,
      "the compiled file is exactly the bundle, with all permissions and without prompts or code cache",
      async () => {
        const [product, ...others] = await compile(options);
        deepStrictEqual(others, []);
        strictEqual(product?.proof, "stand_in");
        deepStrictEqual(
          await names(output),
          [`stand-in-${HOST}`],
          "no name of a working executable, no checksum",
        );
        found = await inspect(product.path);
        const { files, ...rest } = found;
        deepStrictEqual(rest, {
          version: VERSION,
          argv: [],
          env: {},
          allowsEverything: true,
          prompts: false,
          codeCache: false,
          main: "main.js",
          foreignCode: false,
        });
        deepStrictEqual(
          [...files.keys()].sort(),
          await names(folder),
        );
        const main = new TextDecoder().decode(files.get("main.js"));
        strictEqual(main, await Deno.readTextFile(join(folder, "main.js")));
        ok([...files.values()].some((bytes) => new TextDecoder().decode(bytes).includes(`"${VERSION}"`)));
        deepStrictEqual(await faultsOf(found, folder, VERSION), []);
      },
    );

    await step(t, "an inspection tells what is wrong", async () => {
      ok(found !== undefined);
      const without = new Map([...found.files].slice(1));
      const changed = new Map(found.files).set("main.js", new Uint8Array([1]));
      const more = new Map(found.files).set("tests/x_test.ts", new Uint8Array());
      const first = [...found.files.keys()][0];
      const table: [Partial<Inspection>, string][] = [
        [{ version: "0.0.1" }, `its version is 0.0.1, not ${VERSION}`],
        [{ allowsEverything: false }, "it lacks permissions"],
        [{ prompts: true }, "it would prompt"],
        [{ codeCache: true }, "it would write a code cache"],
        [{ env: { A: "1" } }, "arguments or variables are baked in"],
        [{ argv: ["x"] }, "arguments or variables are baked in"],
        [{ foreignCode: true }, "npm packages or remote modules are embedded"],
        [{ files: without }, `${first} is not embedded`],
        [{ files: changed }, "main.js is embedded with other content"],
        [{ files: more }, "tests/x_test.ts is embedded, too"],
      ];
      for (const [wrong, fault] of table) {
        deepStrictEqual(await faultsOf({ ...found, ...wrong }, folder, VERSION), [fault]);
      }
      await rejects(inspect(Deno.execPath()), /deno compile has put nothing into it/);
    });

    await step(t, "other flags of deno compile are seen in the compiled file", async () => {
      const path = join(root, "other");
      const flags = ["--allow-read=/tmp", "--deny-run", "--env-file=.env", "--output", path];
      await Deno.writeTextFile(join(root, ".env"), "BAKED=in\n");
      await Deno.writeTextFile(join(root, "deno.json"), `{"version":"0.0.1"}`);
      const { code, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["compile", ...flags, join(folder, "main.js"), "an argument"],
        cwd: root,
        env: { DENORT_BIN: Deno.execPath() },
        stdout: "null",
        stderr: "piped",
      }).output();
      strictEqual(code, 0, new TextDecoder().decode(stderr));
      const { files, ...rest } = await inspect(path);
      deepStrictEqual(rest, {
        version: "0.0.1",
        argv: ["an argument"],
        env: { BAKED: "in" },
        allowsEverything: false,
        prompts: true,
        codeCache: true,
        main: rest.main,
        foreignCode: false,
      });
      ok(files.size < found!.files.size, "lazily imported modules are embedded only when they are named");
    });

    await step(t, "what answers as it should gets its name and its checksum", async () => {
      // The runtime's part is played by a program of a few bytes, which exists for one platform.
      if (HOST !== "x86_64-unknown-linux-gnu") return;
      const released = join(root, "released");
      const runtime = join(root, "tiny");
      const compileWith = async (version: string, answer: string) => {
        await Deno.writeFile(runtime, tinyProgram(version, answer), { mode: 0o755 });
        return await compile({ ...options, output: released, runtime, standIn: false });
      };
      const compiled = (version: string) => JSON.stringify({ version, build: "compiled" });
      for (
        const [version, answer] of [
          [VERSION, "error: Module not found"],
          [VERSION, JSON.stringify({ version: VERSION, build: "bundle" })],
          [VERSION, compiled("0.0.1")],
          ["0.0.1", compiled(VERSION)],
        ] as const
      ) {
        await rejects(compileWith(version, answer), /the product answers --version with: /);
        deepStrictEqual(await names(released), []);
      }
      const name = `dev-sessions-${HOST}`;
      deepStrictEqual(await compileWith(VERSION, compiled(VERSION)), [
        { target: HOST, path: join(released, name), proof: "runs" },
      ]);
      deepStrictEqual(await names(released), ["SHA256SUMS", name]);
      strictEqual((await Deno.stat(join(released, name))).mode! & 0o777, 0o755);
      match(await Deno.readTextFile(join(released, "SHA256SUMS")), new RegExp(`^[0-9a-f]{64}  ${name}\n$`));
      const { code } = await new Deno.Command("sha256sum", {
        args: ["-c", "SHA256SUMS"],
        cwd: released,
        stdout: "null",
      })
        .output();
      strictEqual(code, 0);
    });

    await step(t, "a failed compilation leaves what was there", async () => {
      const there = join(output, `dev-sessions-${HOST}`);
      await Deno.writeTextFile(there, "of yesterday");
      const before = await names(output);
      await rejects(compile({ ...options, standIn: false }), (error: Error) => {
        ok(error instanceof RuntimeUnavailableError);
        match(error.message, /is Deno itself, not its runtime for compiled programs/);
        return true;
      });
      await rejects(compile({ ...options, runtime: "/bin/sh" }), /Cannot compile dev-sessions for/);
      deepStrictEqual(await names(output), before);
      strictEqual(await Deno.readTextFile(there), "of yesterday");
    });

    await step(t, "a call that can't be carried out says why, and what to do", async () => {
      const deno = Deno.execPath();
      const other = HOST === "aarch64-apple-darwin" ? "x86_64-apple-darwin" : "aarch64-apple-darwin";
      const calls: [args: string[], runtime: string | null, code: number, stderr: RegExp][] = [
        [
          ["--target", HOST],
          deno,
          69,
          /DENORT_BIN=.* is Deno itself, .* Set DENORT_BIN to a denort, or unset it/,
        ],
        [["--target", other], deno, 1, /it is for .* alone. Name it with --target /],
        [["--target", "z80"], null, 1, /Cannot compile for "z80": it is none of x86_64-unknown-linux-gnu, /],
        [[], "/nowhere/denort", 1, /Cannot compile with DENORT_BIN=\/nowhere\/denort: there is no such file/],
        [[], join(CHECKOUT, "deno.json"), 1, /it is no executable for/],
        [["--what"], null, 1, /^Usage: deno task compile/],
        [["--output"], null, 1, /^Usage: deno task compile/],
      ];
      for (const [args, runtime, code, stderr] of calls) {
        const said = await compileTask([
          "--bundle",
          folder,
          ...args,
          ...(args[0] === "--output" ? [] : ["--output", output]),
        ], runtime);
        match(said.stderr, stderr);
        strictEqual(said.code, code, args.join(" "));
        strictEqual(said.stdout, "");
      }
      const said = await compileTask(["--bundle", folder, "--output", output, "--stand-in"], null);
      strictEqual(said.code, 0, said.stderr);
      match(said.stdout, /: NOT a working dev-sessions, it starts Deno; what is embedded is right\n$/);
    });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
