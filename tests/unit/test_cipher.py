"""What is sealed opens in its own place with a key of the ring, and nowhere and never else."""

import copy
import itertools
import pickle
import traceback
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdb_mcp.core.errors import Misconfigured
from agentdb_mcp.core.secrets import ConnectionUri, KeyText
from agentdb_mcp.store.cipher import KeyRing, Place, sealed_with

OLD, NEW, FOREIGN = KeyText("0a" * 32), KeyText("1b" * 32), KeyText("2c" * 32)
PLACE = Place("workspace_database", "5b0c", "writer_connection_uri", "user-1")
SECRET = "postgresql://w_5b0c:hunter2@127.0.0.1:5432/d_5b0c"
URI = ConnectionUri(SECRET)


def refused(code: str, ring: KeyRing, sealed: str, place: Place = PLACE) -> Misconfigured:
    with pytest.raises(Misconfigured) as caught:
        ring.open(sealed, place)
    assert caught.value.code == code
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    return caught.value


@given(text=st.text(st.characters(codec="utf-8")), place=st.builds(Place, *[st.text()] * 4))
def test_what_is_sealed_opens_in_its_place(text: str, place: Place) -> None:
    ring = KeyRing(NEW)
    assert ring.open(ring.seal(ConnectionUri(text), place), place) == ConnectionUri(text)


def test_the_sealed_form_names_its_version_and_key_and_shows_nothing_of_the_value() -> None:
    ring = KeyRing(NEW)
    sealed = ring.seal(URI, PLACE)
    assert sealed.startswith(sealed_with(ring.current_id))
    assert sealed.split(".")[:2] == ["v1", ring.current_id]
    assert "hunter2" not in sealed
    assert NEW.reveal() not in sealed


def test_sealing_twice_gives_two_texts() -> None:
    ring = KeyRing(NEW)
    assert ring.seal(URI, PLACE) != ring.seal(URI, PLACE)


@pytest.mark.parametrize("part", ["table", "row_id", "column", "owner_id"])
def test_a_value_moved_to_another_place_does_not_open(part: str) -> None:
    ring = KeyRing(NEW)
    refused("ciphertext_invalid", ring, ring.seal(URI, PLACE), replace(PLACE, **{part: "elsewhere"}))


