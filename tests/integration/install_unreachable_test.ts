/** install.sh --from-source where Deno's server of runtimes never answers: it can be stopped, and it ends by itself. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox } from "../support/harness.ts";
import { SHELLS } from "../support/installer.ts";
import { SilentProxy } from "../support/silent_proxy.ts";
import { SourceInstall } from "../support/source_install.ts";

/** A folder of Deno's that has what the bundle takes, and no runtime. */
async function withoutRuntime({ sandbox, checkout }: SourceInstall): Promise<string> {
  const whole = sandbox.env["DENO_DIR"] ?? "";
  const folder = await sandbox.folder("deno");
  await Deno.symlink(join(whole, "npm"), join(folder, "npm"));
  await Deno.mkdir(join(folder, "dl"));
  for (const { name } of await Array.fromAsync(Deno.readDir(join(whole, "dl"))).catch(() => [])) {
    if (name.startsWith("esbuild")) await Deno.symlink(join(whole, "dl", name), join(folder, "dl", name));
  }
  const bundling = sandbox.spawn(Deno.execPath(), ["run", "-A", "build/bundle.ts", "dist"], {
    cwd: checkout,
    env: { DENO_DIR: folder },
  });
  const { code, stderr } = await bundling.doneWithin(60_000, "the bundle");
  strictEqual(code, 0, stderr);
  return folder;
}

Deno.test("install.sh --from-source where the server of runtimes never answers", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const source = new SourceInstall(sandbox);
  await source.copyCheckout();
  const denoFolder = await withoutRuntime(source);
  const temporary = await sandbox.folder("tmp");
  const env = {
    DENORT_BIN: undefined,
    DENO_DIR: denoFolder,
    DEV_SESSIONS_DENO: Deno.execPath(),
    TMPDIR: temporary,
    NO_PROXY: undefined,
    no_proxy: undefined,
  };
  const nothingIsLeft = async () => {
    await sandbox.eventually(async () => (await sandbox.processesOf()).length === 0, {
      what: "all that the installer has started has ended",
    });
    deepStrictEqual([...Deno.readDirSync(temporary)], []);
    deepStrictEqual([...Deno.readDirSync(sandbox.home)].map(({ name }) => name), []);
  };

  for (
    const [name, refusals] of [["that answer is awaited", 0], ["deno compile downloads", 1]] as const
  ) {
    await t.step(`SIGTERM while ${name} ends everything and leaves nothing`, async () => {
      await using proxy = new SilentProxy(refusals);
      const running = source.startInstall(SHELLS.dash, ["--from-source"], { ...env, HTTPS_PROXY: proxy.url });
      await sandbox.eventually(() => proxy.held > 0, { what: "the download hangs", timeoutMs: 60_000 });
      const compiling = (await sandbox.processesOf()).some(({ command }) =>
        / compile --no-code/.test(command)
      );
      strictEqual(compiling, refusals > 0);
      running.kill("SIGTERM");
      const { code, stderr } = await running.doneWithin(10_000, "the stopped installer");
      deepStrictEqual([code, stderr], [143, "install.sh: stopped; nothing was changed\n"]);
      await nothingIsLeft();
    });
  }

  await t.step("it does not wait for ever, and installs a launcher", async () => {
    await using proxy = new SilentProxy();
    const { code, stdout, stderr } = await source.install(SHELLS["busybox sh"], ["--from-source"], {
      ...env,
      HTTPS_PROXY: proxy.url,
      DEV_SESSIONS_TEST_ANSWER_MS: "1500",
    });
    strictEqual(code, 0, stderr);
    match(stdout, /^Not compiled: https:\/\/dl\.deno\.land has not answered within 1\.5 s$/m);
    match(stdout, /^It is a launcher: /m);
    ok(proxy.held > 0);
    strictEqual((await source.run("--version")).code, 0);
  });
});
