"""The templates held out for testing: a third of each category, families together, by a rule that stays."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from occsynth.templates.pack import Template, load_pack
from occsynth.templates.split import family, held_out


def kind_of(template: Template) -> str:
    return template.wear.kind if template.wear else template.category


def test_a_third_of_every_category_is_held_out() -> None:
    pack = load_pack()
    whole = Counter(map(kind_of, pack.templates.values()))
    held = Counter(kind_of(pack.templates[file]) for file in pack.held_out)
    assert set(held) == set(whole)
    for kind, count in whole.items():
        assert 0.15 <= held[kind] / count <= 0.4, (kind, held[kind], count)
    assert 0.28 <= held.total() / whole.total() <= 0.36
    opaque = {kind_of(pack.templates[file]) for file in pack.held_out if not pack.templates[file].see_through}
    assert opaque == set(whole), "modes that take nothing see-through have templates, too"


def test_no_family_is_in_both_parts() -> None:
    pack = load_pack()
    parts = {(kind_of(each), family(each.name)): set[bool]() for each in pack.templates.values()}
    for each in pack.templates.values():
        parts[kind_of(each), family(each.name)].add(each.file in pack.held_out)
    assert all(len(part) == 1 for part in parts.values())


def test_the_rule_stays() -> None:
    """A change would mix up what a published manifest calls seen and unseen."""
    held = sorted(file for file in load_pack().held_out if file.startswith(("food/", "wear/mask")))
    assert held == [
        "food/apple_green.png",
        "food/apple_red.png",
        "food/burger.png",
        "food/carrot.png",
        "food/grapes.png",
        "food/ice_cream.png",
        "food/lollipop.png",
        "food/pizza_slice.png",
        "wear/mask_ffp2_black.png",
        "wear/mask_ffp2_white.png",
    ]


def test_groups_keep_to_their_part() -> None:
    pack = load_pack()
    categories = ("food", "hand", "drink", "wear")
    parts = {
        split: {
            each.file for group in pack.groups(categories, see_through=True, worn=True, split=split) for each in group
        }
        for split in ("all", "train", "test")
    }
    assert parts["test"] == pack.held_out
    assert not parts["train"] & parts["test"]
    assert parts["train"] | parts["test"] == parts["all"] == set(pack.templates)
    worn = {each.file for group in pack.worn_groups(("mask",), split="train") for each in group}
    assert worn and not worn & pack.held_out


@given(st.dictionaries(st.text("abc_", min_size=1, max_size=5), st.sampled_from("xyz"), max_size=30))
def test_any_pack_with_two_families_of_a_category_has_both_parts(names: dict[str, str]) -> None:
    entries = [(f"{category}/{name}", category, name) for name, category in names.items()]
    held = held_out(entries)
    assert held == held_out(reversed(entries)), "the order of the index does not matter"
    for category in set(names.values()):
        files = {file for file, of, _ in entries if of == category}
        families = {family(name) for _, of, name in entries if of == category}
        assert (0 < len(files & held) < len(files)) == (len(families) > 1)