@given(
    st.tuples(*[st.text(alphabet='a",[]\\', max_size=3)] * 4),
    st.tuples(*[st.text(alphabet='a",[]\\', max_size=3)] * 4),
)
def test_no_two_places_are_taken_for_each_other(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    ring = KeyRing(NEW)
    sealed = ring.seal(URI, Place(*one))
    if one == other:
        assert ring.open(sealed, Place(*other)) == URI
    else:
        refused("ciphertext_invalid", ring, sealed, Place(*other))


def test_every_changed_character_is_noticed() -> None:
    ring = KeyRing(NEW)
    sealed = ring.seal(URI, PLACE)
    start = len(sealed_with(ring.current_id))
    for position, character in itertools.product(range(start, len(sealed)), "A_!=\n"):
        changed = sealed[:position] + character + sealed[position + 1 :]
        if changed != sealed:
            refused("ciphertext_invalid", ring, changed)


def test_every_cut_is_noticed() -> None:
    ring = KeyRing(NEW)
    sealed = ring.seal(URI, PLACE)
    for length in range(len(sealed_with(ring.current_id)), len(sealed)):
        refused("ciphertext_invalid", ring, sealed[:length])


@pytest.mark.parametrize("text", ["", "v1", "v1.", "v1.abc", "v1.abc.", "v2.abc.def", SECRET, "ü.ü.ü", "\0"])
def test_what_was_never_sealed_is_refused(text: str) -> None:
    refused("ciphertext_invalid", KeyRing(NEW), text)


def test_an_older_key_still_opens_and_the_current_one_seals() -> None:
    before, after = KeyRing(OLD), KeyRing(NEW, [OLD])
    sealed = before.seal(URI, PLACE)
    assert after.open(sealed, PLACE) == URI
    assert after.seal(URI, PLACE).startswith(sealed_with(KeyRing(NEW).current_id))


def test_a_foreign_key_is_named_by_its_id_and_the_way_out_is_told() -> None:
    sealed = KeyRing(FOREIGN).seal(URI, PLACE)
    error = refused("encryption_key_unknown", KeyRing(NEW, [OLD]), sealed)
    assert KeyRing(FOREIGN).current_id in error.message
    assert "AGENTDB_OLD_ENCRYPTION_KEYS" in error.hint


def test_a_made_up_key_id_is_not_repeated() -> None:
    error = refused("encryption_key_unknown", KeyRing(NEW), f"v1.{SECRET.replace('.', '')}.AAAA")
    assert "hunter2" not in str(error)


def test_a_text_that_claims_another_key_of_ours_does_not_open() -> None:
    ring = KeyRing(NEW, [OLD])
    claimed = ring.seal(URI, PLACE).replace(ring.current_id, KeyRing(OLD).current_id)
    refused("ciphertext_invalid", ring, claimed)


@pytest.mark.parametrize(
    "text",
    ["", "hunter2", "g" * 64, "0a" * 31, "0a" * 33, "0x" + "0a" * 31, "\N{ARABIC-INDIC DIGIT ZERO}" * 64],
)
def test_a_malformed_key_is_refused_without_being_repeated(text: str) -> None:
    for keys in [(KeyText(text), []), (NEW, [KeyText(text)])]:
        with pytest.raises(Misconfigured) as caught:
            KeyRing(*keys)
        assert caught.value.code == "encryption_key_malformed"
        assert "openssl rand -hex 32" in caught.value.hint
        assert "NEON_CONNECTION_ENCRYPTION_KEY" in caught.value.hint
        assert not text or text not in str(caught.value)


def test_the_case_of_the_digits_and_a_line_end_do_not_matter() -> None:
    assert KeyRing(KeyText("AB" * 32 + "\n")).current_id == KeyRing(KeyText("ab" * 32)).current_id


def test_a_key_ring_shows_no_key() -> None:
    ring = KeyRing(NEW, [OLD])
    for shown in (repr(ring), str(ring), f"{ring}", repr(NEW), str(NEW), f"{NEW:>80}"):
        assert not any(key.reveal()[:8] in shown for key in (OLD, NEW))
    for refuse in (
        lambda: pickle.dumps(ring),
        lambda: pickle.dumps(NEW),
        lambda: vars(ring),
        lambda: copy.copy(ring),
    ):
        with pytest.raises(TypeError):
            refuse()


# Made by Node's createCipheriv('aes-256-gcm', key, iv), as Sim's lib/encryption.ts does it.
SIM_KEY = KeyText("280f2890165720a0c501135981db054b82e970befd4f9869faab1dce32005215")
SIM_VALUE = (
    "b4b6b2245f595d8514e235d2d47123b3:e0eb52b3a210c009035b42e3d57965246025d13d1cd6226113eb336bdff07f02651"
    "97270b653860852a1fbcda6329185959ce893a1c4929e87e5ff1bee1ff693d35f840eb9cd0f425983481e:550223afdcf595"
    "89b550c4b5cce0f135"
)


def test_a_value_in_sims_form_is_read_with_whichever_key_made_it() -> None:
    expected = ConnectionUri("postgresql://owner:pass-wörd@ep-cold-bonus.neon.tech/neondb?sslmode=require")
    assert KeyRing(SIM_KEY).open_legacy(SIM_VALUE) == expected
    assert KeyRing(NEW, [SIM_KEY]).open_legacy(SIM_VALUE.upper()) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "::",
        SIM_VALUE[:-1],
        SIM_VALUE[2:],
        SIM_VALUE[:-1] + "0",
        SIM_VALUE + ":00",
        SIM_VALUE.replace(":", "."),
    ],
)
def test_a_damaged_value_in_sims_form_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        KeyRing(SIM_KEY).open_legacy(text)
    assert caught.value.code == "ciphertext_invalid"


def test_a_value_in_sims_form_without_its_key_is_refused() -> None:
    with pytest.raises(Misconfigured) as caught:
        KeyRing(NEW, [OLD]).open_legacy(SIM_VALUE)
    assert caught.value.code == "ciphertext_invalid"
