/** What install.sh does and says once the executable stands: PATH, tmux, skills, service; and how it removes it all. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { stamped } from "../../lib/skills.ts";
import { testAtOnce } from "../support/concurrent_steps.ts";
import { INSTALL_SH, Installer, type Shell, SHELLS, type StandIn, standIn } from "../support/installer.ts";

const VERSION = "1.2.3";

async function published(shell: Shell, stand: Partial<StandIn> = {}, home?: string): Promise<Installer> {
  const installer = await Installer.create(shell, home);
  await installer.server.publish(VERSION, standIn({ version: VERSION, ...stand }));
  return installer;
}

/** With everything in place to be removed. */
async function inPlace(shell: Shell, stand: Partial<StandIn> = {}): Promise<Installer> {
  const installer = await Installer.create(shell);
  await installer.installed({ version: VERSION, ...stand });
  return installer;
}

const OLD_GATEWAY = /^The gateway runs the version before until you run: dev-sessions gateway install$/m;

/** The gateway is a service, which runs this program. @returns its definition. */
async function serviceOf(installer: Installer, program: string): Promise<string> {
  const units = join(installer.home, ".config", "systemd", "user");
  const file = join(units, "dev-sessions-gateway.service");
  await Deno.mkdir(units, { recursive: true });
  await Deno.writeTextFile(file, `ExecStart="${program}" "gateway"\n`);
  return file;
}

/** @returns the files of skills of ours; there is one of the person's own, too. */
async function skillsOf(installer: Installer): Promise<string[]> {
  const skill = async (agent: string, name: string, text: string) => {
    const folder = join(installer.home, agent, "skills", name);
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(join(folder, "SKILL.md"), text);
    return join(folder, "SKILL.md");
  };
  const ours = await stamped("our words\n");
  const files = [await skill(".claude", "delegate", ours), await skill(".codex", "handoff", ours)];
  await skill(".claude", "mine", "my words\n");
  return files;
}

testAtOnce("install.sh and the skills and the service, without a terminal", {
  "nothing is asked or done unasked": async () => {
    await using installer = await published(SHELLS.dash, { skills: true, gateway: true });
    const { code, stdout } = await installer.run();
    strictEqual(code, 0);
    match(stdout, /^Skills that teach your agents to use it: dev-sessions install-skill$/m);
    deepStrictEqual(await installer.calls(), []);
  },
  "--yes installs the skills and no service": async () => {
    await using installer = await published(SHELLS["busybox sh"], { skills: true, gateway: true });
    strictEqual((await installer.run(["--yes"])).code, 0);
    deepStrictEqual(await installer.calls(), ["install-skill"]);
  },
  "--yes --no-skills --service": async () => {
    await using installer = await published(SHELLS.dash, { skills: true, gateway: true });
    strictEqual((await installer.run(["--yes", "--no-skills", "--service"])).code, 0);
    deepStrictEqual(await installer.calls(), ["gateway install"]);
  },
  "skills and a service that fail leave the executable, and are told": async () => {
    await using installer = await published(SHELLS.dash, { skills: true, gateway: true, failing: true });
    const { code, stderr } = await installer.run(["--yes", "--service"]);
    strictEqual(code, 1);
    match(stderr, /^install\.sh: dev-sessions is installed, but not all of its skills are, see above\.$/m);
    match(
      stderr,
      /^install\.sh: dev-sessions is installed, but its service is not, see above\. Then: dev-sessions /m,
    );
    strictEqual(
      (await installer.sandbox.spawn(installer.executable, ["--version"]).done()).stdout,
      `${VERSION}\n`,
    );
  },
  "a version that has neither": async () => {
    await using installer = await published(SHELLS["busybox sh"]);
    const { code, stdout, stderr } = await installer.run(["--yes", "--service"]);
    strictEqual(code, 1);
    match(stdout, /^Version 1\.2\.3 has no skills to install\.$/m);
    match(
      stderr,
      /version 1\.2\.3 has no command "gateway install", so there is no service\. Start the gateway yourself/,
    );
    deepStrictEqual(await installer.calls(), []);
  },
  "a service of the version before is named": async () => {
    await using installer = await published(SHELLS.dash, { gateway: true });
    await serviceOf(installer, installer.executable);
    const { stdout } = await installer.run();
    match(stdout, OLD_GATEWAY);
    deepStrictEqual(await installer.calls(), []);
  },
});

