"""The README's pictures: docs/images/*.png, of the demo's pages as they are at fixed addresses, light, 1440 wide.

python benchmarks/screenshots.py [ADDRESS]

Without an address the demo is started in a folder of its own. An address is that of a running demo, or better the link
that it printed for review: without it there is no picture of *Review*.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

STORYSHIFT = str(Path(sys.executable).with_name("storyshift"))
FOLDER = Path(__file__).parent.parent / "docs" / "images"
WIDTH, MOST_BYTES, COLOURS = 1440, 150_000, 128
YEAR_OF_SHIFT = "start=2020-01-01&end=2020-07-13"
PICTURES = {
    "now": ("/", 1_000),
    "story": (f"/story#{YEAR_OF_SHIFT}&bucket=week", 1_125),
    "lead-lag": ("/lead-lag?start=2019-06-01&end=2021-06-30&driver=theta", 1_672),
    "articles": (f"/articles?q=gold&narrative=debasement&{YEAR_OF_SHIFT}", 1_000),
    "review": ("/review#article={article}", 900),
}
"""Address and height of each."""


@contextmanager
def demo() -> Iterator[str]:
    """The link for review of a demo that runs while it is needed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [STORYSHIFT, "demo", "--port", "8917"]
        server = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            yield next(
                found[0] for line in server.stdout or () if (found := re.search(r"http\S+/open\?code=\S+", line))
            )
        finally:
            server.terminate()
            server.wait()


def draw(link: str) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    root = "{0.scheme}://{0.netloc}".format(urlsplit(link))
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(viewport={"width": WIDTH, "height": 1_000}, reduced_motion="reduce")
        page = context.new_page()
        if reviewing := "/open?" in link:
            page.goto(link)
            page.wait_for_url("**/review")
        asked = f"{root}/v1/articles?narrative=debasement&{YEAR_OF_SHIFT}&limit=1"
        article = page.request.get(asked).json()["data"][0]["id"]
        for name, (address, height) in PICTURES.items():
            if name != "review" or reviewing:
                save(name, picture(page, root + address.format(article=article), height))
        browser.close()


def picture(page: Page, address: str, height: int) -> bytes:
    page.goto("about:blank")
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.goto(address)
    expect(page.locator("[aria-busy=true]:visible")).to_have_count(0, timeout=60_000)
    page.wait_for_timeout(1_500)  # the charts have been drawn
    page.evaluate("document.activeElement.blur()")
    return page.screenshot(animations="disabled")


def save(name: str, png: bytes) -> None:
    path = FOLDER / f"{name}.png"
    Image.open(BytesIO(png)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path.name}: {size / 1_000:.0f} kB")
    if size > MOST_BYTES:
        sys.exit(f"{path} is larger than {MOST_BYTES / 1_000:.0f} kB.")


def main() -> None:
    if len(sys.argv) > 1:
        draw(sys.argv[1])
        return
    with demo() as link:
        draw(link)


if __name__ == "__main__":
    main()
