"""What a question says besides itself, in each language: the words around it and its letters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from ift_jax.lookup import suggest

LETTERS = "ABCDE"
"""What choices are called in files and records, whatever a prompt calls them."""


@dataclasses.dataclass(frozen=True)
class Language:
    """The words and letters of a language.

    Attributes:
        code: what `--language` calls it, of ISO 639-1.
        letters: what a prompt calls the choices `LETTERS`; one may take several tokens.
        about: a header up to its subject.
        question, choices, answer, q, a: what stands before a question, its choices and its answer.
        reason: what an answer in steps begins with.
        conclusion: what stands before the choice at its end.
        subjects: names of subjects; of others, the file's with spaces between the words.
        right_to_left: whether it is written so.
    """

    code: str
    letters: tuple[str, ...]
    about: str
    question: str
    choices: str
    answer: str
    q: str
    a: str
    reason: str
    conclusion: str
    subjects: Mapping[str, str] = dataclasses.field(default_factory=dict)
    right_to_left: bool = False

    def subject(self, name: str) -> str:
        """What a prompt calls a file's subject, such as `high_school_physics`."""
        return self.subjects.get(name, name.replace("_", " "))

    def letter(self, letter: str) -> str:
        """What a prompt calls one of `LETTERS`; an answer that is none of them stays as it is."""
        return self.letters[LETTERS.index(letter)] if letter in LETTERS else letter


_ARABIC_SUBJECTS = {
    "abstract_algebra": "الجبر المجرد",
    "anatomy": "علم التشريح",
    "astronomy": "علم الفلك",
    "business_ethics": "أخلاقيات الأعمال",
    "clinical_knowledge": "المعرفة السريرية",
    "college_biology": "الأحياء الجامعية",
    "college_chemistry": "الكيمياء الجامعية",
    "college_computer_science": "علوم الحاسوب الجامعية",
    "college_mathematics": "الرياضيات الجامعية",
    "college_medicine": "الطب الجامعي",
    "college_physics": "الفيزياء الجامعية",
    "computer_security": "أمن الحاسوب",
    "conceptual_physics": "الفيزياء المفاهيمية",
    "econometrics": "الاقتصاد القياسي",
    "electrical_engineering": "الهندسة الكهربائية",
    "elementary_mathematics": "الرياضيات الابتدائية",
    "formal_logic": "المنطق الصوري",
    "global_facts": "حقائق عالمية",
    "high_school_biology": "أحياء المرحلة الثانوية",
    "high_school_chemistry": "كيمياء المرحلة الثانوية",
    "high_school_computer_science": "علوم الحاسوب للمرحلة الثانوية",
    "high_school_european_history": "تاريخ أوروبا للمرحلة الثانوية",
    "high_school_geography": "جغرافيا المرحلة الثانوية",
    "high_school_government_and_politics": "الحكومة والسياسة للمرحلة الثانوية",
    "high_school_macroeconomics": "الاقتصاد الكلي للمرحلة الثانوية",
    "high_school_mathematics": "رياضيات المرحلة الثانوية",
    "high_school_microeconomics": "الاقتصاد الجزئي للمرحلة الثانوية",
    "high_school_physics": "فيزياء المرحلة الثانوية",
    "high_school_psychology": "علم النفس للمرحلة الثانوية",
    "high_school_statistics": "إحصاء المرحلة الثانوية",
    "high_school_us_history": "تاريخ الولايات المتحدة للمرحلة الثانوية",
    "high_school_world_history": "تاريخ العالم للمرحلة الثانوية",
    "human_aging": "شيخوخة الإنسان",
    "human_sexuality": "الجنسانية البشرية",
    "international_law": "القانون الدولي",
    "jurisprudence": "فلسفة القانون",
    "logical_fallacies": "المغالطات المنطقية",
    "machine_learning": "تعلم الآلة",
    "management": "الإدارة",
    "marketing": "التسويق",
    "medical_genetics": "علم الوراثة الطبية",
    "miscellaneous": "متفرقات",
    "moral_disputes": "الخلافات الأخلاقية",
    "moral_scenarios": "المواقف الأخلاقية",
    "nutrition": "التغذية",
    "philosophy": "الفلسفة",
    "prehistory": "ما قبل التاريخ",
    "professional_accounting": "المحاسبة المهنية",
    "professional_law": "القانون المهني",
    "professional_medicine": "الطب المهني",
    "professional_psychology": "علم النفس المهني",
    "public_relations": "العلاقات العامة",
    "security_studies": "الدراسات الأمنية",
    "sociology": "علم الاجتماع",
    "us_foreign_policy": "السياسة الخارجية الأمريكية",
    "virology": "علم الفيروسات",
    "world_religions": "أديان العالم",
}

ENGLISH = Language(
    code="en",
    letters=tuple(LETTERS),
    about="The following are multiple choice questions (with answers) about",
    question="Question:",
    choices="Choices:",
    answer="Answer:",
    q="Q:",
    a="A:",
    reason="Let's think step by step.",
    conclusion="The answer is",
)

ARABIC = Language(
    code="ar",
    letters=("أ", "ب", "ج", "د", "هـ"),
    about="فيما يلي أسئلة اختيار من متعدد (مع إجاباتها) حول",
    question="السؤال:",
    choices="الخيارات:",
    answer="الإجابة:",
    q="س:",
    a="ج:",
    reason="لنفكر خطوة بخطوة.",
    conclusion="الإجابة هي",
    subjects=_ARABIC_SUBJECTS,
    right_to_left=True,
)

LANGUAGES = {language.code: language for language in (ENGLISH, ARABIC)}
"""The languages by code."""


def find(code: str) -> Language:
    """The language of that code.

    Raises:
        ValueError: no such language; lists those that exist.
    """
    if code not in LANGUAGES:
        raise ValueError(
            f"no language {code!r}.{suggest(code, list(LANGUAGES))}"
            f" There are: {', '.join(LANGUAGES)}"
        )
    return LANGUAGES[code]
