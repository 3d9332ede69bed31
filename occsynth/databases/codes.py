"""Labels that are codes: what each stands for, and whether all of them fit the scheme that they are read by.

A list whose codes were shifted by one, as many loaders write them, still has a class for almost every code: the wrong
one. So a scan counts the codes that it meets, and ends in an error where they do not fit.
"""

from collections.abc import Iterable, Iterator, Mapping

from occsynth.databases.labels import LEFT_OUT, expression_of, is_class_name, judge, whole_number
from occsynth.databases.record import LabelOptions, Reject, ScanItem
from occsynth.errors import DatabaseLayoutError
from occsynth.escapes import printable


class Codes:
    """The codes of one list, or of what takes its place: lists may differ in their codes, so each is looked at alone.

    A whole number may be written in any way, such as `3.0`, and a class name may stand in a code's place. Without a
    scheme, class names are all that is known.
    """

    def __init__(self, key: str, scheme: Mapping[str, str], labels: LabelOptions, unused: str = "") -> None:
        """Starts with no code met.

        Args:
            key: of the database.
            scheme: class name by code; `labels.scheme` takes its place where it is given.
            labels: what the user says of the labels.
            unused: the lowest code, if lists are known not to use it.
        """
        self._key, self._labels = key, labels
        self._scheme = dict(labels.scheme) or dict(scheme)
        self._unused = unused if not labels.scheme else ""
        self._met: dict[int, str] = {}

    def again(self) -> "Codes":
        """For the next list: the same scheme, and no code met."""
        return Codes(self._key, self._scheme, LabelOptions(self._labels.classes, self._labels.scheme), self._unused)

    def is_class(self, name: str) -> bool:
        """Whether a folder of this name holds a class."""
        return (whole_number(name) or name.strip().lower()) in self._scheme or is_class_name(name)

    def judge(self, source: str, label: str) -> str | Reject:
        """The canonical expression of a label, or a reject that says why it has none.

        Args:
            source: of the reject.
            label: as the database writes it.
        """
        if not self._scheme:
            return judge(source, label, self._labels)
        number = whole_number(label)
        if number is not None:
            self._met.setdefault(int(number), source)
        word = self._scheme.get(label.strip().lower() if number is None else number)
        if word is not None:
            return judge(source, word, self._labels)
        if number is None and is_class_name(label):
            return judge(source, label, self._labels)
        return Reject(source, f"unknown label '{label.strip()[:40]}'; expected one of {', '.join(self._scheme)}")

    def guard(self, items: Iterable[ScanItem]) -> Iterator[ScanItem]:
        """Yields the items of the scan whose labels are judged here.

        Raises:
            DatabaseLayoutError: after the last item, if a code is outside the scheme, or the codes look shifted.
        """
        yield from items
        numbers = sorted(int(code) for code in self._scheme if code.lstrip("-").isdecimal())
        if not numbers or not self._met:
            return
        outside = sorted(set(self._met) - set(numbers))
        shift = self._shift(numbers)
        if outside or shift:
            raise DatabaseLayoutError(self._fault(outside, shift))

    def _shift(self, numbers: list[int]) -> int:
        """By how much the codes look shifted: 1, -1, or 0 if they do not."""
        met, known = set(self._met), set(numbers)
        first, last = min(known), max(known)
        if self._unused and int(self._unused) in met:  # then the list begins one below the first code in use
            return 0 if last in met else -1
        if not met <= known:
            return next((by for by in (-1, 1) if {code - by for code in met} <= known), 0)
        if self._labels.scheme:
            return 0
        seven = [int(code) for code, word in self._scheme.items() if expression_of(word)]
        # the code behind the seven stands for a class that is left out, so a shifted list stays within the scheme
        moved = set(range(first + 1, max(seven) + 2))
        return 1 if max(seven) < last and first not in met and moved <= met else 0

    def _fault(self, outside: list[int], shift: int) -> str:
        said = ", ".join(f"{code} {word}" for code, word in self._scheme.items())
        used = sorted(self._met)
        if outside:
            met = ", ".join(map(str, outside[:5])) + (", ..." if len(outside) > 5 else "")
            what = f"label {met} (first in {printable(self._met[outside[0]])[:200]}) is outside the scheme {said}"
        else:
            missing = "its first code" if shift > 0 else "its last code"
            what = f"the labels use {used[0]} to {used[-1]} of the scheme {said}, but never {missing}"
        return f"{self._key}: {what}. {self._advice(used, shift)}"

    def _advice(self, used: list[int], shift: int) -> str:
        if not shift:
            return "Put these labels right, or say what all codes mean with --labels CODE=CLASS,..."
        kept = {int(code) + shift: word for code, word in self._scheme.items() if code != self._unused}
        moved = ",".join(f"{code}={word}" for code, word in kept.items() if code in used or word not in LEFT_OUT[1:])
        direction = "below" if shift < 0 else "above"
        return (
            f"The labels look shifted: they run from {used[0]} to {used[-1]}, one {direction} the scheme. If they are "
            f"in the same order, type --labels {moved}"
        )
