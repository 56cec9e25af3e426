"""What exists is documented: a test fails when a setting, command or statistic is not."""

import re
import subprocess
import sys
from pathlib import Path

from config.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_setting_stands_in_the_readme() -> None:
    told = set(re.findall(r"`STORYSHIFT_(\w+)`", README))
    assert {name.upper() for name in Settings.model_fields} <= told


def test_every_statistic_has_its_page() -> None:
    for module in (ROOT / "analysis").glob("*.py"):
        for page in re.findall(r"docs/methods/[\w-]+\.md", module.read_text(encoding="utf-8")):
            assert (ROOT / page).exists(), f"{module.name} names {page}"


def test_links_between_the_documents_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_command_says_what_it_does() -> None:
    for words in ([], ["import"], ["feeds"], ["narratives"]):
        shown = subprocess.check_output(
            [sys.executable, "-m", "storyshift", *words, "--help"], text=True, env={"COLUMNS": "160", "PATH": ""}
        )
        commands = re.findall(r"│ (\w[\w-]*)  +(\S.*?) *│", shown)
        assert commands
        assert all(len(told) > 10 for _, told in commands)


def test_no_machine_path_or_registry_host_is_committed() -> None:
    files = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).split()
    for name in files:
        if name.endswith((".lock", ".toml", ".md", "Makefile", "Dockerfile", ".yml", "run")):
            text = (ROOT / name).read_text(encoding="utf-8")
            for word in ("pypi.org", "pythonhosted", "file:///", "/root/", "/work/", "/opt/"):
                assert word not in text, f"{name} names {word}"
