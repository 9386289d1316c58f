# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Labels: keys, languages, fallback, and what a translation lacks."""

import json
import shutil
from pathlib import Path

import pytest

from broker.catalogue import Catalogue, Labels
from broker.catalogue.labels import LANGUAGES, Gaps, ReviewStatus, Translation, find_gaps, read_translation
from broker.core.errors import CatalogueInvalid
from broker.schema_files import list_translations, load_catalogue, load_labels

SCHEMAS = Path(__file__).parents[2] / "schemas"
ENGLISH = {"codes/colour": "Colour", "codes/colour/RED": "Red", "codes/colour#help": "What it looks like."}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The catalogue of this program."""
    return load_catalogue()


def _file(language: str = "et", **changes: object) -> bytes:
    data = {
        "language": language,
        "name": "eesti",
        "status": "unreviewed",
        "labels": {
            "codes/colour/RED": {"en": "Red", "text": "Punane"},
            "codes/colour": {"en": "Color", "text": "Värv"},
            "codes/shape": {"en": "Shape", "text": "Kuju"},
        },
    }
    return json.dumps({**data, **changes}).encode()


def _labels(asked: list[str] | None = None) -> Labels:
    def read(language: str) -> Translation | None:
        if asked is not None:
            asked.append(language)
        return read_translation(_file(), "et") if language == "et" else None

    return Labels(lambda: ENGLISH, read)


def test_a_label_is_given_in_the_readers_language() -> None:
    """It says which language it is in and that nobody has reviewed it."""
    label = _labels().code("colour", "RED", "et")
    assert (label.text, label.language, label.status) == ("Punane", "et", ReviewStatus.UNREVIEWED)


def test_a_region_falls_back_to_its_language_and_that_to_english() -> None:
    """``et-EE`` is Estonian; a language without a file, without the label or never heard of is English."""
    labels = _labels()
    assert labels.code("colour", "RED", "et-EE").text == "Punane"
    for language in ("fi", "en", "tlh", "", "../../etc"):
        label = labels.code("colour", "RED", language)
        assert (label.text, label.language, label.status) == ("Red", "en", ReviewStatus.SOURCE)


def test_a_stale_translation_is_not_shown() -> None:
    """What was translated from other English could say the opposite by now."""
    assert _labels().label("codes/colour", "et").text == "Colour"


def test_a_help_text_is_absent_where_there_is_none() -> None:
    """Not everything needs explaining."""
    help_text = _labels().help("codes/colour", "et")
    assert help_text is not None
    assert help_text.text == "What it looks like."
    assert _labels().help("codes/colour/RED", "et") is None


def test_a_language_is_read_once_and_only_when_asked_for() -> None:
    """An idle node holds none; nothing but a language's tag reaches a file name."""
    asked: list[str] = []
    labels = _labels(asked)
    assert asked == []
    for language in ("et", "et", "en", "../secret", "tlh"):
        labels.label("codes/colour", language)
    assert asked == ["et", "tlh"]
    assert labels.status("et") is ReviewStatus.UNREVIEWED
    assert labels.status("en") is ReviewStatus.SOURCE
    assert labels.status("tlh") is None


def test_an_unknown_key_is_an_error_of_ours() -> None:
    """A label that nothing has is never made up."""
    with pytest.raises(CatalogueInvalid) as caught:
        _labels().code("colour", "BLUE", "et")
    assert caught.value.where == "codes/colour/BLUE"


def test_gaps_are_told_one_by_one() -> None:
    """Missing, stale and unused keys are listed; a complete translation has none."""
    gaps = find_gaps(ENGLISH, read_translation(_file(), "et"))
    assert gaps == Gaps(missing=("codes/colour#help",), stale=("codes/colour",), unused=("codes/shape",))
    whole = {key: {"en": text, "text": text.upper()} for key, text in ENGLISH.items()}
    assert not find_gaps(ENGLISH, read_translation(_file(labels=whole), "et"))


