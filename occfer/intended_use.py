"""What a model of expressions must not be used for: the text that the demo shows and that model cards repeat."""

EXPRESSIONS_ARE_NOT_FEELINGS = (
    "Expressions are not feelings. An answer names the category whose labelled pictures a face resembles most; it does "
    "not say what a person feels, intends or is."
)

PROHIBITED_USE = (
    "Do not use it on people at work or in education. Article 5(1)(f) of Regulation (EU) 2024/1689, the AI Act, "
    "prohibits the placing on the market, the putting into service for this specific purpose, and the use of AI "
    "systems to infer emotions of a natural person in the areas of workplace and education institutions, except where "
    "that use is intended for medical or safety reasons."
)

OTHER_USES = (
    "Elsewhere, the same Regulation counts emotion recognition among high-risk uses (Annex III, point 1(c)) and "
    "requires that the people exposed to it are told (Article 50(3)). Show only pictures of people who have agreed."
)

NOTICE = (EXPRESSIONS_ARE_NOT_FEELINGS, PROHIBITED_USE, OTHER_USES)
"""The paragraphs of the notice, in order."""
