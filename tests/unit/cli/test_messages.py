# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Submit, inbox, show and timeline at a node's own store."""

import json
import shlex
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from broker.cli import messages
from broker.schema_files import read_schema_file
from broker.system import SystemClock
from broker.testing.world import World


def test_a_file_is_accepted_once(trm, home, request_file):
    """Submitting the same file again answers the same message and stores nothing new."""
    first = trm("submit", request_file, "--home", home, "--json")
    again = trm("submit", request_file, "--home", home, "--json")

    assert (first.code, again.code) == (0, 0)
    assert first.json["repeated"] is False
    assert again.json == {**first.json, "repeated": True}


def test_another_key_is_another_message(trm, home, request_file, office):
    """The idempotency key decides what counts as the same."""
    for key in ("a", "b"):
        assert trm("submit", request_file, "--home", home, "--idempotency-key", key).code == 0

    listed = trm("inbox", "--home", home, "--direction", "out", "--authority", office, "--json")
    assert len({item["id"] for item in listed.json["items"]}) == 2


def test_people_are_told_the_next_step(trm, home, request_file):
    """The answer for people names the message and the command that follows it."""
    ran = trm("submit", request_file, "--home", home)

    assert ran.out.startswith("Accepted.")
    assert "trm timeline" in ran.out


def test_a_message_can_be_addressed_anew(trm, home, request_file, office):
    """--to replaces the recipient of the file; one that nobody knows is refused and nothing is stored."""
    unknown = trm("submit", request_file, "--home", home, "--to", "FI/nobody", "--json")
    not_one = trm("submit", request_file, "--home", home, "--to", "Finland", "--json")

    assert (unknown.code, unknown.json["error"]["code"]) == (1, "unknown-recipient")
    assert (not_one.code, not_one.json["error"]["where"]) == (1, "--to")
    assert trm("inbox", "--home", home, "--direction", "all", "--authority", office, "--json").json == {"items": []}


def test_who_mistypes_an_office_is_told_which_there_are(trm, home, request_file):
    """Of the own country and of the other one: the trust list is no secret among its members."""
    ours = trm("submit", request_file, "--home", home, "--authority", "no-such", "--json").json["error"]
    theirs = trm("submit", request_file, "--home", home, "--to", "FI/no-such", "--json").json["error"]

    sender = json.loads(request_file.read_bytes())["sender"]["authority"]
    assert (ours["where"], theirs["where"]) == ("/sender/authority", "/recipient/authority")
    assert sender in ours["detail"].partition("The trust list has: ")[2]
    assert "The trust list has: " in theirs["detail"]
    assert "no-such" not in ours["detail"] + theirs["detail"]


def test_the_sender_can_be_named(trm, home, request_file):
    """--authority speaks for another office of this country."""
    ran = trm("submit", request_file, "--home", home, "--authority", "nobody", "--json")

    assert ran.json["error"]["where"] == "/sender/authority"


def test_an_answer_needs_its_procedure(trm, home, request_file, office):
    """An acknowledgement of our own request is not ours to give; the refusal names the type."""
    procedure = trm("submit", request_file, "--home", home, "--json").json["procedure"]
    file = request_file.with_name("acknowledgement.json")
    file.write_bytes(read_schema_file("examples/demo/acknowledgement.json"))
    ran = trm(
        "submit", file, "--home", home, "--authority", office, "--procedure", procedure,
        "--to", "FI/helsinki-wellbeing-services", "--json",
    )  # fmt: skip

    assert (ran.code, ran.json["error"]["code"]) == (1, "not-allowed")


def test_an_answer_without_its_procedure_is_refused_at_once(trm, home, request_file, office):
    """It opens nothing: no second person is asked to release what could never leave."""
    file = request_file.with_name("acknowledgement.json")
    file.write_bytes(read_schema_file("examples/demo/acknowledgement.json"))
    ran = trm("submit", file, "--home", home, "--authority", office, "--to", "FI/helsinki-wellbeing-services", "--json")

    assert (ran.code, ran.json["error"]["code"], ran.json["error"]["where"]) == (1, "not-allowed", "/procedure")
    assert trm("held", "list", "--home", home, "--authority", office, "--json").json == {"items": []}