REFUSED = {
    "not JSON": b"{",
    "another language": _file("fi"),
    "an unknown member": _file(made_by="somebody"),
    "an unknown status": _file(status="perfect"),
    "source as status": _file(status="source"),
    "a list as status": _file(status=[]),
    "labels as a list": _file(labels=[]),
    "a bare text": _file(labels={"codes/colour": "Värv"}),
    "an empty text": _file(labels={"codes/colour": {"en": "Colour", "text": ""}}),
    "space around a text": _file(labels={"codes/colour": {"en": "Colour", "text": " Värv"}}),
    "no name": _file(name=1),
    "a list": b"[]",
    "too large": b" " * (8 * 1_048_576 + 1),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_malformed_translation_is_refused(case: str) -> None:
    """The place names the file, and the key where one is wrong."""
    with pytest.raises(CatalogueInvalid) as caught:
        read_translation(REFUSED[case], "et")
    assert str(caught.value.where).startswith("labels/et.json")


def test_everything_a_person_reads_has_a_key(catalogue: Catalogue) -> None:
    """Lists, codes, parts, fields, messages, header, procedures, states, acts and deadlines; nodes' own words do not."""
    english = catalogue.english()
    for key in (
        "codes/approach",
        "codes/approach/DISCREET",
        "parts/name/given",
        "parts/child-wish#help",
        "messages/family-tracing/request",
        "messages/family-tracing/request/persons_sought",
        "header/urgency",
        "procedures/family-tracing",
        "procedures/family-tracing/states/ANSWERED",
        "procedures/family-tracing/acts/result",
        "procedures/family-tracing/deadlines/answer-b2b-80",
        "procedures/family-tracing/deadlines/answer-b2b-80/silence",
    ):
        assert english[key].strip(), key
    assert not [key for key in english if key.startswith(("messages/node", "parts/uuid7"))]


def test_the_value_of_a_fact_has_the_name_of_its_field(catalogue: Catalogue) -> None:
    """``last_known/place`` and not ``last_known/value/place``; list items likewise."""
    english = catalogue.english()
    assert "parts/person-sought/last_known/place" in english
    assert "parts/person-sought/evidence/held_by" in english
    assert not [key for key in english if "/value/" in key]


def test_a_field_a_state_and_an_act_are_found_by_their_names(catalogue: Catalogue) -> None:
    """The shorter ways to a label lead to the same keys."""
    labels = Labels(catalogue.english, lambda language: None)
    assert labels.field("parts/name", ["given"], "en").text == "Given names"
    assert labels.state("family-tracing", "ANSWERED", "en").text == "Answered"
    assert labels.act("family-tracing", "withdrawal", "en").text == "Withdraw"


def test_a_shared_act_is_named_once_for_all_families(catalogue: Catalogue) -> None:
    """A family's shared act and its fields have the labels of the act, with the procedure's name before the title."""
    translated = {"parts/acts/refusal": "Keeldumine", "procedures/family-tracing": "Pere otsimine"}
    english = catalogue.english()
    estonian = Translation(
        language="et",
        name="eesti",
        status=ReviewStatus.UNREVIEWED,
        labels={key: (english[key], text) for key, text in translated.items()},
    )
    labels = Labels(catalogue.english, lambda language: estonian)

    assert not [key for key in english if key.startswith("messages/family-tracing/refusal")]
    assert labels.label("messages/family-tracing/refusal", "et").text == "Pere otsimine: Keeldumine"
    assert labels.label("messages/family-tracing/refusal/ground", "en").text == "Ground"
    assert labels.help("messages/family-tracing/refusal", "en") is not None
    assert labels.help("messages/family-tracing/refusal/ground", "en") is None
    with pytest.raises(CatalogueInvalid):
        labels.label("messages/family-tracing/refusal/gone", "et")


def test_one_more_language_is_one_more_file(tmp_path: Path) -> None:
    """A file of labels is all that a further language needs: codes, fields, states and acts are shown in it at once."""
    folder = tmp_path / "schemas"
    shutil.copytree(SCHEMAS, folder, ignore=shutil.ignore_patterns("*.md", "examples", "profiles", "documents"))
    catalogue = load_catalogue(folder)
    english = catalogue.english()
    made = {key: {"en": text, "text": f"[{text}]"} for key, text in english.items()}
    file = {"language": "is", "name": "íslenska", "status": "unreviewed", "labels": made}
    (folder / "labels" / "is.json").write_text(json.dumps(file), "utf-8")

    labels = load_labels(catalogue, folder)

    assert list_translations(folder) == tuple(sorted({*LANGUAGES, "is"} - {"en"}))
    assert all(labels.label(key, "is").text == f"[{text}]" for key, text in english.items())
    assert labels.label("codes/yes-no/YES", "is-IS").language == "is"
    assert labels.status("is") is ReviewStatus.UNREVIEWED
    assert load_labels(catalogue, folder).label("codes/yes-no/YES", "fo").language == "en"


@pytest.mark.parametrize("language", ["../labels/et", "et/../fi", "", "E" * 40, "xx.json"])
def test_a_language_that_is_no_tag_is_never_a_path(language: str) -> None:
    """What a reader asks for names no file outside the folder; English is shown instead."""
    asked: list[str] = []

    assert _labels(asked).code("colour", "RED", language).language == "en"
    assert asked == []
