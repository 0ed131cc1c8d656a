"""Prompt files: their hashes, what is refused, and what candidates can and cannot do in them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from judgekit.errors import CheckpointError
from judgekit.judges.critics.prompt import BUILTIN_PROMPTS, load_prompt
from judgekit.judges.recognise import families
from judgekit.types import Solution

HASHES = {
    "direct-1": "c29fbd6adaf13e2ac38e57e72922064dd76bdc6ae4f32e20abc58f65d6d70a29",
    "fapo-genrm-1": "c35b485728f4f8902fc6459a8d59000ed696f5efc4666156f41efe966aba7dc3",
    "generic-1": "a8738a93a6d1b3571dca4bf18e981989c7288837464e06032c06148ba026d18d",
    "generic-reference-1": "a39b9e50fd5b083d1ce6d299e983eabca3336b7ce9715b44929bcc7f2bcb2ab3",
    "genprm-1": "b70a066fa113236cc8f9c6b7cf70055f5531d7c68fbd93590b01739885a50d69",
    "r-prm-1": "82b56269400ee9699dc6b7712440c9e260358ddd4b659af42e8bc33eb843b136",
    "thinkprm-1": "a44e476e51fd06ab6d952302b52181d1c344c89fa620b30dc911af21a936b5da",
}
SOLUTION = Solution(problem="2+3-1?", steps=("2+3=6", "6-1=5"), reference="4")


def test_a_prompt_once_published_stays_as_it_is() -> None:
    """Figures belong to a wording: change it in a new file with the next number, and add its hash here."""
    found = {path.stem: load_prompt(path.stem, directory=Path()).sha256 for path in BUILTIN_PROMPTS.glob("*.yaml")}
    assert found == HASHES


def test_every_family_of_critics_names_a_prompt() -> None:
    named = {family.card["critic"]["prompt"] for family in families().values() if family.card["kind"] == "critic"}
    assert named == {"generic-1", "fapo-genrm-1", "thinkprm-1", "genprm-1", "r-prm-1"}


def test_a_prompt_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    shutil.copy(BUILTIN_PROMPTS / "generic-1.yaml", path)
    relative, absolute = (load_prompt(name, directory=tmp_path) for name in ("mine.yaml", str(path)))
    assert relative == absolute == load_prompt("generic-1", directory=tmp_path)


def test_a_changed_prompt_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    shutil.copy(BUILTIN_PROMPTS / "generic-1.yaml", path)
    before = load_prompt("mine.yaml", directory=tmp_path).sha256
    assert load_prompt("mine.yaml", directory=tmp_path, sha256=before).sha256 == before
    path.write_text(path.read_text().replace("Redo every calculation", "Look at every calculation"))
    after = load_prompt("mine.yaml", directory=tmp_path).sha256
    with pytest.raises(CheckpointError, match="has changed") as error:
        load_prompt("mine.yaml", directory=tmp_path, sha256=before)
    assert all(part in str(error.value) for part in (before, after, "critic.prompt_sha256", "restore the file"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: [", "cannot read"),
        ("!!python/object:os.system {}", "cannot read"),
        ("source: mine\nlayout: solution\nuser: '{solution}'\nanswer: {type: boxed_index}", r"no \{problem\}"),
        ("source: mine\nlayout: solution\nuser: '{problem}'\nanswer: {type: boxed_index}", r"no \{solution\}"),
        ("source: mine\nlayout: step\nuser: '{problem}{step}'\nanswer: {type: boxed_index}", "does not fit the layout"),
        (
            "source: mine\nlayout: turns\nuser: '{problem}{step}'\nanswer: {type: next_token, ask: a, ok: b, error: c}",
            "later_user",
        ),
        (
            "source: mine\nlayout: solution\nuser: '{problem}{solution}'\ndrop: '('\nanswer: {type: boxed_index}",
            "not a regular expression",
        ),
        ("source: mine\nlayout: solution\nuser: '{problem}{solution}'\nanswer: {type: guess}", "answer"),
    ],
)
def test_files_that_are_no_prompt(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(CheckpointError, match=complaint):
        load_prompt("mine.yaml", directory=tmp_path)


def test_a_missing_prompt_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"unknown critic prompt 'generic-9': .* direct-1, fapo-genrm-1, generic-1"
    ):
        load_prompt("generic-9", directory=tmp_path)


def test_placeholders_in_a_candidate_stay_text() -> None:
    prompt = load_prompt("generic-reference-1", directory=Path()).prompt
    [message] = prompt.messages(
        Solution(problem="{solution} {reference}", steps=("{problem}{index}", "{step}"), reference="{problem}")
    )
    assert "Problem:\n{solution} {reference}\n\nReference:\n{problem}\n\n" in message["content"]
    assert (
        "<paragraph_0>\n{problem}{index}\n</paragraph_0>\n\n<paragraph_1>\n{step}\n</paragraph_1>\n\n"
        in (message["content"])
    )


def test_what_is_dropped_from_a_step_leaves_nothing_behind() -> None:
    prompt = load_prompt("thinkprm-1", directory=Path()).prompt
    [message, _] = prompt.messages(
        Solution(problem="1?", steps=(" Step 1: 1+1=2", "StepStep 3: 9: \n\nStep 4: hm", "3"))
    )
    assert "[Solution]\n\nStep 1: 1+1=2\nStep 2: S tep 9: \n\n hm\nStep 3: 3\n\nReview" in message["content"]


def test_the_critic_sees_the_reference_only_where_the_prompt_shows_it() -> None:
    solution = SOLUTION.model_copy(update={"reference": "R3FERENCE"})
    shown = {path.stem: load_prompt(path.stem, directory=Path()).prompt for path in BUILTIN_PROMPTS.glob("*.yaml")}
    seen = {name for name, prompt in shown.items() if "R3FERENCE" in str(prompt.messages(solution))}
    assert seen == {name for name, prompt in shown.items() if prompt.needs_reference}
    assert seen == {"generic-reference-1", "fapo-genrm-1"}


@pytest.mark.parametrize("name", ["generic-1", "r-prm-1", "genprm-1", "thinkprm-1"])
def test_the_length_of_prompts_is_known_before_they_are_made(name: str) -> None:
    prompt = load_prompt(name, directory=Path()).prompt
    solution = Solution(problem="\u0416" * 1000, steps=("\u0429" * 500, "\u042d" * 300, "\u042e" * 200))
    steps = range(1 if prompt.layout == "solution" else 3)
    earlier = [""] * 3 if prompt.layout == "turns" else []
    made = str([prompt.messages(solution, step=step, earlier=earlier[:step]) for step in steps])
    n_made = sum(map(made.count, "\u0416\u0429\u042d\u042e"))
    assert n_made <= prompt.n_chars(solution) <= 1.1 * n_made