def test_a_faulty_file_is_refused_with_how_to_see_all_that_is_wrong(trm, home, request_file):
    """The first fault is named by its place, and the command that lists the rest; nothing is stored."""
    request_file.write_text('{"type": "family-tracing.request", "version": "1.0", "body": {}}')
    ran = trm("submit", request_file, "--home", home, "--json").json["error"]

    assert (ran["code"], ran["where"]) == ("schema-invalid", "/language")
    assert ran["detail"].endswith(f"trm validate {request_file}")


def test_the_timeline_teaches_the_next_step(trm, home, request_file, office):
    """What may come next stands there with the command that sends it."""
    procedure = trm("submit", request_file, "--home", home, "--json").json["procedure"]
    said = trm("timeline", procedure, "--home", home, "--authority", office).out
    assert f"trm submit FILE --home {home} --procedure {procedure}" in said


def test_the_next_command_works_as_it_is_printed(trm, home, request_file):
    """Whoever copies it types nothing more: the home may have a blank in its name, and the country several offices."""
    spaced = home.rename(home.parent / "our node")
    following = trm("submit", request_file, "--home", spaced).out.splitlines()[-1]
    assert following.startswith("Next: trm timeline ")
    ran = trm(*shlex.split(following)[2:])

    assert (ran.code, ran.err) == (0, "")
    assert "family-tracing.request" in ran.out


def test_the_inbox_shows_no_content(trm, home, request_file, office):
    """A list names type, country and state; nothing of the body is in it, for people or for scripts."""
    trm("submit", request_file, "--home", home)
    for more in ((), ("--json",)):
        ran = trm("inbox", "--home", home, "--direction", "all", "--authority", office, *more)
        assert "family-tracing.request" in ran.out
        assert "recorded" in ran.out
        assert not _names(request_file) & set(_words(ran.out))


@pytest.mark.parametrize("exercise", [True, False])
def test_a_drill_is_told_from_a_case_wherever_it_is_listed(trm, home, request_file, office, exercise):
    """The list of messages and the timeline say EXERCISE, and of a case they never do."""
    data = json.loads(request_file.read_text("utf-8")) | {"exercise": exercise}
    request_file.write_text(json.dumps(data), "utf-8")
    sent = trm("submit", request_file, "--home", home, "--json").json

    listed = trm("inbox", "--home", home, "--authority", office, "--direction", "out").out
    shown = trm("timeline", sent["procedure"], "--home", home, "--authority", office).out
    assert [" · EXERCISE" in text for text in (listed, shown)] == [exercise, exercise]


def test_every_list_goes_on_where_a_page_ended(trm, home, request_file, office):
    """Inbox, held messages and audit trail alike: `next` is what --cursor takes, and the pages hold each entry once."""
    data = json.loads(request_file.read_text("utf-8"))
    data["body"]["child_wish"]["heard"]["wants_tracing"] = "NO"
    waiting = request_file.with_name("held.json")
    waiting.write_text(json.dumps(data), "utf-8")
    for key in "abc":
        assert trm("submit", request_file, "--home", home, "--idempotency-key", key).code == 0
        assert trm("submit", waiting, "--home", home, "--idempotency-key", f"held {key}").code == 1
    ours = ("--authority", office)
    for command in (
        ("inbox", "--direction", "out", *ours),
        ("held", "list", *ours),
        ("audit", "list", "--reason", "self-monitoring", "--action", "submitted"),
    ):
        whole = trm(*command, "--home", home, "--json").json
        first = trm(*command, "--home", home, "--limit", "2", "--json").json
        rest = trm(*command, "--home", home, "--limit", "2", "--cursor", first["next"], "--json").json
        assert (len(whole["items"]), first["items"] + rest["items"]) == (3, whole["items"])
        assert "next" not in whole.keys() | rest.keys()
        assert f"--cursor {first['next']}" in trm(*command, "--home", home, "--limit", "2").out
        refused = trm(*command, "--home", home, "--cursor", "none-of-ours", "--json")
        assert (refused.code, refused.json["error"]["code"]) == (1, "bad-cursor")


