"""A container file that serves the bundle: a small Python image, nobody's rights, and a health check."""

from __future__ import annotations

import sys

from luthier.serve.bundle import Card

PORT = 8000
_TEXT = """\
# Build:  docker build -f Containerfile -t {tag} .        (in the folder of this file)
#         podman build --format docker -f Containerfile -t {tag} .        (without --format it leaves out the health check)
# Key:    luthier key ../keys.txt; chmod a+r ../keys.txt    (prints a key once; the file, which stays outside, holds its hash)
# Run:    docker run -p {port}:{port} -v "$PWD/../keys.txt:/keys.txt:ro"{mount} {tag}
FROM python:{python}-slim

# Without a GPU, give the index of torch's CPU builds: --build-arg PIP_EXTRA_INDEX_URL=…
ARG PIP_EXTRA_INDEX_URL=""
RUN useradd --create-home --uid 10001 luthier
WORKDIR /bundle
COPY requirements.lock {wheel} ./
RUN pip install --no-cache-dir -r requirements.lock
COPY --chown=luthier:luthier . .

USER luthier
EXPOSE {port}
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s \\
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:{port}/health', timeout=4)"]
CMD ["luthier", "serve", "/bundle", "--host", "0.0.0.0", "--port", "{port}", "--keys", "/keys.txt"]
"""


def container_text(card: Card, wheel: str, base_folder: str | None) -> str:
    """The content of `Containerfile`; a base that is a folder of this machine (`base_folder`) has to be mounted where it was."""
    mount = "" if base_folder is None else f' -v "{base_folder}:{base_folder}:ro"'
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return _TEXT.format(tag=card.name.lower(), port=PORT, python=python, wheel=wheel, mount=mount)
