import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import {
  capturedEnvironment,
  hasControlCharacter,
  type ServiceSpec,
} from "../../../gateway/service/definition.ts";
import { DRAIN_MS, ROLL_BACK_MS } from "../../../gateway/drain_times.ts";
import {
  isDisabled,
  Launchd,
  startFrom,
  stateFrom as launchdState,
} from "../../../gateway/service/launchd.ts";
import { plist, readPlist } from "../../../gateway/service/plist.ts";
import { settingsIn, settle } from "../../../gateway/service/settings.ts";
import { shownIn, stateFrom as stateShown, unitFolderIn } from "../../../gateway/service/systemd.ts";
import { readUnit, unitFile, wordsOf } from "../../../gateway/service/unit_file.ts";
import type { Deps, RunResult } from "../../../lib/deps.ts";
import { realDeps } from "../../../lib/real_deps.ts";

const SPEC: ServiceSpec = {
  command: "/home/me/.local/bin/dev-sessions",
  args: [],
  port: 6767,
  options: [],
  env: { PATH: "/usr/bin:/bin" },
  log: "/home/me/.dev-sessions/gateway.log",
};
const ODD = `/home/a b/50%/$HOME/&<é>;=#/"q"/it's/back\\slash`;

Deno.test("unitFile() spares the sessions, limits restarts and appends to the log", () => {
  const lines = unitFile(SPEC).split("\n");
  for (
    const line of [
      'ExecStart="/home/me/.local/bin/dev-sessions" "gateway" "--port" "6767"',
      'Environment="PATH=/usr/bin:/bin"',
      "KillMode=process",
      "TimeoutStopSec=30",
      "Restart=on-failure",
      "StartLimitBurst=5",
      "StandardError=append:/home/me/.dev-sessions/gateway.log",
      "WantedBy=default.target",
    ]
  ) strictEqual(lines.filter((found) => found === line).length, 1, line);
});

Deno.test("unitFile() escapes as each place of the file wants it", async (t) => {
  const line = (spec: Partial<ServiceSpec>, begin: string) =>
    unitFile({ ...SPEC, ...spec }).split("\n").find((found) => found.startsWith(begin));
  await t.step("a program's path: % doubled, $ as it is", () => {
    strictEqual(
      line({ command: "/a b/50%/$HOME/x" }, "ExecStart="),
      'ExecStart="/a b/50%%/$HOME/x" "gateway" "--port" "6767"',
    );
  });
  await t.step("a program's path that systemd refuses goes through a shell", () => {
    strictEqual(
      line({ command: `/it's/"$x"/\\y` }, "ExecStart="),
      `ExecStart=/bin/sh -c "exec \\"$$0\\" \\"$$@\\"" "/it's/\\"$$x\\"/\\\\y" "gateway" "--port" "6767"`,
    );
  });
  await t.step("arguments: $ and % doubled", () => {
    strictEqual(
      line({ args: ["run", "/a $b/100%.ts"], options: ["--bind", "docker"] }, "ExecStart="),
      'ExecStart="/home/me/.local/bin/dev-sessions" "run" "/a $$b/100%%.ts" "gateway" "--port" "6767" "--bind" "docker"',
    );
  });
  await t.step("variables: % doubled, $ as it is", () => {
    strictEqual(
      line({ env: { X: 'a $b 5% "c" \\d' } }, "Environment="),
      'Environment="X=a $b 5%% \\"c\\" \\\\d"',
    );
  });
  await t.step("files: % doubled, nothing else", () => {
    strictEqual(line({ log: ODD }, "StandardOutput="), `StandardOutput=append:${ODD.replace("%", "%%")}`);
  });
});

