"""Who is who in an export of several vCenters: keys by vCenter, and names that no two share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


def distinct_names(names: Mapping[Key, str], *marks: Mapping[Key, str]) -> dict[Key, str]:
    """A name for each key that no other key has.

    Parameters
    ----------
    names : mapping of key to str
        What each is called.
    *marks : mapping of key to str
        What may be added in brackets to tell two of one name apart, the best first.

    Returns
    -------
    dict of key to str
        The name alone where it is the only one, else with the first mark that tells all of them apart, else
        with all marks, and with a number where even these are the same.

    >>> distinct_names({1: "web", 2: "web", 3: "db"}, {1: "vc-a", 2: "vc-b", 3: "vc-a"})
    {1: 'web (vc-a)', 2: 'web (vc-b)', 3: 'db'}
    """
    groups: dict[str, list[Key]] = {}
    for key, name in names.items():
        groups.setdefault(name, []).append(key)
    found: dict[Key, str] = {key: name for name, keys in groups.items() if len(keys) == 1 for key in keys}
    taken = set(groups)
    for name, keys in groups.items():
        if len(keys) == 1:
            continue
        for mark in marks:
            told = [mark.get(key, "") for key in keys]
            if len(set(told)) == len(keys) and all(told):
                break
        else:
            told = [", ".join(m[key] for m in marks if m.get(key)) for key in keys]
        for key, text in zip(keys, told, strict=True):
            wanted = f"{name} ({text})" if text else name
            number = 2
            unique = wanted
            while unique in taken:
                unique = f"{wanted} #{number}"
                number += 1
            taken.add(unique)
            found[key] = unique
    return {key: found[key] for key in names}


class Register(Generic[Key]):
    """Finds things by vCenter and name, or by name alone where only one thing has it.

    A host is found by its short name too, where only one host of its vCenter has it.

    Parameters
    ----------
    things : sequence of (vCenter, name, key)
        What there is.
    short : bool, default False
        Whether `esx-01` stands for `esx-01.example.com` and the other way round.
    """

    def __init__(self, things: Sequence[tuple[str, str, Key]], *, short: bool = False) -> None:
        self._short = short
        self._found: dict[tuple[str | None, str], Key] = {}
        pairs = [
            (place, spelling, key)
            for vcenter, name, key in things
            for place in dict.fromkeys((vcenter, None))
            for spelling in self._spellings(name)
        ]
        often = Counter((place, spelling) for place, spelling, _ in pairs)
        for place, spelling, key in pairs:
            if often[place, spelling] == 1:
                self._found[place, spelling] = key

    def _spellings(self, name: str) -> list[str]:
        whole = name.casefold()
        is_address = whole.replace(".", "").isdigit() or ":" in whole
        return [whole] if is_address or not self._short else [whole, "short:" + whole.partition(".")[0]]

    def find(self, vcenter: str, name: object) -> Key | None:
        """The key of a name; None when nothing or more than one thing has it.

        Parameters
        ----------
        vcenter : str
            Its vCenter; "" when the row does not say it.
        name : object
            Its name.
        """
        if name is None:
            return None
        places: list[str | None] = [vcenter] if vcenter else ["", None]
        whole, *shorter = self._spellings(str(name))
        for place in places:
            if (place, whole) in self._found:
                return self._found[place, whole]
        for place in places:
            for spelling in shorter:
                key = self._found.get((place, spelling))
                # two long names that differ after the first point are two hosts
                if key is not None and ("." not in whole or "." not in self._name_of(key)):
                    return key
        return None

    def _name_of(self, key: Key) -> str:
        return str(key[1]) if isinstance(key, tuple) else str(key)
