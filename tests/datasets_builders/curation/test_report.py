import json
import re

import pytest
from datasets import load_dataset

from judgekit.io import MANIFEST, read_json, write_json, write_records
from judgekit.types import LabelledSolution, labels_from_first_error
from judgekit_datasets.curation.config import BalanceConfig, ContaminationConfig, CurationConfig, DuplicatesConfig
from judgekit_datasets.curation.curate import curate
from judgekit_datasets.curation.report import CurationReport, Share, write_page

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\"><!-- | [x](y)"


def make(folder, *, splits=None, name="curated"):
    """Ten problems: one in the benchmark, one twice, one near-duplicate, one poor; hostile texts in names."""
    solutions = []
    for i in range(10):
        problem = f"A problem with number {i} in which somebody has {HOSTILE if i == 3 else 'many'} apples to give away"
        steps = (f"There are {i} apples in the box to begin with.", f"Then {i} go, so the answer is 0.")
        first_error = 1 if i % 2 else None
        solutions.append(
            LabelledSolution(
                problem=problem,
                steps=steps if i != 4 else ("x", " "),
                labels=labels_from_first_error(first_error, n_steps=2),
                source="prmbench" if i < 5 else HOSTILE,
                source_id=f"prm_{'train' if i < 2 else 'test'}_p1_{i}",
                generator="writer",
                label_method="monte_carlo",
                licence="MIT",
            )
        )
    again = solutions[6].model_copy(update={"id": "again"})
    near = solutions[7].model_copy(update={"id": "near", "problem": solutions[7].problem + " today"})
    data = folder / f"{name}-data"
    write_records(data, [*solutions, again, near], record_type=LabelledSolution)
    write_json(data / MANIFEST, read_json(data / MANIFEST) | {"report": {"leakage_auroc": 0.53}})
    bench = folder / "bench.jsonl"
    bench.write_text(json.dumps({"question": solutions[0].problem, "answer": "none"}) + "\n")
    config = CurationConfig(
        data=(data,),
        name="Tests & <more>",
        duplicates=DuplicatesConfig(near=0.7),
        contamination=ContaminationConfig(benchmarks={"bench": bench}),
        balance=BalanceConfig(error_frac=0.5),
        splits=splits,
        workers=1,
    )
    return curate(config, folder / name)


def test_counts(tmp_path):
    report = make(tmp_path)
    # 12 rows: one poor (4), one contaminated (0), two duplicates; of 2, 6, 8 and 1, 3, 5, 7, 9 three errors stay
    assert (report.rows_read, report.rows_kept, report.rows_removed) == (12, 6, 6)
    assert report.labels == {"error": Share(read=6, kept=3), "no error": Share(read=6, kept=3)}
    assert report.first_errors == {"none": Share(read=6, kept=3), "1": Share(read=6, kept=3)}
    assert report.n_steps == {"2": Share(read=12, kept=6)}
    assert report.leakage_auroc == {"curated-data": 0.53}
    overlap = {row.part: row for row in report.contamination}
    assert overlap["problem"].rows == {"exact": 1, "contained": 0, "ngram": 0}
    assert (overlap["problem"].texts, overlap["problem"].texts_found, overlap["solution"].texts) == (1, 1, 1)
    assert {name: share.read for name, share in report.prm800k_files["prmbench"].items()} == {
        "phase1_test": 3,
        "phase1_train": 2,
    }
    assert {example.reason for example in report.examples} == {
        "balance of labels", "contaminated problem", "exact duplicate", "near-duplicate", "step too short",
    }  # fmt: skip
    stored = CurationReport.model_validate(read_json(tmp_path / "curated" / "curation.json"))
    assert stored == report


def test_card_is_read_by_datasets(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    report = make(tmp_path, splits={"train": 0.6, "held_out": 0.4})
    cache = str(tmp_path / "cache")
    loaded = load_dataset(str(tmp_path / "curated"), cache_dir=cache)
    assert {name: len(rows) for name, rows in loaded.items()} == {k: side.rows for k, side in report.splits.items()}
    assert loaded["train"].column_names == list(LabelledSolution.model_fields)
    removed = load_dataset(str(tmp_path / "curated"), "removed", cache_dir=cache)["train"]
    assert len(removed) == report.rows_removed and "kept_id" in removed.column_names
    files = str(tmp_path / "curated/train/data/*.parquet")
    assert len(load_dataset("parquet", data_files=files, cache_dir=cache)["train"]) == report.splits["train"].rows


def test_card_says_what_is_in_it(tmp_path):
    make(tmp_path)
    card = (tmp_path / "curated" / "README.md").read_text()
    assert card.startswith("---\npretty_name: Tests & <more>\nlicense:\n- mit\n")
    assert "| prmbench | monte_carlo | MIT |" in card
    assert "AUROC 0.530" in card and "Monte-Carlo" in card and "Injected errors" not in card
    assert "rows of prmbench come from PRM800K train files" in card
    assert "<img" not in card and "<!--" not in card and "[x](" not in card.replace("\\[x](", "")
    assert "Decontaminated against bench only" in card


def test_page_is_one_inert_file(tmp_path):
    make(tmp_path)
    page = (tmp_path / "curated" / "curation.html").read_text()
    assert "<script" not in page and "<img" not in page and "<!--" not in page
    assert not re.search(r"https?:|url\(|@import|\bsrc=|\bhref=", page.replace("img src=x", ""))
    assert "6 of 12 rows kept (50.0%)." in page


@pytest.mark.parametrize("width", [1300, 390])
def test_page_in_a_browser(browser, tmp_path, width):
    make(tmp_path)
    page = tmp_path / "curated" / "curation.html"
    driver = browser.open(page, width=width)
    driver.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    assert driver.title == "Curation of Tests & <more>"
    assert "near-duplicate" in driver.find_element("tag name", "body").text
    bars = driver.find_elements("css selector", "rect.bar")
    assert len(bars) == 6 + 2 * 2 + 2  # funnel; first error and length, kept and removed
    assert browser.requests() == [page.as_uri()] and browser.messages() == []


def test_a_report_without_anything_removed(tmp_path):
    share = {"x": Share(read=1, kept=1)}
    report = CurationReport(
        name="n", rows_read=1, rows_kept=1, funnel=[], splits={}, labels=share, first_errors={"none": share["x"]},
        n_steps={"1": share["x"]}, sources=share, generators=share, origins=[], contamination=[], prm800k_files={},
        leakage_auroc={}, examples=[],
    )  # fmt: skip
    write_page(report, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "No row was removed." in page and "nothing was compared" in page