Deno.test("settingsIn() reads back what unitFile() and plist() wrote, whatever the characters", () => {
  const spec: ServiceSpec = {
    ...SPEC,
    command: ODD,
    args: ["run", `a $b 100% 'c'`],
    port: 7001,
    options: ["--bind", "docker", "--bind", "10.0.0.1", "--allow-host", "gateway", "--insecure-bind"],
    env: { PATH: ODD, EMPTY: "", X: `%h $HOME "q" 'q' \\ \\n &amp;` },
  };
  const expected = {
    port: 7001,
    binds: ["docker", "10.0.0.1"],
    insecureBind: true,
    allowHosts: ["gateway"],
    env: spec.env,
    unknown: [],
  };
  deepStrictEqual(settingsIn(readUnit(unitFile(spec))), expected);
  deepStrictEqual(settingsIn(readPlist(plist(spec))), expected);
  deepStrictEqual(settingsIn(readUnit(unitFile({ ...spec, command: "/bin/x" }))), expected);
});

Deno.test("settingsIn() reads definitions of others: 0.4.4's unit, one changed by hand, and none of a gateway", () => {
  const none = { port: null, binds: [], insecureBind: false, allowHosts: [], env: {}, unknown: [] };
  deepStrictEqual(
    settingsIn(readUnit(
      "[Service]\nEnvironment=PATH=/usr/bin LANG=C\nExecStart=/usr/bin/node /x/cli.js gateway --port 7000\n",
    )),
    { ...none, port: 7000, env: { PATH: "/usr/bin", LANG: "C" } },
  );
  deepStrictEqual(
    settingsIn(readUnit("[Service]\nExecStart = /x gateway \\\n  --bind=docker --port=7000 --new x\n")),
    { ...none, port: 7000, binds: ["docker"], unknown: ["--new", "x"] },
  );
  strictEqual(settingsIn(readUnit("[Service]\nExecStart=/usr/bin/nginx\n")), null);
  strictEqual(settingsIn(readPlist("bplist00")), null);
});

Deno.test("settle() keeps what is not given, and each option that is given replaces those of its kind", async (t) => {
  const wanted = { port: null, usualPort: 6767, binds: null, insecureBind: false, allowHosts: null };
  const earlier = {
    port: 7100,
    binds: ["0.0.0.0"],
    insecureBind: true,
    allowHosts: ["box"],
    env: {},
    unknown: [],
  };
  await t.step("a first one", () => {
    deepStrictEqual(settle(wanted, null), { port: 6767, options: [], kept: [] });
  });
  await t.step("nothing given", () => {
    deepStrictEqual(settle(wanted, earlier), {
      port: 7100,
      options: ["--bind", "0.0.0.0", "--allow-host", "box", "--insecure-bind"],
      kept: ["--port", "7100", "--bind", "0.0.0.0", "--insecure-bind", "--allow-host", "box"],
    });
  });
  await t.step("a bind given: what permitted the earlier ones goes with them", () => {
    deepStrictEqual(settle({ ...wanted, port: 7200, binds: ["docker"] }, earlier), {
      port: 7200,
      options: ["--bind", "docker", "--allow-host", "box"],
      kept: ["--allow-host", "box"],
    });
  });
  await t.step("the usual port is nothing to speak of", () => {
    deepStrictEqual(
      settle(wanted, { ...earlier, port: 6767, binds: [], insecureBind: false, allowHosts: [] }),
      {
        port: 6767,
        options: [],
        kept: [],
      },
    );
  });
});

Deno.test("capturedEnvironment() takes what decides where things are and what is asked for, keeps the rest, and names what is missing", () => {
  const env = {
    PATH: "/bin",
    HOME: "/home/me",
    CODEX_HOME: "/c",
    DOCKER_HOST: "unix:///run/user/1000/docker.sock",
    DOCKER_CONTEXT: "rootless",
    LANG: "",
    ANTHROPIC_API_KEY: "k",
    SECRET: "s",
  };
  deepStrictEqual(
    capturedEnvironment(env, ["ANTHROPIC_API_KEY", "NOT_SET"], 7001, {
      CODEX_HOME: "/earlier",
      TMUX_TMPDIR: "/t",
      MINE: "m",
    }),
    {
      env: {
        DEV_SESSIONS_GATEWAY_PORT: "7001",
        PATH: "/bin",
        CODEX_HOME: "/c",
        DOCKER_HOST: "unix:///run/user/1000/docker.sock",
        DOCKER_CONTEXT: "rootless",
        ANTHROPIC_API_KEY: "k",
        TMUX_TMPDIR: "/t",
        MINE: "m",
      },
      missing: ["NOT_SET"],
      kept: ["TMUX_TMPDIR", "MINE"],
    },
  );
});