def test_an_empty_inbox_says_so(trm, home, office):
    """Where nothing came in, that is said, and only our own direction is looked at."""
    assert trm("inbox", "--home", home, "--authority", office).out.startswith("No messages were received;")
    assert trm("inbox", "--home", home, "--authority", office, "--direction", "all").out == "No messages.\n"


def test_the_office_is_asked_for_where_there_are_several(trm, home):
    """A node with several offices does not guess for which one it is asked."""
    ran = trm("inbox", "--home", home, "--json")

    assert (ran.code, ran.json["error"]["where"]) == (1, "--authority")
    assert "social-insurance-board" in ran.json["error"]["detail"]


def test_a_message_is_shown_with_its_content(trm, home, request_file, office):
    """`show` gives the whole message as both countries will hold it."""
    message = trm("submit", request_file, "--home", home, "--json").json["message"]
    shown = trm("show", message, "--home", home, "--authority", office, "--json")
    people = trm("show", message, "--home", home, "--authority", office)

    assert shown.json["content"]["body"] == json.loads(request_file.read_bytes())["body"]
    assert shown.json["id"] == shown.json["content"]["header"]["id"] == message
    assert message in people.out


def test_another_offices_message_is_not_shown(trm, home, request_file):
    """For another office of the same country the message does not exist."""
    message = trm("submit", request_file, "--home", home, "--json").json["message"]
    ran = trm("show", message, "--home", home, "--authority", "ministry-of-justice", "--json")

    assert (ran.code, ran.json["error"]["code"]) == (1, "not-found")


def test_the_peer_and_the_direction_narrow_what_an_id_means(trm, home, request_file, office):
    """Our message to Finland is shown for Finland, and is none of another country's or a received one."""
    message = trm("submit", request_file, "--home", home, "--json").json["message"]
    shown = {
        options: trm("show", message, "--home", home, "--authority", office, *options.split(), "--json")
        for options in ("--peer FI", "--direction out", "--peer SE", "--direction in", "--peer Finland")
    }

    assert [ran.code for ran in shown.values()] == [0, 0, 1, 1, 1]
    assert shown["--peer FI"].json["peer"] == "FI"
    assert shown["--peer SE"].json["error"]["code"] == "not-found"
    assert shown["--peer Finland"].json["error"]["where"] == "--peer"
    assert trm("timeline", message, "--home", home, "--authority", office, "--peer", "SE", "--json").code == 1


def test_a_message_is_sent_again_for_a_reason(trm, home, request_file, office):
    """A reason of the list is taken; another one is refused with the list."""
    message = trm("submit", request_file, "--home", home, "--json").json["message"]
    again = trm("resend", message, "--home", home, "--authority", office, "--reason", "peer-asked", "--json")
    people = trm("resend", message, "--home", home, "--authority", office, "--reason", "no-answer")
    other = trm("resend", message, "--home", home, "--authority", office, "--reason", "Maarika", "--json")
    stranger = trm(
        "resend", message, "--home", home, "--authority", "ministry-of-justice", "--reason", "no-answer", "--json"
    )

    assert (again.code, again.json["message"]) == (0, message)
    assert people.out.startswith("It is sent again")
    assert (other.code, other.json["error"]["where"]) == (1, "--reason")
    assert "peer-restored" in other.json["error"]["detail"]
    assert "Maarika" not in other.out
    assert stranger.json["error"]["code"] == "not-found"


def test_our_own_message_cannot_be_opened(trm, home, request_file, office):
    """Only what was received can be marked as seen."""
    message = trm("submit", request_file, "--home", home, "--json").json["message"]
    ran = trm("show", message, "--home", home, "--authority", office, "--opened", "--json")

    assert (ran.code, ran.json["error"]["code"]) == (1, "not-found")
    assert ran.json["error"]["detail"].endswith("another one than is asked for: to FI.")


