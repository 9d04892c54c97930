"""Runs in Pyodide, under Node: what is imported at the start of a notebook, as bytecode.

Compiling takes Python in a browser longer than anything else. `/site` is the site's folder
`pyodide`, and `/out` gets a wheel for the start, and one for each large package.
"""

# mypy: ignore-errors

import importlib.util
import json
import os
import sys
import zipfile
from importlib._bootstrap_external import _code_to_hash_pyc
from pathlib import Path

import piplite.piplite  # noqa: F401 - the kernel's own order
import pyodide_kernel
from pyodide_js import loadPackage

SITE = "/lib/python{}.{}/site-packages/".format(*sys.version_info)
STDLIB = "/lib/python{}{}.zip/".format(*sys.version_info)
seen = set()


def bytecode(module):
    """A module's file, from its folder on, and its bytecode; nothing if it is compiled C."""
    spec = module.__spec__
    if not spec or not (spec.origin or "").startswith((SITE, STDLIB)) or not spec.loader:
        return None
    if not spec.origin.endswith(".py"):
        return None
    source = spec.loader.get_data(spec.origin)
    code = compile(source, spec.origin, "exec", dont_inherit=True)
    # It is used without a look at the source, which comes from the same build.
    return spec.origin, _code_to_hash_pyc(code, importlib.util.source_hash(source), False)


def write(name):
    """Of all modules that were imported since the last time."""
    new = {key: module for key, module in sys.modules.items() if key not in seen}
    seen.update(new)
    found = dict(sorted(filter(None, map(bytecode, new.values()))))
    with (
        zipfile.ZipFile(f"/out/{name}_bytecode-1-py3-none-any.whl", "w") as wheel,
        zipfile.ZipFile("/site/python_stdlib.zip", "a") as stdlib,
    ):
        info = f"{name}_bytecode-1.dist-info"
        wheel.writestr(zipfile.ZipInfo(f"{info}/METADATA"), f"Name: {name}-bytecode\nVersion: 1\n")
        wheel.writestr(zipfile.ZipInfo(f"{info}/WHEEL"), "Wheel-Version: 1.0\n")
        for origin, content in found.items():
            if origin.startswith(STDLIB):
                to, path = stdlib, origin.removeprefix(STDLIB) + "c"
            else:
                to, path = wheel, importlib.util.cache_from_source(origin.removeprefix(SITE))
            to.writestr(zipfile.ZipInfo(path), content, zipfile.ZIP_DEFLATED)


async def main():
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    await pyodide_kernel.kernel_instance.run("1 / 0")  # an error loads what shows it
    from mock_proxy.server.browser import start

    start()
    import requests

    url, key = os.environ["LITELLM_BASE_URL"], os.environ["LITELLM_API_KEY"]
    asked = {"model": os.environ["LITELLM_MODEL"], "messages": [{"role": "user", "content": "Hi"}]}
    headers = {"Authorization": f"Bearer {key}"}
    answer = requests.post(f"{url}/v1/chat/completions", headers=headers, json=asked)
    assert answer.status_code == 200, answer.text
    write("start")
    for name in json.loads(Path("/out/large.json").read_text()):
        await loadPackage(name)
        importlib.import_module(name)
        write(name)


await main()  # noqa: F704