/** Runs the installer in a terminal, typing an answer whenever a question appears; returns the screen. */
async function atTerminal(
  installer: Installer,
  command: string,
  answers: readonly (readonly [question: RegExp, answer: string])[],
): Promise<string> {
  const { sandbox } = installer;
  const line =
    `export DEV_SESSIONS_BASE_URL='${installer.server.url}'; ${command}; echo "over: $?"; exec cat`;
  await sandbox.tmux("new-session", "-d", "-s", "person", "-x", "150", "-y", "40", line);
  for (const [question, answer] of answers) {
    await sandbox.eventually(async () => question.test(await sandbox.screen("person")), {
      what: String(question),
    });
    await sandbox.tmux("send-keys", "-t", "person", answer, "Enter");
  }
  return await sandbox.eventually(async () => {
    const screen = await sandbox.screen("person");
    return screen.includes("over: ") ? screen : null;
  }, { what: "the installer ends" });
}

testAtOnce("install.sh asks at a terminal", {
  "an empty answer means skills and no service, also when the script comes over a pipe": async () => {
    await using installer = await published(SHELLS.dash, { skills: true, gateway: true });
    const screen = await atTerminal(installer, `cat '${INSTALL_SH}' | dash`, [
      [/Install the skills that teach your agents to use it\? \[Y\/n\]$/m, ""],
      [/as a service of your user\? \[y\/N\]$/m, ""],
    ]);
    match(screen, /over: 0/);
    deepStrictEqual(await installer.calls(), ["install-skill"]);
  },
  "no skills, but the service": async () => {
    await using installer = await published(SHELLS["busybox sh"], { skills: true, gateway: true });
    await atTerminal(installer, `busybox sh '${INSTALL_SH}'`, [[/skills .*\?.*$/m, "n"], [
      /service .*\?.*$/m,
      "y",
    ]]);
    deepStrictEqual(await installer.calls(), ["gateway install"]);
  },
  "whether to restart the service that there is, as it is": async () => {
    await using installer = await published(SHELLS.dash, { gateway: true });
    await serviceOf(installer, installer.executable);
    const screen = await atTerminal(installer, `dash '${INSTALL_SH}'`, [
      [/^Restart the gateway's service with this version\? \[Y\/n\]$/m, ""],
    ]);
    match(screen, /over: 0/);
    ok(!screen.includes("The gateway runs the version before"));
    deepStrictEqual(await installer.calls(), ["gateway install"]);
  },
  "and says what runs on without a yes": async () => {
    await using installer = await published(SHELLS["busybox sh"], { gateway: true });
    await serviceOf(installer, installer.executable);
    const screen = await atTerminal(installer, `busybox sh '${INSTALL_SH}'`, [
      [/^Restart the gateway's service with this version\? \[Y\/n\]$/m, "n"],
    ]);
    match(screen, OLD_GATEWAY);
    deepStrictEqual(await installer.calls(), []);
  },
  "and what runs on when it was not restarted": async () => {
    await using installer = await published(SHELLS.dash, { gateway: true, failing: true });
    await serviceOf(installer, installer.executable);
    const screen = await atTerminal(installer, `dash '${INSTALL_SH}'`, [
      [/^Restart the gateway's service with this version\? \[Y\/n\]$/m, "y"],
    ]);
    match(screen, /but the gateway's service was not restarted, see above\.$/m);
    match(screen, OLD_GATEWAY);
    match(screen, /over: 1/);
  },
  "but not about a service of a dev-sessions elsewhere": async () => {
    await using installer = await published(SHELLS.dash, { gateway: true });
    await serviceOf(installer, "/opt/bin/dev-sessions");
    match(await atTerminal(installer, `dash '${INSTALL_SH}'`, []), OLD_GATEWAY);
    deepStrictEqual(await installer.calls(), []);
  },
  "nothing with the flags": async () => {
    await using installer = await published(SHELLS.dash, { skills: true, gateway: true });
    match(await atTerminal(installer, `dash '${INSTALL_SH}' --no-skills --no-service`, []), /over: 0/);
    deepStrictEqual(await installer.calls(), []);
  },
  "before it removes data": async () => {
    await using installer = await inPlace(SHELLS.dash);
    const data = await installer.data("[]");
    const screen = await atTerminal(installer, `dash '${INSTALL_SH}' --uninstall`, [
      [/Remove the data in ~\/\.dev-sessions, too .*\[y\/N\]$/m, "y"],
    ]);
    match(screen, /^Removed .*\/\.dev-sessions$/m);
    ok(!exists(data) && !exists(installer.executable));
  },
  "and keeps it without a yes": async () => {
    await using installer = await inPlace(SHELLS.dash);
    const data = await installer.data("[]");
    const screen = await atTerminal(installer, `dash '${INSTALL_SH}' --uninstall`, [[/Remove the data/, ""]]);
    match(screen, /Your data is left in ~\/\.dev-sessions; to remove it: rm -rf/);
    ok(exists(data) && !exists(installer.executable));
  },
  "before it leaves live sessions behind": async () => {
    await using installer = await inPlace(SHELLS.dash);
    await installer.data('[{"id":"fizz-top","lifecycle":"active"}]');
    const question = /^a table of sessions\nThese sessions are live; .* nevertheless\? \[y\/N\]$/m;
    const screen = await atTerminal(installer, `dash '${INSTALL_SH}' --uninstall`, [[question, ""]]);
    match(screen, /install\.sh: Nothing was changed[^]*over: 1/);
    ok(exists(installer.executable));
  },
  "before it removes what sessions may need that it can't see": async () => {
    const question =
      /^What "dev-sessions list" says is not understood\nSo sessions may be live; .* nevertheless\? \[y\/N\]$/m;
    for (const [answer, expected] of [["", 1], ["n", 1], ["y", 0]] as const) {
      await using installer = await inPlace(SHELLS["busybox sh"]);
      const data = await installer.data("not JSON");
      const command = `busybox sh '${INSTALL_SH}' --uninstall`;
      const screen = await atTerminal(installer, command, [[question, answer]]);
      match(
        screen,
        expected === 1 ? /install\.sh: Nothing was changed[^]*over: 1/ : /^Removed .*[^]*over: 0/m,
      );
      strictEqual(exists(installer.executable), expected === 1);
      ok(exists(join(data, "dev-sessions.db")));
    }
  },
});

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

for (const [name, shell] of Object.entries(SHELLS)) {
  testAtOnce(`install.sh --uninstall under ${name}`, {
    "removes executable, skills and service, and keeps the data": async () => {
      await using installer = await published(shell, { skills: true, gateway: true });
      strictEqual((await installer.run(["--yes"])).code, 0);
      await Deno.writeTextFile(join(installer.home, ".dev-sessions", "dev-sessions.db"), "precious");
      await Deno.writeTextFile(join(installer.home, "live"), "[\n]\n");
      const { code, stdout, stderr } = await installer.run(["--uninstall"]);
      strictEqual(code, 0, stderr);
      const data = join(installer.home, ".dev-sessions");
      deepStrictEqual(stdout.split("\n"), [
        `Removed ${installer.executable}`,
        `Your data is left in ~/.dev-sessions; to remove it: rm -rf '${data}'`,
        "",
      ]);
      deepStrictEqual(await installer.calls(), [
        "install-skill",
        "gateway uninstall",
        "install-skill --uninstall",
      ]);
      deepStrictEqual([...Deno.readDirSync(data)].map(({ name }) => name), ["dev-sessions.db"]);
    },
    "leaves nothing of an installation that was not used": async () => {
      await using installer = await published(shell);
      await installer.run();
      strictEqual((await installer.run(["--uninstall"])).stdout, `Removed ${installer.executable}\n`);
      deepStrictEqual(installer.contents(), { ".local/": "755", ".local/bin/": "755" });
    },
    "--purge removes the data, too": async () => {
      await using installer = await inPlace(shell);
      const data = await installer.data('[{"id":"fizz-top","lifecycle":"ended"}]');
      const { code, stdout, stderr } = await installer.run(["--uninstall", "--purge"]);
      strictEqual(code, 0, stderr);
      strictEqual(stdout, `Removed ${installer.executable}\nRemoved ${data}\n`);
      ok(!exists(data));
    },
    "never removes what live sessions need": async () => {
      await using installer = await inPlace(shell, { gateway: true });
      const creating = '[{"id":"fizz-top","lifecycle":"ended"},{"id":"zed-mid","lifecycle":"creating"}]';
      await installer.data(creating);
      match(
        (await installer.run(["--uninstall", "--purge", "--yes"])).stderr,
        /: sessions are live\. Nothing/,
      );
      await installer.data('[{"id": "fizz-top", "lifecycle": "active"}]');
      const contents = installer.contents();
      const purge = await installer.run(["--uninstall", "--purge", "--yes"]);
      strictEqual(purge.code, 1);
      match(
        purge.stderr,
        /: sessions are live\. Nothing was changed\. End them first with: dev-sessions kill --all/,
      );
      const plain = await installer.run(["--uninstall"]);
      strictEqual(plain.code, 1);
      match(plain.stderr, /Cannot uninstall dev-sessions: sessions are live\. .* or give --yes/);
      deepStrictEqual(installer.contents(), contents);
      const wanted = await installer.run(["--uninstall", "--yes"]);
      strictEqual(wanted.code, 0, wanted.stderr);
      match(wanted.stdout, /^Your sessions' data is left in ~\/\.dev-sessions\.$/m);
      ok(!exists(installer.executable));
    },
    "never removes data when it cannot tell": async () => {
      await using installer = await inPlace(shell);
      const data = await installer.data("not JSON");
      const purge = await installer.run(["--uninstall", "--purge"]);
      strictEqual(purge.code, 1);
      match(
        purge.stderr,
        /it cannot be told whether sessions are live, see above\. Nothing was changed\./,
      );
      await installer.data("[]");
      const warning = join(installer.home, "warning");
      await Deno.writeTextFile(
        warning,
        '[dev-sessions] ignoring session "fizz-top" in /r: of a newer version\n',
      );
      match(
        (await installer.run(["--uninstall", "--purge"])).stderr,
        /^\[dev-sessions\] ignoring session "fizz-top" .*\n.*it cannot be told whether sessions are live, see above/,
      );
      await Deno.remove(warning);
      ok(exists(installer.executable));
      strictEqual((await installer.run(["--uninstall"])).code, 0);
      ok(exists(join(data, "dev-sessions.db")));
    },
    "never takes sessions that it cannot see for none": async () => {
      await using installer = await inPlace(shell, { gateway: true, skills: true });
      const newer = '[dev-sessions] ignoring session "fizz-top" in /r: of a newer version';
      const silent =
        "[dev-sessions] warning: could not reach box (no answer); showing cached session records";
      const lists = [
        ["not JSON", "", 'What "dev-sessions list" says is not understood'],
        ["[]", newer, newer],
        ['[{"id":"fizz-top","lifecycle":"ended"}]', silent, silent],
      ] as const;
      for (const [live, warning, why] of lists) {
        const data = await installer.data(live);
        await Deno.writeTextFile(join(installer.home, "warning"), warning);
        const contents = installer.contents();
        const plain = await installer.run(["--uninstall"]);
        deepStrictEqual(plain.stderr.split("\n"), [
          why,
          "install.sh: Cannot uninstall dev-sessions: it cannot be told whether sessions are live, see above. Nothing " +
          "was changed. Find out with: dev-sessions doctor; or give --yes, and the agents of those that are go on " +
          "without the command",
          "",
        ]);
        const purge = await installer.run(["--uninstall", "--purge", "--yes"]);
        deepStrictEqual(purge.stderr.split("\n"), [
          why,
          `install.sh: Cannot remove "${data}": it cannot be told whether sessions are live, see above. Nothing was ` +
          `changed. If none is, run this again with --yes instead of --purge, then: rm -rf '${data}'`,
          "",
        ]);
        deepStrictEqual([plain.code, plain.stdout, purge.code, purge.stdout], [1, "", 1, ""]);
        deepStrictEqual(installer.contents(), contents);
      }
      const wanted = await installer.run(["--uninstall", "--yes"]);
      deepStrictEqual([wanted.code, wanted.stderr], [0, ""]);
      match(wanted.stdout, /^Your sessions' data is left in ~\/\.dev-sessions\.$/m);
      ok(!exists(installer.executable));
    },
    "nor those of an executable that can't list them": async () => {
      await using installer = await inPlace(shell);
      await installer.data("[]");
      const inJson = '{"error":{"code":"failure"}}';
      for (
        const [words, why] of [
          ["it is damaged\nmove it away", "it is damaged\nmove it away"],
          ["", '"dev-sessions list" ended with exit code 3'],
        ] as const
      ) {
        const script =
          `case "$*" in *--json) echo '${inJson}' ;; *) printf '%s' '${words}' ;; esac >&2; exit 3`;
        await Deno.writeTextFile(installer.executable, `#!/bin/sh\n${script}\n`);
        const contents = installer.contents();
        const { code, stderr } = await installer.run(["--uninstall"]);
        strictEqual(code, 1);
        ok(
          stderr.startsWith(`${why}\ninstall.sh: Cannot uninstall dev-sessions: it cannot be told `),
          stderr,
        );
        deepStrictEqual(installer.contents(), contents);
      }
    },
    "nor those of an executable that is gone, whose library is there": async () => {
      await using installer = await Installer.create(shell);
      await installer.data("[]");
      const library = join(installer.home, ".local", "lib", "dev-sessions", VERSION);
      await Deno.mkdir(library, { recursive: true });
      for (const name of ["deno", "main.js"]) await Deno.writeTextFile(join(library, name), "");
      const { code, stderr } = await installer.run(["--uninstall"]);
      strictEqual(code, 1);
      ok(stderr.startsWith(`There is no ${installer.executable} to ask\n`), stderr);
      match(
        stderr,
        /see above\. Nothing was changed\. Find out with: sh install\.sh, then dev-sessions list; or give/,
      );
      ok(exists(library));
      strictEqual((await installer.run(["--uninstall", "--yes"])).code, 0);
      ok(!exists(library));
      strictEqual(
        (await installer.run(["--uninstall"])).code,
        0,
        "there is nothing that sessions could need",
      );
    },
    "names the skills that an executable which does not run cannot remove": async () => {
      await using installer = await inPlace(shell);
      await Deno.writeTextFile(installer.executable, "#!/bin/sh\nexit 1\n");
      const files = await skillsOf(installer);
      const { code, stdout, stderr } = await installer.run(["--uninstall"]);
      strictEqual(code, 0);
      strictEqual(stdout, `Removed ${installer.executable}\n`);
      deepStrictEqual(stderr.split("\n"), [
        `Note: the skills were not removed, since ${installer.executable} does not answer to "install-skill"; ` +
        "their files are yours to remove:",
        ...files.map((file) => `  ${file}`),
        "",
      ]);
      for (const file of files) ok(exists(file));
    },
    "names the service and the skills that are left when the executable is gone": async () => {
      await using installer = await Installer.create(shell, "my ho'me");
      const { executable } = installer;
      const [unit, files] = [await serviceOf(installer, executable), await skillsOf(installer)];
      await Deno.mkdir(join(installer.home, ".dev-sessions"));
      await Deno.writeTextFile(join(installer.home, ".dev-sessions", "executable"), `${executable}\n`);
      const contents = installer.contents();
      const { code, stdout, stderr } = await installer.run(["--uninstall", "--purge", "--yes"]);
      strictEqual(stdout, `There is no dev-sessions in ${installer.bin}.\n`);
      const skills = [
        `Note: the skills were not removed, since there is no ${executable}; their files are yours to remove:`,
        ...files.map((file) => `  ${file}`),
      ];
      const name = "dev-sessions-gateway.service";
      const removal = `systemctl --user disable --now ${name} && rm '${unit.replaceAll("'", `'\\''`)}' && ` +
        "systemctl --user daemon-reload";
      deepStrictEqual(stderr.split("\n"), [
        ...skills,
        `install.sh: Cannot remove the service (${unit}): there is no ${executable}. Nothing was changed. ` +
        `If no other dev-sessions needs it, stop and remove it, then run this again: ${removal}`,
        "",
      ]);
      strictEqual(code, 1);
      deepStrictEqual(installer.contents(), contents);
      // What is advised does it.
      const path = await installer.fakes({ systemctl: 'echo "$*" >>"$HOME/calls"' });
      const followed = installer.sandbox.spawn("sh", ["-c", removal], {
        env: { ...installer.env, PATH: path },
      });
      strictEqual((await followed.done()).code, 0);
      deepStrictEqual(await installer.calls(), [`--user disable --now ${name}`, "--user daemon-reload"]);
      const again = await installer.run(["--uninstall", "--purge", "--yes"]);
      deepStrictEqual([again.code, again.stderr.split("\n")], [0, [...skills, ""]]);
      ok(!exists(join(installer.home, ".dev-sessions")) && files.every(exists));
    },
    "names those of macOS with the command for it": async () => {
      await using installer = await Installer.create(shell);
      const agents = join(installer.home, "Library", "LaunchAgents");
      await Deno.mkdir(agents, { recursive: true });
      const file = join(agents, "com.dev-sessions.gateway.plist");
      await Deno.writeTextFile(file, "");
      const { code, stderr } = await installer.run(["--uninstall"]);
      strictEqual(code, 1);
      ok(
        stderr.endsWith(`: launchctl bootout gui/${Deno.uid()}/com.dev-sessions.gateway && rm '${file}'\n`),
        stderr,
      );
    },
    "but not those of a dev-sessions elsewhere": async () => {
      for (const place of ["on PATH", "recorded"] as const) {
        await using installer = await Installer.create(shell);
        const path = await installer.fakes({ "dev-sessions": "echo 1.0.0" });
        const elsewhere = join(installer.sandbox.root, "fakes", "dev-sessions");
        const unit = await serviceOf(installer, elsewhere);
        const files = await skillsOf(installer);
        await Deno.mkdir(join(installer.home, ".dev-sessions"));
        const record = place === "recorded" ? elsewhere : installer.executable;
        await Deno.writeTextFile(join(installer.home, ".dev-sessions", "executable"), `${record}\n`);
        const env = place === "recorded" ? {} : { PATH: path };
        const { code, stdout, stderr } = await installer.run(["--uninstall"], { env });
        deepStrictEqual([code, stderr], [0, ""]);
        const one = place === "recorded" ? "The one in use is" : "The one on your PATH is";
        deepStrictEqual(stdout.split("\n").slice(0, 2), [
          `There is no dev-sessions in ${installer.bin}.`,
          `${one} ${elsewhere}: give its --prefix.`,
        ]);
        ok([unit, ...files].every(exists));
      }
    },
    "names the command for a service that a broken executable cannot remove": async () => {
      await using installer = await inPlace(shell);
      await Deno.writeTextFile(installer.executable, "#!/bin/sh\nexit 1\n");
      const unit = await serviceOf(installer, installer.executable);
      const contents = installer.contents();
      const { code, stderr } = await installer.run(["--uninstall"]);
      deepStrictEqual([code, stderr.split("\n")], [1, [
        `install.sh: Cannot remove the service (${unit}): ${installer.executable} does not answer to "gateway uninstall". ` +
        "Nothing was changed. Stop and remove it, then run this again: " +
        `systemctl --user disable --now dev-sessions-gateway.service && rm '${unit}' && systemctl --user daemon-reload`,
        "",
      ]]);
      deepStrictEqual(installer.contents(), contents);
    },
    "stops before a service that cannot be removed": async () => {
      await using installer = await inPlace(shell, { gateway: true, failing: true });
      const { code, stderr } = await installer.run(["--uninstall"]);
      strictEqual(code, 1);
      match(
        stderr,
        /Cannot remove the service, see above\. The executable is left, since the service runs it/,
      );
      ok(exists(installer.executable));
    },
    "does not take a link for its own, and says when there is nothing": async () => {
      await using installer = await inPlace(shell);
      const elsewhere = join(installer.home, "elsewhere");
      await Deno.rename(installer.executable, elsewhere);
      await Deno.symlink(elsewhere, installer.executable);
      match(
        (await installer.run(["--uninstall"])).stderr,
        /it is a link, which this installer does not make/,
      );
      await Deno.remove(installer.executable);
      const { code, stdout } = await installer.run(["--uninstall"]);
      strictEqual(code, 0);
      strictEqual(stdout, `There is no dev-sessions in ${installer.bin}.\n`);
    },
  });
}

/** What a shell calls a folder's advice, and how it is started as a person's new terminal. */
const PERSONS_SHELLS: Readonly<Record<string, (script: string) => readonly [string, ...string[]]>> = {
  bash: (script) => ["bash", "-ic", script],
  zsh: (script) => ["zsh", "-ic", script],
  fish: (script) => ["fish", "-c", script],
};

testAtOnce("install.sh says how to reach it", {
  ...Object.fromEntries(
    Object.entries(PERSONS_SHELLS).flatMap(([name, command]) =>
      ["home", `my ho'me`].map((home) => [
        `with ${name} in "${home}": the advice works`,
        async () => {
          await using installer = await published(SHELLS.dash, {}, home);
          const { stdout } = await installer.run([], { env: { SHELL: `/usr/bin/${name}` } });
          const advice = /is not on your PATH\. Put it there, then open a new terminal:\n {2}(.*)\n/.exec(
            stdout,
          )?.[1];
          ok(advice !== undefined, stdout);
          const inShell = async (script: string) => {
            const [program, ...args] = command(script);
            return await installer.sandbox.spawn(program, args, { env: installer.env }).doneWithin(
              20_000,
              name,
            );
          };
          const followed = await inShell(advice);
          strictEqual(followed.code, 0, followed.stderr);
          strictEqual((await inShell("dev-sessions --version")).stdout, `${VERSION}\n`);
        },
      ])
    ),
  ),
  "and that tmux is missing": async () => {
    await using installer = await published(SHELLS.dash);
    const tools =
      "cat chmod cp curl cut dirname env getconf grep head id ldd mkdir mktemp mv rm rmdir sed sha256sum tail tr uname";
    const path = await installer.only([...tools.split(" "), "dash", "apt-get"]);
    const { code, stdout } = await installer.run([], { env: { PATH: path } });
    strictEqual(code, 0);
    match(stdout, /^Claude Code runs in tmux, which is missing here: (sudo )?apt-get install tmux$/m);
  },
  "and that another one comes first": async () => {
    await using installer = await published(SHELLS.dash);
    const path = await installer.fakes({ "dev-sessions": "echo 0.4.4" });
    const { stderr } = await installer.run([], { env: { PATH: `${path}:${installer.bin}` } });
    match(stderr, /^Note: another dev-sessions comes first on your PATH: .*\/fakes\/dev-sessions$/m);
  },
});
