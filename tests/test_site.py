"""What builds the site: the workflow, `make site`, dead links, workarounds for the theme."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = ROOT / ".github" / "workflows"


def dead_links(site: Path) -> list[str]:
    spec = importlib.util.spec_from_file_location("dead_links", ROOT / ".ci" / "dead_links.py")
    assert spec
    assert spec.loader
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return list(module.dead_links(site))


def test_links_that_lead_nowhere_within_the_site_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<a href="theme.html">theme</a><main id="m"><h2 id="here">x</h2>'
        '<a href="#here">1</a><a href="#gone">2</a><a href="b.html#there">3</a>'
        '<a href="b.html#gone">4</a><a href="c.html">5</a><a href="https://example.org/x">6</a>'
        '<img src="gone.png"><a href="data.csv">7</a><a href="">8</a></main>'
    )
    (tmp_path / "b.html").write_text('<main><h2 id="there">x</h2></main>')
    (tmp_path / "data.csv").touch()
    assert dead_links(tmp_path) == [
        "a.html: #gone",
        "a.html: b.html#gone",
        "a.html: c.html",
        "a.html: gone.png",
    ]


def test_our_workflows_are_not_among_those_that_the_workbench_deletes() -> None:
    """`sandpaper::update_github_workflows()` begins with deleting all `.yaml` files."""
    assert list(WORKFLOWS.glob("*.yaml")) == []
    assert {file.name for file in WORKFLOWS.glob("*.yml")} >= {"site.yml", "test.yml"}


def test_the_workflow_stamps_what_really_ran_and_builds_that() -> None:
    jobs = yaml.safe_load((WORKFLOWS / "site.yml").read_text())["jobs"]
    pages = [step.get("run") or step["uses"] for step in jobs["pages"]["steps"]]
    checked = next(step for step in pages if step.startswith("lesson check"))
    stamped = next(step for step in pages if step.startswith("lesson stamp"))
    assert "--require-languages python,r,bash" in checked
    assert checked.split("--json ")[1] in stamped
    assert '/link"' in stamped
    assert pages.index(checked) < pages.index(stamped)
    build = [str(step.get("run") or step["uses"]) for step in jobs["build"]["steps"]]
    wanted = ("download-artifact", "git commit", "site.R . validate", "build-and-deploy@", "mv ")
    order = [next(n for n, step in enumerate(build) if name in step) for name in wanted]
    assert order == sorted(order)
    assert jobs["build"]["needs"] == ["pages", "link"]


@pytest.fixture
def without_the_workbench(tmp_path: Path) -> dict[str, str]:
    """An environment whose R has no package of a user."""
    return {"PATH": "/usr/bin:/bin", "R_LIBS": "", "R_LIBS_USER": str(tmp_path), "HOME": "/"}


def test_make_site_says_what_to_install(without_the_workbench: dict[str, str]) -> None:
    target = re.search(r"^site:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert target is not None
    assert "https://carpentries.github.io/workbench/" in target[1]
    # The question is asked before the pages run, which takes a minute.
    assert target[1].index("Rscript .ci/site.R\n") < target[1].index("lesson check")
    if not shutil.which("Rscript", path=without_the_workbench["PATH"]):
        pytest.skip("no R on this machine")

    def rscript(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["Rscript", *arguments],
            cwd=ROOT,
            env=without_the_workbench,
            capture_output=True,
            text=True,
            check=False,
        )

    if rscript("-e", "library(sandpaper)").returncode == 0:
        pytest.skip("the Workbench is installed for everybody on this machine")
    done = rscript(".ci/site.R")
    assert done.returncode == 2
    assert "https://carpentries.github.io/workbench/" in done.stderr


def test_each_workaround_for_the_theme_is_told_to_those_who_could_do_without_it() -> None:
    style = re.search(r"<style>\n(.*)</style>", (ROOT / "links.md").read_text(), re.DOTALL)
    assert style is not None
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    section = guide.partition("## What we work around")[2].partition("\n## ")[0]
    selectors = (".accordion-button", ".code-label", "pre.output", "pre.error", "pre", "table")
    for selector in (*selectors, ".lesson-title-md"):
        assert selector in style[1]
        assert f"`{selector}`" in section
