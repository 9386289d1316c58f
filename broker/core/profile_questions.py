# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The closed list of questions that a country profile answers, each with the form of its answer (CASEWORK 4.6).

- A question's name is ``section.entry``, as it stands in the profile's document.
- A question is never renamed: other countries hold answers under its name. A new one is unknown in every older profile.
- Contact points with numbers and persons stand in the member document, which each member signs; a profile names offices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "BOUND", "CARE_ARRANGEMENTS", "FORMS_OF_EXPLOITATION", "NEEDS", "NOT_BOUND", "QUESTIONS", "SECTIONS", "Kind", "Question",
]  # fmt: skip


class Kind(StrEnum):
    """The form of an answer."""

    TEXT = "text"
    YES_NO = "yes or no"
    AGE = "age in years"
    DAY = "day"
    CODE = "code"
    CODES = "codes"
    COUNTRIES = "countries"
    LANGUAGES = "languages"
    OFFICES = "offices"
    ITEMS = "numbered items"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, and in which form it is answered."""

    name: str
    kind: Kind
    text: str
    codes: tuple[str, ...] = ()  # that an answer of kind CODE or CODES may hold

    @property
    def section(self) -> str:
        """The section that it stands in."""
        return self.name.split(".", 1)[0]

    @property
    def entry(self) -> str:
        """Its name within the section."""
        return self.name.split(".", 1)[1]


BOUND, NOT_BOUND = "BOUND", "NOT_BOUND"

# DOMAIN 7.5
CARE_ARRANGEMENTS = (
    "PARENTS", "STEP_PARENT", "CUSTOMARY_CAREGIVER", "ADULT_SIBLING", "KINSHIP_CARE", "FOSTER_CARE", "RESIDENTIAL_CARE",
    "KAFALA", "SEMI_INDEPENDENT", "CHILD_HEADED", "UNRELATED_ADULT", "SAFE_HOUSE", "NONE", "OTHER",
)  # fmt: skip

# DOMAIN 7.1 with CASEWORK C-10
FORMS_OF_EXPLOITATION = (
    "PROSTITUTION", "CHILD_ABUSE_MATERIAL", "ONLINE_SEXUAL", "OTHER_SEXUAL", "FORCED_LABOUR_SERVICES", "FORCED_BEGGING",
    "SLAVERY_SIMILAR_PRACTICES", "SERVITUDE", "DOMESTIC_SERVITUDE", "CRIMINAL_ACTIVITIES", "ORGAN_REMOVAL", "SURROGACY",
    "FORCED_MARRIAGE", "ILLEGAL_ADOPTION", "ARMED_GROUP_RECRUITMENT", "TERRORIST_RECRUITMENT", "DEBT_BONDAGE",
    "BENEFIT_FRAUD",
)  # fmt: skip

# CASEWORK 4.3
NEEDS = (
    "SAFE_PLACE", "MEDICAL_URGENT", "MEDICAL", "MATERIAL", "PSYCHOSOCIAL", "ACUTE_CRISIS_SUPPORT", "TRAUMA_THERAPY",
    "GUARDIAN", "LEGAL", "INTERPRETER", "CULTURAL_MEDIATION", "BARNAHUS_ASSESSMENT", "EDUCATION", "DOCUMENTS",
    "FAMILY_CONTACT", "PROTECTION_FROM_PERSON", "RESIDENCE", "REINTEGRATION", "SUPPORT_PERSON", "DISABILITY_SUPPORT",
)  # fmt: skip

SECTIONS: Mapping[str, str] = {
    "instruments": "Instruments in force",
    "bodies": "Which office for what",
    "languages": "Languages and translation",
    "placement": "Placement of a child from abroad",
    "information": "Information about a child",
    "identification": "Identification of victims",
    "forms": "Forms of exploitation recognised",
    "assistance": "Assistance: who provides it, on which condition, how long, and the same for third-country nationals?",
    "guardianship": "Guardianship",
    "child": "The child's own voice",
    "reflection": "Recovery and reflection",
    "complaint": "Complaint and remedy",
    "danger": "Danger",
    "notices": "Notices",
    "systems": "National systems",
    "calendar": "Calendar",
}

_BOUND = (BOUND, NOT_BOUND)
_CONTINUED = ("NEW_REQUEST", "NEW_CONSENT", "AGREEMENT", "NOTICE")
_RESERVATIONS = ("ART_54", "ART_55", "ART_60")


def _asked() -> Iterator[Question]:
    for name, (kind, text, *codes) in _PLAIN.items():
        yield Question(name=name, kind=kind, text=text, codes=codes[0] if codes else ())
    for form in FORMS_OF_EXPLOITATION:
        text = f"Is {form} recognised as a form of exploitation?"
        yield Question(name=f"forms.{form}", kind=Kind.CODE, text=text, codes=("RECOGNISED", "PARTLY", "NOT"))
    for need in NEEDS:
        yield Question(name=f"assistance.{need}", kind=Kind.TEXT, text=f"Who provides {need}, to whom, for how long?")


_PLAIN: Mapping[str, tuple[Kind, str] | tuple[Kind, str, tuple[str, ...]]] = {
    "instruments.b2b": (Kind.CODE, "Is the State bound by Regulation (EU) 2019/1111 (Brussels IIb)?", _BOUND),
    "instruments.b2b_since": (Kind.DAY, "Since when does Brussels IIb apply?"),
    "instruments.h96": (Kind.CODE, "Is the Hague Convention of 1996 in force?", _BOUND),
    "instruments.h96_since": (Kind.DAY, "Since when is the Hague Convention of 1996 in force?"),
    "instruments.h96_objections": (Kind.COUNTRIES, "Towards which States is it not in force, for an objection?"),
    "instruments.h96_reservations": (Kind.CODES, "Which reservations were made to it?", _RESERVATIONS),
    "instruments.h80": (Kind.CODE, "Is the Hague Convention of 1980 in force?", _BOUND),
    "instruments.atd": (Kind.CODE, "Is the State bound by Directive 2011/36/EU as amended?", _BOUND),
    "instruments.cets197": (Kind.CODE, "Is the Council of Europe convention CETS 197 in force?", _BOUND),
    "instruments.cets197_since": (Kind.DAY, "Since when is CETS 197 in force?"),
    "instruments.amm": (Kind.CODE, "Is the State bound by Regulation (EU) 2024/1351?", _BOUND),
    "instruments.r3011": (Kind.CODE, "Is the State bound by Regulation (EU) 2024/3011?", _BOUND),
    "bodies.central_authority_b2b": (Kind.OFFICES, "Which is the central authority under Brussels IIb?"),
    "bodies.central_authority_h96": (Kind.OFFICES, "Which is the central authority under the 1996 convention?"),
    "bodies.central_authority_h80": (Kind.OFFICES, "Which is the central authority under the 1980 convention?"),
    "bodies.focal_point": (Kind.OFFICES, "Which is the focal point for victims (ATD 11(4), or its equivalent)?"),
    "bodies.child_protection": (Kind.OFFICES, "Who protects a child in the single case, and how is the office found?"),
    "bodies.coordinator": (Kind.OFFICES, "Who coordinates the work against trafficking?"),
    "bodies.rapporteur": (Kind.OFFICES, "Who is the national rapporteur or equivalent?"),
    "languages.accepted": (Kind.LANGUAGES, "Into which languages may a request be translated?"),
    "languages.preferred": (Kind.LANGUAGES, "Which of them is preferred?"),
    "languages.attachments_translated": (Kind.YES_NO, "Must attachments be translated?"),
    "languages.machine_translation": (Kind.YES_NO, "Is machine translation accepted as a help?"),
    "languages.translated_by": (Kind.TEXT, "Who has it translated?"),
    "placement.decider": (Kind.OFFICES, "Who decides about consent to a placement, and how is the office found?"),
    "placement.second_decision": (Kind.YES_NO, "Does consent count only with a second decision?"),
    "placement.second_decision_by": (Kind.OFFICES, "Who takes the second decision?"),
    "placement.second_decision_when": (Kind.TEXT, "When is the second decision taken?"),
    "placement.consent_for_all": (Kind.YES_NO, "Is consent needed for every placement, also with relatives?"),
    "placement.relative_categories": (
        Kind.CODES, "With which relatives is a child placed without consent (B2b 82(2))?", CARE_ARRANGEMENTS,
    ),
    "placement.requires": (Kind.ITEMS, "What must the request hold?"),
    "placement.requires_outgoing": (Kind.ITEMS, "What must the country's own authorities put into a request abroad?"),
    "placement.child_consent_age": (Kind.AGE, "From which age must the child consent?"),
    "placement.guardian_consent": (Kind.YES_NO, "Must the guardian consent?"),
    "placement.residence_permission": (Kind.TEXT, "When is a residence permission needed first?"),
    "placement.health_cover": (Kind.TEXT, "Which health cover is needed?"),
    "placement.closed_placement": (Kind.TEXT, "When may the child be deprived of liberty?"),
    "placement.on_extension": (Kind.CODE, "What does an extension need?", _CONTINUED),
    "placement.on_change": (Kind.CODE, "What does a change of place need?", _CONTINUED),
    "information.report_by": (Kind.OFFICES, "Who writes the report on a child?"),
    "information.content": (Kind.TEXT, "What does a report usually hold?"),
    "information.time": (Kind.TEXT, "How long does a report usually take (experience, not law)?"),
    "information.withheld": (Kind.TEXT, "What cannot be given?"),
    "identification.door": (Kind.OFFICES, "To whom is a child referred first?"),
    "identification.identifies": (Kind.OFFICES, "Who may identify a victim?"),
    "identification.statuses": (Kind.TEXT, "What are the national statuses, and what do they mean?"),
    "identification.foreign_information": (Kind.YES_NO, "Does information from a foreign authority open assistance?"),
    "identification.children_urgent": (Kind.YES_NO, "Is every referral of a child handled as urgent?"),
    "identification.asked_without_names": (Kind.YES_NO, "May it be asked without personal data?"),
    "identification.referrer_learns": (Kind.TEXT, "What may the referrer be told?"),
    "guardianship.appoints": (Kind.OFFICES, "Who appoints a guardian?"),
    "guardianship.kinds": (Kind.TEXT, "Which kinds of guardianship are there?"),
    "guardianship.time": (Kind.TEXT, "How fast is a guardian appointed?"),
    "guardianship.same_for_asylum": (Kind.YES_NO, "Is it the same guardian for asylum and for protection?"),
    "guardianship.confirms": (Kind.OFFICES, "Who confirms a guardian's authority to other countries?"),
    "guardianship.ends": (Kind.TEXT, "When does guardianship end?"),
    "child.referral_consent_age": (Kind.AGE, "From which age does the child consent to a referral?"),
    "child.referral_guardian_signs": (Kind.YES_NO, "Must the guardian or representative sign a referral?"),
    "child.heard": (Kind.TEXT, "How is the child heard?"),
    "child.file_access": (Kind.TEXT, "What may the child see of the file?"),
    "child.informed_alone_age": (Kind.AGE, "From which age is the child informed without the guardian?"),
    "child.notice_handled": (Kind.TEXT, "What happens after a notice about a child in need, and within which time?"),
    "reflection.length": (Kind.TEXT, "How long is the recovery and reflection period?"),
    "reflection.granted_by": (Kind.OFFICES, "Who grants it?"),
    "reflection.residence": (Kind.TEXT, "On which basis may a victim stay?"),
    "complaint.for_children": (Kind.OFFICES, "To which body can a child complain?"),
    "complaint.for_guardians": (Kind.OFFICES, "To which body can a guardian complain?"),
    "complaint.how": (Kind.TEXT, "How is a complaint made?"),
    "complaint.languages": (Kind.LANGUAGES, "In which languages?"),
    "complaint.remedy_suspends": (Kind.YES_NO, "Does a remedy against placement or transfer suspend it?"),
    "danger.duty": (Kind.OFFICES, "Who can be reached at any hour about a child in danger?"),
    "danger.missing_child": (Kind.OFFICES, "Who takes the report of a missing child?"),
    "danger.police": (Kind.OFFICES, "Who is the police contact?"),
    "notices.consular": (Kind.TEXT, "What is the consular practice?"),
    "notices.data_protection": (Kind.OFFICES, "Who supervises data protection?"),
    "notices.breach": (Kind.OFFICES, "Who is told of a breach of personal data?"),
    "systems.records": (Kind.TEXT, "In which systems do the offices keep their cases?"),
    "systems.delivery": (Kind.TEXT, "How do documents reach them?"),
    "calendar.holidays": (Kind.TEXT, "Under which key does the calendar library know its public holidays?"),
    "calendar.time_zone": (Kind.TEXT, "Which time zone of the IANA database holds there?"),
    "calendar.office_hours": (Kind.TEXT, "When are the offices open?"),
    "calendar.emergency": (Kind.OFFICES, "Which office acts out of hours?"),
}  # fmt: skip

QUESTIONS: Mapping[str, Question] = {question.name: question for question in _asked()}
