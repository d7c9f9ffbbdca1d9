import { strictEqual, throws } from "node:assert/strict";
import { pathIn } from "../../../gateway/http_routes.ts";

Deno.test("pathIn() takes paths and URLs of the host that was checked, and nothing else", () => {
  strictEqual(pathIn("/v1/list?x=1", "localhost:6767"), "/v1/list?x=1");
  strictEqual(pathIn("http://localhost:6767/v1/list?x=1", "localhost:6767"), "/v1/list?x=1");
  strictEqual(pathIn("HTTP://LOCALHOST:6767/health", "localhost:6767"), "/health");
  strictEqual(pathIn("http://localhost:6767", "localhost:6767"), "/");
  for (
    const target of [
      "http://evil.example/v1/list",
      "http://localhost:6767@evil.example/v1/list",
      "http://localhost:6767.evil.example/v1/list",
      "https://localhost:6767/v1/list",
      "localhost:6767",
      "*",
      "",
    ]
  ) throws(() => pathIn(target, "localhost:6767"), /neither a path nor a URL of this host/, target);
});
