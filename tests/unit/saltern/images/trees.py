"""Small folders of images for tests."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[4]

TINY = {
    "base/Dockerfile.j2": "FROM {{ image('distro') }}\nCOPY hello /hello\n",
    "base/hello": "hello\n",
    "tool/Dockerfile.j2": (
        "{{ build_only() }}\nFROM {{ image('base') }}\nLABEL saltern.stage={{ reference }}\nCOPY settings/ /\n"
    ),
    "app/Dockerfile.j2": (
        "FROM {{ image('tool') }} AS stage\nCOPY {{ lock('app') }} /lock\n"
        "FROM {{ image('base') }}\nCOPY --from=stage /lock /lock\nUSER kolla\n"
    ),
    "other/Dockerfile.j2": "FROM {{ image('base') }}\nCOPY {{ shared('note') }} /note\n",
    "_build/note": "shared\n",
    "locks/1.0/app.txt": "app==1\n",
}


def write(folder: Path, files: dict[str, str] | None = None) -> Path:
    """Write a folder of images (path → text) and return it."""
    for path, text in (TINY if files is None else files).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return folder
