"""`make notebooks`: executes the notebooks in place against a demo of their own; what varies by run is not kept."""

import base64
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

from storyshift import Client, Refused

HERE = Path(__file__).parent
STORYSHIFT = (sys.executable, "-m", "storyshift")
READY_WITHIN = 600
"""Seconds."""


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        demo = subprocess.Popen([*STORYSHIFT, "demo", "--port", str(port)], cwd=folder)
        try:
            os.environ["STORYSHIFT_URL"] = f"http://127.0.0.1:{port}"
            os.environ.pop("STORYSHIFT_KEY", None)
            _wait(demo)
            beside = {"STORYSHIFT_DATABASE_URL": "sqlite:///storyshift-demo.db", "STORYSHIFT_TAGGER": "keywords"}
            subprocess.run([*STORYSHIFT, "tag"], cwd=folder, env=os.environ | beside, check=True)
            for path in sorted(HERE.glob("*.ipynb")):
                print(path.name, file=sys.stderr)
                execute(path)
        finally:
            demo.terminate()
            demo.wait()


def _wait(demo: "subprocess.Popen[bytes]") -> None:
    """Until the demo has tagged all it has."""
    for _ in range(READY_WITHIN):
        if demo.poll() is not None:
            raise SystemExit("The demo ended before it was ready.")
        try:
            if Client(os.environ["STORYSHIFT_URL"]).health()["untagged"] == 0:
                return
        except Refused:
            time.sleep(1)
    raise SystemExit(f"The demo was not ready within {READY_WITHIN} s.")


def execute(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, record_timing=False).execute()
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.get("metadata", {}).clear()
            if "image/png" in output.get("data", {}):
                output["data"]["image/png"] = _small(output["data"]["image/png"])
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")


def _small(png: str) -> str:
    """A chart has few colours: a third of the bytes. Both in base64."""
    found = io.BytesIO()
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    image.quantize(64, dither=Image.Dither.NONE).save(found, "png", optimize=True)
    return base64.b64encode(found.getvalue()).decode()


if __name__ == "__main__":
    main()
