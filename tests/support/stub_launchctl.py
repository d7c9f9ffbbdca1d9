#!/usr/bin/env python3
"""Stands in for launchctl with one agent: loads a real property list, and starts and ends what it names.

State is kept in the folder STUB_LAUNCHD. Words and exit codes are those of launchctl 7.0.0 on macOS 14.
"""

import os
import plistlib
import signal
import subprocess
import sys
import time

FOLDER = os.environ["STUB_LAUNCHD"]
LOADED = os.path.join(FOLDER, "loaded.plist")
PID = os.path.join(FOLDER, "pid")
DISABLED = os.path.join(FOLDER, "disabled")
EXIT = os.path.join(FOLDER, "exit")
WRAPPER = '"$@"; echo $? >"$0.partial"; mv "$0.partial" "$0"'


def fail(code, text):
    sys.stderr.write(text + "\n")
    sys.exit(code)


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except FileNotFoundError:
        return None


def bootstrap(path):
    if os.path.exists(LOADED) or os.path.exists(DISABLED):
        fail(5, "Bootstrap failed: 5: Input/output error")
    with open(path, "rb") as file:
        content = file.read()
    agent = plistlib.loads(content)
    env = {"HOME": os.environ["HOME"], "STUB_LAUNCHD": FOLDER, "DEV_SESSIONS_TEST_ROOT": os.environ["DEV_SESSIONS_TEST_ROOT"]}
    env.update(agent.get("EnvironmentVariables", {}))
    with open(agent["StandardOutPath"], "ab") as out, open(agent["StandardErrorPath"], "ab") as err:
        child = subprocess.Popen(
            ["/bin/sh", "-c", WRAPPER, EXIT, *agent["ProgramArguments"]],
            stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env, cwd="/", start_new_session=True,
        )
    with open(PID, "w", encoding="utf-8") as file:
        file.write(str(child.pid))
    with open(LOADED, "wb") as file:
        file.write(content)


def bootout():
    if not os.path.exists(LOADED):
        fail(3, "Boot-out failed: 3: No such process")
    os.remove(LOADED)
    if read(EXIT) is None:
        os.killpg(int(read(PID)), signal.SIGTERM)
        for _ in range(20):
            if read(EXIT) is not None:
                break
            try:
                os.killpg(int(read(PID)), 0)
            except ProcessLookupError:
                break
            time.sleep(0.05)
    for path in (PID, EXIT):
        if os.path.exists(path):
            os.remove(path)


def print_service(label):
    if not os.path.exists(LOADED):
        fail(113, f'Could not find service "{label}" in domain for user gui: {os.getuid()}')
    code = read(EXIT)
    lines = ["state = running", f"pid = {read(PID)}", "last exit code = (never exited)"]
    if code is not None:
        lines = ["state = not running", f"last exit code = {code}"]
    print(f"gui/{os.getuid()}/{label} = {{")
    for line in lines:
        print(f"\t{line}")
    print("}")


def main(verb, target, *rest):
    domain = f"gui/{os.getuid()}"
    if verb == "enable":
        if os.path.exists(DISABLED):
            os.remove(DISABLED)
    elif verb == "disable":
        open(DISABLED, "w", encoding="utf-8").close()
    elif verb == "print-disabled":
        word = "disabled" if os.path.exists(DISABLED) else "enabled"
        print(f'\tdisabled services = {{\n\t\t"com.dev-sessions.gateway" => {word}\n\t}}')
    elif verb == "bootstrap":
        if target != domain:
            fail(125, "Bootstrap failed: 125: Domain does not support specified action")
        bootstrap(*rest)
    elif verb == "bootout":
        bootout()
    elif verb == "print" and target == domain:
        print(domain)
    elif verb == "print":
        print_service(target.removeprefix(domain + "/"))
    else:
        fail(64, f"Unrecognized subcommand: {verb}")


main(*sys.argv[1:])