Deno.test("hasControlCharacter() finds what would end a line", () => {
  strictEqual(hasControlCharacter("a\nb"), true);
  strictEqual(hasControlCharacter("\x1b[1m"), true);
  strictEqual(hasControlCharacter(ODD), false);
});

Deno.test("systemctl's words become a state", async (t) => {
  const shown = (...lines: string[]) => stateShown(shownIn(lines.join("\n") + "\n"));
  await t.step("running, since when, with which process", () => {
    deepStrictEqual(
      shown(
        "ActiveState=active",
        "MainPID=77",
        "ExecMainCode=0",
        "ExecMainStatus=0",
        "ActiveEnterTimestamp=Sun 2026-11-22 14:12:57 UTC",
      ),
      { state: "running", pid: 77, since: "2026-11-22T14:12:57.000Z", end: null },
    );
  });
  await t.step("between two starts", () => {
    deepStrictEqual(
      shown(
        "ActiveState=activating",
        "SubState=auto-restart",
        "MainPID=0",
        "ExecMainCode=1",
        "ExecMainStatus=1",
      ),
      {
        state: "starting",
        pid: null,
        since: null,
        end: "exit 1",
      },
    );
  });
  await t.step("failed by a signal", () => {
    deepStrictEqual(
      shown(
        "ActiveState=failed",
        "MainPID=0",
        "ExecMainCode=2",
        "ExecMainStatus=9",
        "InactiveEnterTimestamp=Sun 2026-11-22 14:00:00 UTC",
      ),
      { state: "failed", pid: null, since: "2026-11-22T14:00:00.000Z", end: "signal 9" },
    );
  });
  await t.step("never started", () => {
    deepStrictEqual(shown("ActiveState=inactive", "MainPID=0", "ExecMainCode=0", "InactiveEnterTimestamp="), {
      state: "stopped",
      pid: null,
      since: null,
      end: null,
    });
  });
  await t.step("what it does not say is unknown", () => strictEqual(shown("").state, "unknown"));
});

Deno.test("launchctl's words become a state", async (t) => {
  const print = (...lines: string[]) =>
    launchdState(`gui/501/com.dev-sessions.gateway = {\n${lines.map((line) => `\t${line}\n`).join("")}}\n`);
  await t.step("running", () => {
    deepStrictEqual(print("state = running", "pid = 812", "last exit code = (never exited)"), {
      state: "running",
      pid: 812,
      since: null,
      end: null,
    });
  });
  await t.step("failed", () => {
    deepStrictEqual(print("state = not running", "last exit code = 1"), {
      state: "failed",
      pid: null,
      since: null,
      end: "exit 1",
    });
  });
  await t.step("between two starts", () => {
    strictEqual(print("state = spawn scheduled", "last exit code = 78: EX_CONFIG").state, "starting");
  });
});

Deno.test("wordsOf() splits as systemd does", () => {
  deepStrictEqual(wordsOf(`a  "b c" 'd "e' "f\\"g\\\\" h"i j"k l\\ m`), [
    "a",
    "b c",
    'd "e',
    'f"g\\',
    "hi jk",
    "l m",
  ]);
  deepStrictEqual(wordsOf(" "), []);
});

Deno.test("unitFolderIn() finds the user's own folder among those that systemd looks into", () => {
  const path = (own: string) =>
    `/home/me/.config/systemd/user.control /run/user/1/systemd/transient ${own} /etc/systemd/user /run/user/1/systemd/user`;
  strictEqual(unitFolderIn(path("/home/me/.config/systemd/user")), "/home/me/.config/systemd/user");
  strictEqual(unitFolderIn(path('"/home/m e/.config/systemd/user"')), "/home/m e/.config/systemd/user");
  strictEqual(unitFolderIn("\n"), null);
});

