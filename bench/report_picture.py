"""The README's pictures: the top of a run's report page, light and dark, by headless Chromium.

    python bench/report_picture.py runs/demo --out docs/figures

writes `report-light.png` and `report-dark.png`, in at most 128 colours each, so that they stay small.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

SCHEMES = {"dark": 0, "light": 1}
SIZE = (1000, 1500)
COLOURS = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    args = parser.parse_args()
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("there is no Chromium here")
    page = (args.run / "evaluation" / "report.html").resolve().as_uri()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, scheme in SCHEMES.items():
        with tempfile.TemporaryDirectory() as folder:
            shot = Path(folder) / "shot.png"
            subprocess.run(
                [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1.5",
                 f"--user-data-dir={folder}/profile", f"--window-size={SIZE[0]},{SIZE[1]}", f"--screenshot={shot}",
                 f"--blink-settings=preferredColorScheme={scheme}", page],
                check=True, capture_output=True, timeout=120,
            )  # fmt: skip
            path = args.out / f"report-{name}.png"
            Image.open(shot).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
