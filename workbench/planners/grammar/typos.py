"""Misspelt names: read as the one name that is near, and said aloud.

Only names of tables, columns and the grammar's own longer words are mended, never values: Maria is not a misspelt
Mario. A word that is a real one is left alone, since "county" may be what is meant where there is only a country.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from workbench.planners.grammar.words import Word, name_parts, singular

SHORTEST = 5
"""Letters of a word that may be a misspelt one. Of shorter ones every letter is needed to tell them apart."""

_OURS = """
    average median maximum minimum total number count distribution histogram correlation percentage standard deviation
    monthly weekly quarterly yearly highest lowest largest smallest between compare distinct different describe missing
"""
_REAL = """
    " accent accident accidents account accounts actor actors addition adversity advice affect agent agents
    allocation amount amounts angel angle apartment apartments arrival arrivals author avenue avenues band bands
    barrier basement berth birth bland boarder bond bonds border brand brands breadth breath cable cables career
    careers carrier cast casual causal cement censor center centre cession chance chances change changes channel
    channels chapel charge charger cite cites cities city claim claimed claims clam class classes client clients
    cloth clothes coal coals coarse coast colleague college color colors colour column columns compartment
    complement compliment contact contacts contract contracts costume costumer costumes counter counties country
    counts county courier course court courts crate crates currier custom customs daily dairy data date dates death
    deaths department departments departure departures deployment depth desert deserts dessert desserts device
    devise diary diner dinner discount discounts diversity doctor early earth edition effect eight emission
    emissions employed employee employees employer employers employment evens event events factor factories factory
    female females finland game games garden gate gates gender glass glasses goal goals grade grader grades grand
    health height humanity humidity humility iceland incident incidents income inland inlet input inputs ireland
    island islands label labels lean legion length lengths letter letters level levels lever liter litter loan
    location locations lumber madel mails maize maker makers males margin marine marital marker markers market
    markets martial mass masses matter maximal meal meals mean means meant medal medals media median medium member
    members mental metal metals meter metre minimal minuet minute minutes mission missions modal mode model models
    modes month monthly moral morale mortal mount mouth name names nation national nearly north number numbers older
    order orders organ origin original outcome outcomes outlet outlets output pages parent parents patent patents
    patient patients payment payments percent person personal personnel persons plane planes planet planning plant
    plants plate plates precede present presents president price pride prime prince principal principle prison
    prisons prize prizes proceed produce produced producer product products profit project projects prophet prophets
    quality quantities quantity quarter quarters quartet quiet quite rainfall rainfalls rate rates rating ration
    rational rations reason region regional relation religion render rental residence resident residents revelation
    revenge rival rivals rotation sails sales same scale scales scope score scores season seasons section sections
    sector segment segments sender sensor session seven shape shapes share shares sharp ship ships shock shop shops
    side sides silver site sites size sized sizes sliver some south space spaces special species speech speed spend
    spends spent spices staff stage stages staring starting state stating station stationary stationery stations
    statue stature status statute stick sticks stock stocks store storey stories story street streets strength stuff
    sum sums supplier supplies supply surplus survival survivals table tables talent tales tape tapes temper tempera
    temperature tender tenor tenure tidal tile tiles timber time timer times title titles tonal total totals trade
    trades trail trails trial trials type types unit unite united units university untied urgent vacation value
    values valve valves variance variant variants variety vector venue venues verse version versions viscount vision
    visit visitor visitors visits vocation volume wages warden weakly wealth weather weekly weight whether width
    windfall worth yearly youth
"""
_REAL_WORDS = frozenset(_REAL.split())


def mended(words: Sequence[Word], unknown: Iterable[int], names: Iterable[str]) -> tuple[list[Word], list[str]] | None:
    """The words with each unknown one replaced by the name that it is near, and a note for each; None when some unknown
    word is near none, or near several. `names`: of tables and columns."""
    near = {part for name in names for part in name_parts(name) if len(part) >= SHORTEST} | set(_OURS.split())
    made, notes = list(words), []
    for at in unknown:
        word = words[at]
        found = _nearest(word.low, near) if word.kind == "word" else None
        if found is None:
            return None
        plural = word.low.endswith("s") and not found.endswith("s")
        low = f"{found}s" if plural else found
        made[at] = replace(word, low=low, stem=singular(low))
        notes.append(f"“{word.text}” is read as {low}.")
    return (made, notes) if notes else None


def _nearest(low: str, near: Iterable[str]) -> str | None:
    """The one name that differs by a letter left out or put in, or by two that changed places; in long words also by
    one wrong vowel. A first letter is seldom wrong."""
    from rapidfuzz.distance import OSA

    stem = singular(low)
    if len(stem) < SHORTEST or low in _REAL_WORDS or stem in _REAL_WORDS or not low.isalpha():
        return None
    found = {
        name
        for name in near
        if name[0] == stem[0]
        and stem[:-1] != name  # officer is no misspelt office
        and OSA.distance(stem, name, score_cutoff=1) <= 1
        and (len(name) != len(stem) or sorted(name) == sorted(stem) or _other_vowel(name, stem))
    }
    return found.pop() if len(found) == 1 else None


def _other_vowel(name: str, said: str) -> bool:
    """Whether two long words of one length differ in a vowel, which is how people misspell."""
    wrong = [pair for pair in zip(name, said, strict=True) if pair[0] != pair[1]]
    return len(name) >= 7 and all(letter in "aeiou" for pair in wrong for letter in pair)
