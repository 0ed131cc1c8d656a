"""What others' programs read of the repository: the citation, the issue forms."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from judgekit.version import VERSION

ROOT = Path(__file__).parents[1]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
REFERENCE_KEYS = {"type", "title", "authors", "identifiers", "url"}


def test_the_citation_is_one_of_format_1_2() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited.keys() >= {"cff-version", "title", "message", "authors"}, "what the format requires"
    assert (cited["cff-version"], cited["type"], cited["license"]) == ("1.2.0", "software", "Apache-2.0")
    assert str(cited["version"]) == VERSION
    assert all(author.keys() == {"name"} for author in cited["authors"]), "an entity, not a person"
    for reference in cited["references"]:
        assert reference.keys() == REFERENCE_KEYS and reference["type"] == "article"
        assert all(i.keys() == {"type", "value"} and i["type"] == "other" for i in reference["identifiers"])


def test_issue_forms_are_what_the_site_reads() -> None:
    assert [form.stem for form in FORMS] == ["bug", "config", "new_judge_or_benchmark", "question", "wrong_figure"]
    for form in FORMS:
        values = yaml.safe_load(form.read_text())
        if form.stem == "config":
            assert values == {"blank_issues_enabled": True}
            continue
        assert values.keys() == {"name", "description", "labels", "body"}
        ids = [part["id"] for part in values["body"]]
        assert len({*ids}) == len(ids) and all(re.fullmatch(r"[\w-]+", name) for name in ids)
        for part in values["body"]:
            assert part["type"] in {"input", "textarea", "dropdown", "checkboxes"} and part["attributes"]["label"]
            assert ("options" in part["attributes"]) == (part["type"] in {"dropdown", "checkboxes"})