Deno.test("isDisabled() reads both forms of launchctl print-disabled", () => {
  const print = (word: string) =>
    `disabled services = {\n\t"com.apple.x" => enabled\n\t"com.dev-sessions.gateway" => ${word}\n}\n`;
  deepStrictEqual(["disabled", "true", "enabled", "false"].map((word) => isDisabled(print(word))), [
    true,
    true,
    false,
    false,
  ]);
  strictEqual(isDisabled("disabled services = {\n}\n"), false);
});

Deno.test("startFrom() reads what ps says of a process's start, with one or two digits of the day", () => {
  strictEqual(startFrom("Sun Nov 22 14:12:57 2026\n"), "2026-11-22T14:12:57.000Z");
  strictEqual(startFrom("Tue Dec  1 04:05:06 2026    \n"), "2026-12-01T04:05:06.000Z");
  strictEqual(startFrom("Tue Foo  1 04:05:06 2026\n"), null);
  strictEqual(startFrom(""), null);
});

const exited = (code: number, stdout = "", stderr = ""): RunResult => ({
  kind: "exited",
  code,
  stdout,
  stderr,
});

/** A world whose time passes by sleeping alone. */
function worldOf(answer: (args: readonly string[], now: number) => RunResult): Deps {
  let now = 0;
  const clock = {
    now: () => now,
    monotonic: () => now,
    sleep: (ms: number) => Promise.resolve(void (now += ms)),
  };
  return { ...realDeps(), clock, run: (_, args) => Promise.resolve(answer(args, now)) };
}

Deno.test("launchd's new agent waits until the one before has had its time to end", async () => {
  const endsAfter = (ms: number) =>
    new Launchd(
      worldOf(([verb], now) =>
        verb !== "bootstrap" || now >= ms
          ? exited(0)
          : exited(5, "", "Bootstrap failed: 5: Input/output error\n")
      ),
      "/home/me",
      501,
    );
  await endsAfter(DRAIN_MS + ROLL_BACK_MS).start(new AbortController().signal);
  await rejects(
    endsAfter(10 * (DRAIN_MS + ROLL_BACK_MS)).start(new AbortController().signal),
    /^AppError: launchctl bootstrap gui\/501: Bootstrap failed: 5: Input/,
  );
});

Deno.test("how an agent stands is not guessed where launchctl does not say it", async (t) => {
  const running = exited(0, "\tstate = running\n\tpid = 7\n");
  const rows: readonly [string, RunResult, RunResult, { runs: boolean; startsByItself: boolean } | null][] = [
    ["both are said", running, exited(0, ""), { runs: true, startsByItself: true }],
    ["it is switched off", running, exited(0, '\t"com.dev-sessions.gateway" => disabled\n'), {
      runs: true,
      startsByItself: false,
    }],
    ["its state is not said", { kind: "timed_out" }, exited(0, ""), null],
    ["what is switched off is not said", running, { kind: "timed_out" }, null],
    ["what is switched off is refused", running, exited(125, "", "Domain does not support it\n"), null],
  ];
  for (const [name, print, disabled, expected] of rows) {
    await t.step(name, async () => {
      const deps = worldOf(([verb]) =>
        verb === "print" ? print : verb === "print-disabled" ? disabled : exited(1)
      );
      const standing = new Launchd(deps, "/home/me", 501).standing();
      if (expected !== null) deepStrictEqual(await standing, expected);
      else await rejects(standing, /^AppError: Cannot tell how the gateway's service stands/);
    });
  }
});

Deno.test("a launchd that does not answer has not let go of its agent", async () => {
  const agent = (answer: RunResult) => new Launchd(worldOf(() => answer), "/home/me", 501);
  strictEqual(await agent({ kind: "timed_out" }).isLeft(), true);
  strictEqual(await agent(exited(0)).isLeft(), true);
  strictEqual(await agent(exited(113, "", "Could not find service\n")).isLeft(), false);
  await rejects(
    agent({ kind: "timed_out" }).stop(),
    /^AppError: launchctl bootout .*: launchctl does not answer/,
  );
});