def test_a_timeline_is_found_by_procedure_and_by_message(trm, home, request_file, office):
    """Both ids lead to the same timeline with the record's digest."""
    accepted = trm("submit", request_file, "--home", home, "--json").json
    by_procedure, by_message = (
        trm("timeline", accepted[name], "--home", home, "--authority", office, "--json").json
        for name in ("procedure", "message")
    )

    assert by_procedure == by_message
    assert [line["state"] for line in by_procedure["timeline"]] == ["recorded"]
    assert len(by_procedure["digest"]) == 64
    assert by_procedure["role"] == "REQUESTING"


def test_a_timeline_for_people_names_digest_and_next_acts(trm, home, request_file, office):
    """People see every step, the digest and what they may do next."""
    accepted = trm("submit", request_file, "--home", home, "--json").json
    ran = trm("timeline", accepted["procedure"], "--home", home, "--authority", office)

    assert "record digest" in ran.out
    assert "you may next" in ran.out
    assert not _names(request_file) & set(_words(ran.out))


def test_an_id_that_is_none_is_refused_without_repeating_it(trm, home, office):
    """A mistyped id is refused; what was typed, which could be a name, is not repeated."""
    for command in ("show", "timeline"):
        ran = trm(command, "Test-Maarika", "--home", home, "--authority", office)
        assert ran.code == 1
        assert "Test-Maarika" not in ran.err


def test_a_direction_that_is_none_is_refused(trm, home):
    """The direction is in, out or all."""
    assert trm("inbox", "--home", home, "--direction", "up", "--json").json["error"]["where"] == "--direction"


def _names(request_file) -> set[str]:
    """Every word of the child's and the mother's names."""
    body = json.loads(request_file.read_bytes())["body"]
    child, mother = body["child"], body["persons_sought"][0]
    parts = (
        part["value"] for person in (child, mother) for part in person["name"].values() if isinstance(part, dict) and "value" in part
    )  # fmt: skip
    found = {word for text in (*parts, *child["aliases"], *mother["aliases"]) for word in _words(text)}
    assert len(found) > 3
    return found


def _words(text: str) -> list[str]:
    return [word.strip('",.:') for word in text.split()]


async def test_a_procedure_says_when_what_is_due_and_what_silence_means(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Local day, time zone, kind, source; overdue says in words that silence is no answer."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    world.clock.advance(3600 * 24 * 10)

    messages._print_deadlines(await world["EE"].view(request.procedure))

    shown = capsys.readouterr().out
    assert "2027-02-22 Europe/Helsinki" in shown
    assert "STATUTORY: B2b 80(4)" in shown
    assert "OVERDUE: Silence is never an answer" in shown
    assert "PRODUCT_DEFAULT" in shown


def test_a_damaged_database_is_named(trm, home, request_file, office):
    """Whole or where one message is read: which file to restore stands under the error."""
    message = trm("submit", request_file, "--home", home, "--json").json["message"]
    database = home / "trm.db"
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.execute("UPDATE outbox_content SET header = x'00'")
    later = trm("show", message, "--home", home, "--authority", office, "--json")
    database.write_bytes(b"nonsense" * 1000)
    at_once = trm("inbox", "--home", home, "--authority", office, "--json")

    for ran in (later, at_once):
        assert (ran.code, ran.json["error"]["code"]) == (3, "store-corrupt")
        assert ran.json["error"]["where"] == str(database)


def test_a_timeline_says_when_the_child_comes_of_age(trm, home, request_file, office):
    """R-36: from six months before, with what is to be settled; for programs as a member."""
    data = json.loads(request_file.read_text())
    of_age = SystemClock().now().date() + timedelta(days=100)
    born = f"{of_age.year - 18}-{of_age.month:02}"
    data["body"]["child"]["birth"] = {"value": {"date": born, "estimated": False}}
    request_file.write_text(json.dumps(data))
    procedure = trm("submit", request_file, "--home", home, "--json").json["procedure"]

    asked = ("timeline", procedure, "--home", home, "--authority", office)
    told = trm(*asked, "--json").json["coming_of_age"]
    assert (told["on"][:7], told["reached"]) == (f"{of_age.year}-{of_age.month:02}", False)
    assert f"OF AGE on {told['on']}: {told['meaning']}" in trm(*asked).out
