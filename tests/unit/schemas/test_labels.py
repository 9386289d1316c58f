# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The shipped code lists and what they are called in each language."""

import json
from collections import defaultdict
from pathlib import Path

import pytest

from broker.catalogue.labels import LANGUAGES, ReviewStatus, find_gaps
from broker.schema_files import load_labels, load_translation

FILES = sorted((Path(__file__).parents[3] / "schemas" / "labels").glob("*.json"))
TRANSLATED = [language for language in LANGUAGES if language != "en"]


@pytest.fixture(scope="module")
def labels(catalogue):
    """Labels of the shipped schemas."""
    return load_labels(catalogue)


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_code_is_called_something_in_every_language(catalogue, language):
    """No code of any list is missing or stale, and nothing is kept that no file uses."""
    gaps = find_gaps(catalogue.english(), load_translation(language))

    assert [key for key in gaps.missing + gaps.stale if key.startswith("codes/")] == []
    assert gaps.unused == ()


FAMILIES = (  # named in every language, with all the parts and shared acts that they use
    "best-interests", "carer-assessment", "child-information", "consultation", "contact", "correction", "danger-notice",
    "family-tracing", "federation", "guardian", "identity", "implementation", "jurisdiction", "monitoring", "notice",
    "placement", "recognition", "referral", "relationship", "surge", "transfer", "urgent-measures",
)  # fmt: skip


@pytest.mark.parametrize("language", TRANSLATED)
def test_whole_families_are_named_in_every_language(catalogue, language):
    """Their messages, fields, help, states, acts and deadlines, and the message header; nothing is missing or stale."""
    gaps = find_gaps(catalogue.english(), load_translation(language))
    lacking = [f"{key.split('#')[0]}/" for key in gaps.missing + gaps.stale]

    for family in FAMILIES if lacking else ():
        owners = ("header/", f"messages/{family}/", f"procedures/{family}/", *_parts(catalogue, family))
        assert [key for key in lacking if key.startswith(owners)] == [], family


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_label_stands_twice(file):
    """A label that two people added at once would otherwise hide the other one unseen."""

    def once(pairs):
        names = [name for name, _ in pairs]
        assert sorted(set(names)) == sorted(names)
        return dict(pairs)

    json.loads(file.read_bytes(), object_pairs_hook=once)


@pytest.mark.parametrize("language", TRANSLATED)
def test_what_differs_in_a_family_differs_in_every_language(catalogue, language):
    """Two states or two acts of one procedure, or two fields of one message, that English tells apart stay apart."""
    alike = defaultdict(set)
    for key, (english, text) in load_translation(language).labels.items():
        if not key.startswith("codes/") and "#" not in key:
            alike[key.rpartition("/")[0], text].add(english)

    assert {place: texts for place, texts in alike.items() if len(texts) > 1} == {}


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_that_nobody_reviewed_says_so(labels, language):
    """A text made by machine is never shown as if a person had read it."""
    label = labels.code("danger-outcome", "SERIOUS_DANGER", language)

    assert label.language == language
    assert label.status is ReviewStatus.UNREVIEWED


def test_opposites_stay_opposites_in_every_language(labels):
    """Two codes of one list never have the same label: nobody could tell which was chosen."""
    for language in LANGUAGES:
        for name, codes in _codes(labels, language).items():
            doubled = {text for text in codes.values() if list(codes.values()).count(text) > 1}
            assert name == "legal-basis" or doubled == set(), (language, name)


def test_each_list_says_where_it_comes_from(catalogue):
    """A lawyer can check every list; what is the product's own or unverified is marked."""
    for name in catalogue.code_lists():
        document = catalogue.codes(name)
        assert document.title, name
        assert document.source or document.verified == "PRODUCT_DEFAULT", name
        for code, item in document.codes.items():
            assert item.get("verified", False) in {False, "PRODUCT_DEFAULT"}, (name, code)
    assert len(catalogue.code_lists()) >= 70


CASEWORK = {
    "exploitation-form": {
        "PROSTITUTION",
        "CHILD_ABUSE_MATERIAL",
        "ARMED_GROUP_RECRUITMENT",
        "DEBT_BONDAGE",
        "SURROGACY",
    },
    "identification-status": {"AT_RISK", "PRESUMED", "IDENTIFIED", "STATUS_UNKNOWN"},
    "transfer-status": {"CONSENT_CONDITIONAL", "CONSENT_WITHDRAWN", "CONSENT_LAPSED", "SUSPENDED_REMEDY"},
    "consent-exemption": {"WITH_PARENT", "NOTIFIED_RELATIVE_CATEGORY", "RECEIVING_STATE_OWN_DECISION"},
    "protection-claim": {"TEMPORARY_PROTECTION", "REJECTED_FINAL", "WITHDRAWN"},
    "need": {"SAFE_PLACE", "BARNAHUS_ASSESSMENT", "PROTECTION_FROM_PERSON", "DISABILITY_SUPPORT"},
    "legal-basis": {"B2B_80_1_B", "AMMR_23", "AMMR_23_5", "CETS197_10_4", "VCCR_37_B", "NONE_FEDERATION"},
    "monitoring-outcome": {"NOT_SEEN", "RE_EXPLOITATION_SUSPECTED"},
}


@pytest.mark.parametrize("name", CASEWORK)
def test_a_list_has_what_the_corrections_add(catalogue, name):
    """What casework corrected is in the lists, in its spelling."""
    assert CASEWORK[name] <= set(catalogue.codes(name).codes)


def test_the_self_assessment_has_nine_areas_and_three_levels(catalogue):
    """CASEWORK C-01."""
    assert len(catalogue.codes("self-assessment-area").codes) == 9
    assert len(catalogue.codes("self-assessment-level").codes) == 3
    assert len(catalogue.codes("best-interests-element").codes) == 7


def _parts(catalogue, family):
    """Return the parts and shared acts that the family's messages refer to."""
    found = set()
    for kind in catalogue.types():
        if kind.procedure == family:
            schema = catalogue.schema(kind, catalogue.newest(kind))
            found |= {name.replace(".", "/") for name in schema.get("$defs", {}) if name.startswith("parts.")}
    return sorted(f"{name.removesuffix('/1/0')}/" for name in found)


def _codes(labels, language):
    found: dict[str, dict[str, str]] = {}
    for key in labels.known():
        owner, _, code = key.removeprefix("codes/").partition("/")
        if key.startswith("codes/") and code and "#" not in key:
            found.setdefault(owner, {})[code] = labels.label(key, language).text
    return found
