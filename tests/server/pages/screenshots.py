"""Takes the pictures of the documentation from the sample plan: `make screenshots`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.server.live import serve
from tests.server.pages.chromium import chromium, sign_in, tab

PICTURES = {
    "plan": "/plan?open=corp,corp/uksouth&space=corp",
    "reserve": "/reserve?space=corp&block=westeurope&size=22",
    "map": "/map",
    "findings": "/networks?tab=findings",
}


def main(target: Path) -> None:
    """Write every picture into a directory."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory, chromium() as browser:
        place = Path(directory)
        with serve(str(place / "register.db"), place, sample=True) as live:
            origin = f"http://127.0.0.1:{live.admin.port}"
            with tab(browser, viewport={"width": 1280, "height": 760}, color_scheme="light") as page:
                sign_in(page, origin, live.admin.token)
                for name, address in PICTURES.items():
                    page.goto(origin + address)
                    page.screenshot(path=target / f"{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
