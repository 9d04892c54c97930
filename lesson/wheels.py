"""The packages of Python in a browser: what Pyodide has, wheels from the package index, our own.

Pyodide loads what its lock file names. Ours names what the notebooks need, each in the version that
`pyproject.toml` asks for: Pyodide's own build where it fits, else a wheel from the package index.
"""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.parser import HeaderParser
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from lesson_runner.page.places import LessonError

COMPILED = ("orjson", "pyyaml", "rpds-py", "numpy", "pandas", "matplotlib")
"""Packages that nobody but Pyodide builds for the browser: its version is used, whatever it is."""

ASK_THE_BROWSER = ("httpx",)
"""Packages whose build by Pyodide sends requests past the practice proxy."""

Entry = dict[str, Any]


@dataclass
class Packages:
    """Of a lock file. `folder` is where their wheels go, `at` where Pyodide's own ones are.

    `at` is an address, or a folder that has all of them, or some, or none.
    """

    pyodide: Mapping[str, Any]
    folder: Path
    at: str | Path
    chosen: dict[str, Entry] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)

    def add(self, *requirements: str) -> None:
        """These, and what they need."""
        asked = [Requirement(text) for text in requirements]
        while asked:
            needed: list[Requirement] = []
            to_fetch: dict[str, Requirement] = {}
            for one in asked:
                name = canonicalize_name(one.name)
                entry = self.pyodide["packages"].get(name, {})
                chosen = self.chosen.get(name)
                if chosen and fits(one, chosen):
                    continue
                if chosen and chosen["version"] != entry.get("version"):
                    raise LessonError(f"{one} is needed, and {name} is {chosen['version']} already")
                if entry and fits(one, entry) and self._is_there(entry):
                    self.chosen[name] = dict(entry)
                    needed += map(Requirement, entry["depends"])
                elif name in COMPILED:
                    self.missing.add(name)
                else:
                    to_fetch[name] = one
            for wheel in self._fetched(to_fetch.values()):
                needed += self.take(wheel)
            asked = needed

    def _is_there(self, entry: Entry) -> bool:
        if entry["name"] in ASK_THE_BROWSER:
            return False
        return isinstance(self.at, str) or (self.at / entry["file_name"]).is_file()

    def _fetched(self, wanted: Iterable[Requirement]) -> list[Path]:
        """Wheels for this Pyodide from the package index."""
        specs = [f"{one.name}{one.specifier}" for one in wanted]
        if not specs:
            return []
        before = set(self.folder.glob("*.whl"))
        info = self.pyodide["info"]
        python = info["python"].rpartition(".")[0]
        call = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--disable-pip-version-check", "--only-binary", ":all:", "--implementation", "cp"),
            *("--python-version", python, "--abi", "cp" + python.replace(".", "")),
            *("--platform", f"pyemscripten_{info['abi_version']}_wasm32"),
            *("--dest", str(self.folder), *specs),
        ]
        done = subprocess.run(call, check=False, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise LessonError(f"no wheel for a browser: {', '.join(specs)}\n{done.stderr}")
        return sorted(set(self.folder.glob("*.whl")) - before)

    def take(self, wheel: Path) -> list[Requirement]:
        """Enter a wheel in the folder; what it needs in a browser."""
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
            told = HeaderParser().parsestr(archive.read(metadata).decode())
        needed = [Requirement(text) for text in told.get_all("Requires-Dist") or ()]
        python = self.pyodide["info"]["python"]
        browser = {
            **{"sys_platform": "emscripten", "platform_system": "Emscripten", "os_name": "posix"},
            **{"python_version": python.rpartition(".")[0], "python_full_version": python},
            **{"platform_machine": "wasm32", "extra": ""},
        }
        needed = [one for one in needed if one.marker is None or one.marker.evaluate(browser)]
        name = canonicalize_name(told["Name"])
        tops = {re.sub(r"(/.*|\.py)$", "", top) for top in names if top.endswith(".py")}
        self.chosen[name] = {
            "name": name,
            "version": str(Version(told["Version"])),
            "file_name": wheel.name,
            "install_dir": "site",
            "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
            "package_type": "package",
            "imports": sorted(tops),
            "depends": [canonicalize_name(one.name) for one in needed],
            "unvendored_tests": False,
        }
        return needed

    def lock(self) -> dict[str, Any]:
        """The lock file's content; what is missing is not asked for."""
        packages = {
            name: {**entry, "depends": [one for one in entry["depends"] if one in self.chosen]}
            for name, entry in sorted(self.chosen.items())
        }
        return {"info": self.pyodide["info"], "packages": packages}

    def files(self) -> set[str]:
        return {entry["file_name"] for entry in self.chosen.values()}

    def with_what_they_need(self, *names: str) -> list[str]:
        packages, found = self.lock()["packages"], set(names)
        while more := {one for name in found for one in packages[name]["depends"]} - found:
            found |= more
        return sorted(found)


def fits(one: Requirement, entry: Entry) -> bool:
    is_any = canonicalize_name(one.name) in COMPILED
    return is_any or one.specifier.contains(entry["version"], prereleases=True)


def pure_wheel(folder: Path, name: str, version: str, top: Path, needs: Iterable[str] = ()) -> Path:
    """A wheel of the Python package `top`, as it lies there, without what was compiled."""
    safe = name.replace("-", "_")
    info = f"{safe}-{version}.dist-info"
    files = {
        f"{top.name}/{file.relative_to(top).as_posix()}": file.read_bytes()
        for file in sorted(top.rglob("*"))
        if file.is_file() and file.suffix not in (".pyc", ".so", ".pyd")
    }
    told = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    told += [f"Requires-Dist: {one}" for one in needs]
    files[f"{info}/METADATA"] = "".join(f"{line}\n" for line in told).encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = [f"{path},{_hash(content)},{len(content)}\n" for path, content in files.items()]
    files[f"{info}/RECORD"] = "".join([*record, f"{info}/RECORD,,\n"]).encode()
    wheel = folder / f"{safe}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            # No times: the same files make the same bytes.
            archive.writestr(zipfile.ZipInfo(path), content, zipfile.ZIP_DEFLATED)
    return wheel


def _hash(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
    return f"sha256={digest.decode()}"


def asked_by(project: str, names: Iterable[str]) -> list[str]:
    """What the project says of these packages: `openai<4,>=3`."""
    listed = [Requirement(text) for text in distribution(project).requires or ()]
    found = {one.name: f"{one.name}{one.specifier}" for one in listed}
    return [found.get(name, name) for name in names]
