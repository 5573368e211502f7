"""Run captured `setup` calls inside the container, each on its own files, and print what came of them.

stdin, $1 bytes: a list of {argv, stdin, files_before, maildirs}; stdout: a list of {rc, stdout, stderr, files}.
One process for all cases: an exec for each would take minutes.
"""

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def replay(case: dict) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        config, mail = Path(folder, "config"), Path(folder, "mail")
        config.mkdir()
        for name, text in case["files_before"].items():
            (config / name).write_bytes(text.encode())
        for maildir in case["maildirs"]:
            (mail / maildir).mkdir(parents=True)
        folders = {"POSTROOM_TEST_CONFIG": str(config), "POSTROOM_TEST_MAIL": str(mail)}
        ran = subprocess.run(
            case["argv"], input=(case["stdin"] or "").encode(), capture_output=True, env={**os.environ, **folders}
        )
        files = {path.name: path.read_bytes().decode() for path in config.iterdir()}
        shown = [
            out.decode(errors="replace").replace(str(config), "CONFIG").replace(str(mail), "MAIL")
            for out in (ran.stdout, ran.stderr)
        ]
        return {"rc": ran.returncode, "stdout": shown[0], "stderr": shown[1], "files": files}


with ThreadPoolExecutor(2) as pool:
    json.dump(list(pool.map(replay, json.loads(sys.stdin.buffer.read(int(sys.argv[1]))))), sys.stdout)
