/** Which arguments a session's container is made with. */

import {
  deepStrictEqual,
  doesNotMatch,
  match,
  notStrictEqual,
  ok,
  strictEqual,
  throws,
} from "node:assert/strict";
import {
  assertUsableArguments,
  choosesUser,
  type ContainerSpec,
  createArguments,
  mountArgument,
} from "../../../backends/docker/arguments.ts";
import { containerName, enginePlace, projectKey } from "../../../backends/docker/names.ts";

const SPEC: ContainerSpec = {
  name: "dev-fizz-top-01234567",
  token: "01234567-89ab-cdef-0123-456789abcdef",
  registry: "fedcba98-7654-3210-fedc-ba9876543210",
  sessionId: "fizz-top",
  workspace: "/home/u/api",
  config: {
    image: "agents:1",
    args: ["--network", "none"],
    env: ["GH_TOKEN"],
    claude: "claude",
    codex: "codex",
    gateway: null,
  },
  gateway: null,
  user: "1000:1000",
  terminal: true,
  mounts: [{ source: "/home/u/state", target: "/run/state", readOnly: true }],
  env: { HOME: "/run/home" },
  envNames: ["GH_TOKEN"],
  command: ["claude", "--model", "x"],
};

Deno.test("a container's arguments: the user's first, ours after them, the command last", () => {
  const args = createArguments(SPEC);
  strictEqual(
    args.join(" "),
    "--network none --rm --interactive --tty --init --pull never --name dev-fizz-top-01234567 --hostname fizz-top " +
      "--label dev-sessions.token=01234567-89ab-cdef-0123-456789abcdef " +
      "--label dev-sessions.registry=fedcba98-7654-3210-fedc-ba9876543210 --user 1000:1000 " +
      "--mount type=bind,source=/home/u/api,target=/workspace " +
      "--mount type=bind,source=/home/u/state,target=/run/state,readonly --workdir /workspace " +
      "--env HOME=/run/home --env DEV_SESSIONS_ID=fizz-top --env DEV_SESSIONS_SANDBOX=1 " +
      "--env HOST_PATH=/home/u/api --env CONTAINER_WORKSPACE=/workspace --env IS_SANDBOX=1 " +
      "--env GH_TOKEN -- agents:1 claude --model x",
  );
});

Deno.test("without a terminal, and with the image's own user", () => {
  const args = createArguments({ ...SPEC, terminal: false, user: null }).join(" ");
  doesNotMatch(args, /--rm|--tty|--interactive|--user/);
});

Deno.test("a gateway's token is a mounted file, its socket's folder is mounted, and its host gets a name", async (t) => {
  const withGateway = (url: string) =>
    createArguments({
      ...SPEC,
      gateway: { url, tokenFile: "/home/u/token" },
    }).join(" ");
  await t.step("over http", () => {
    const args = withGateway("http://host.docker.internal:6767");
    match(args, /--add-host host\.docker\.internal:host-gateway/);
    match(args, /source=\/home\/u\/token,target=\/run\/dev-sessions\/gateway\/token,readonly/);
    match(args, /--env DEV_SESSIONS_GATEWAY_URL=http:\/\/host\.docker\.internal:6767 /);
    match(args, /--env DEV_SESSIONS_GATEWAY_TOKEN_FILE=\/run\/dev-sessions\/gateway\/token/);
  });
  await t.step("over a socket", () => {
    const args = withGateway("unix:///home/u/gw/gateway.sock");
    match(args, /source=\/home\/u\/gw,target=\/run\/dev-sessions\/gateway\/socket,readonly /);
    match(args, /DEV_SESSIONS_GATEWAY_URL=unix:\/\/\/run\/dev-sessions\/gateway\/socket\/gateway\.sock/);
    doesNotMatch(args, /--add-host/);
  });
});

Deno.test("paths with commas and quotes stay one field", () => {
  const rows: readonly (readonly [string, string])[] = [
    ["/a b", "type=bind,source=/a b,target=/t"],
    ["/a,readonly", 'type=bind,"source=/a,readonly",target=/t'],
    ['/a"b', 'type=bind,"source=/a""b",target=/t'],
    ["/a\nb", 'type=bind,"source=/a\nb",target=/t'],
  ];
  for (const [source, expected] of rows) strictEqual(mountArgument({ source, target: "/t" }), expected);
});

Deno.test("arguments that are ours are refused, others pass", () => {
  for (
    const argument of ["--name=x", "--name", "--rm", "-d", "--detach", "-w", "--workdir=/x", "--pull=always"]
  ) {
    throws(
      () => assertUsableArguments(["--cpus", "2", argument], "/c.json"),
      /"docker\.args" has /,
      argument,
    );
  }
  assertUsableArguments(["--network", "host", "-v", "/a:/b", "--user", "1000"], "/c.json");
});

Deno.test("whether the user chooses as whom the container runs", () => {
  for (const args of [["--user", "1000"], ["--user=node"], ["-u", "1"], ["-u1"], ["--userns=host"]]) {
    strictEqual(choosesUser(args), true, args.join(" "));
  }
  for (const args of [[], ["--ulimit", "nofile=1"], ["--env", "USER=x"]]) {
    strictEqual(choosesUser(args), false);
  }
});

Deno.test("every workspace has a folder of its own, which can be read", () => {
  strictEqual(projectKey("/home/u/api"), projectKey("/home/u/api"));
  match(projectKey("/home/u/api"), /^api-[0-9a-f]{16}$/);
  notStrictEqual(projectKey("/a/b-c"), projectKey("/a-b/c"));
  notStrictEqual(projectKey("/a/x"), projectKey("/b/x"));
  match(projectKey("/"), /^root-[0-9a-f]{16}$/);
  match(projectKey("/home/..x/.hidden"), /^hidden-[0-9a-f]{16}$/);
  match(projectKey(`/${"ü/".repeat(90)}${"long".repeat(40)}`), /^(long){10}-[0-9a-f]{16}$/);
  ok(!projectKey("/a/$(rm) b").includes(" "));
});

Deno.test("names and places", () => {
  strictEqual(containerName("fizz-top", SPEC.token), "dev-fizz-top-01234567");
  deepStrictEqual(
    enginePlace({ DOCKER_HOST: "unix:///x", DOCKER_CONTEXT: "", HOME: "/home/u", DOCKER_CONFIG: "/c" }),
    { DOCKER_HOST: "unix:///x", DOCKER_CONFIG: "/c" },
  );
});
