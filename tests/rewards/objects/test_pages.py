"""The page behind an object's code: for anybody, in two languages, the same whatever became of the object."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.goods import cleared, marked, step
from api.world import ApiWorld
from mereau.rewards.objects.domain import Language, Story, landing, unknown

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)


@given(name=TEXTS, text=st.none() | TEXTS, language=st.sampled_from(("fr", "en")))
def test_no_story_is_a_tag(name: str, text: str | None, language: Language) -> None:
    title, body = landing(Story(name, name, text, text), "7K2M-9QRT-4VWX-0Z1A", language)
    assert title == name
    assert set(re.findall(r"</?([a-z]*)", body)) <= {"p", "strong", "nav", "a"}
    assert body.count("<p>") == body.count("</p>") == 2 + sum(bool(line.strip()) for line in (text or "").split("\n"))


def test_each_language_tells_its_own_story_and_leads_to_the_other() -> None:
    story = Story("Gourde", "Bottle", "En inox.", "Of steel.")
    french, english = landing(story, "CODE", "fr"), landing(story, "CODE", "en")
    assert [french[0], english[0]] == ["Gourde", "Bottle"]
    assert "En inox." in french[1]
    assert "Of steel." not in french[1]
    assert "Of steel." in english[1]
    assert 'href="?lang=en" lang="en"' in french[1]
    assert 'href="?lang=fr" lang="fr"' in english[1]
    assert all("<strong>CODE</strong>" in body for _, body in (french, english))
    assert unknown("fr")[1] != unknown("en")[1]


async def test_nothing_that_happens_to_an_object_changes_its_page(stocked_world: ApiWorld) -> None:
    """Whoever finds a bottle in the street is not told whether it was activated, and much less by whom."""
    world = stocked_world
    delivery_id = await cleared(world)
    code = await marked(world, delivery_id)

    async def page() -> str:
        seen = await world.get(None, f"/../../o/{code}")
        assert seen.status_code == 200
        return seen.text

    pages = [await page()]
    await step(world, delivery_id, "prepared", "shipped")
    pages.append(await page())
    await world.made("member_a", f"/objects/{code}/activate", None)
    pages.append(await page())
    await world.made("staff", f"/objects/{code}/take-back", {"outcome": "reused"})
    pages.append(await page())
    assert len(set(pages)) == 1
    assert code in pages[0]
    for secret in ("Camille", "Lilas", world.ids["member_a"], delivery_id, "card-a"):
        assert secret not in pages[0]


@pytest.mark.parametrize("language", ["fr", "en"])
async def test_a_code_is_shown_as_it_was_printed(stocked_world: ApiWorld, language: str) -> None:
    world = stocked_world
    code = await marked(world, await cleared(world))
    typed = [code, code.lower(), code.replace("-", ""), code.replace("-", " ").lower()]
    pages = {(await world.get(None, f"/../../o/{one}", lang=language)).text for one in typed}
    assert len(pages) == 1
    assert f"<strong>{code}</strong>" in pages.pop()


async def test_every_wrong_code_is_one_page(stocked_world: ApiWorld) -> None:
    world = stocked_world
    code = await marked(world, await cleared(world))
    other = code[:-1] + ("0" if code[-1] != "0" else "1")
    wrong = ["7K2M-9QRT-4VWX-0Z1A", other, code[:-1], f"{code}0", "x" * 500, "%3Cscript%3E", "..%2F..", "%00", "é"]
    answers = [await world.get(None, f"/../../o/{one}") for one in wrong]
    assert {answer.status_code for answer in answers} == {404}
    assert {answer.headers["content-type"] for answer in answers[:5]} == {"text/html; charset=utf-8"}
    assert len({answer.text for answer in answers[:5]}) == 1
    assert all("script" not in answer.text.lower() for answer in answers)


async def test_codes_are_used_by_their_owner_and_taken_by_their_shop(stocked_world: ApiWorld) -> None:
    """Each refusal reads like that of a code that never was."""
    world = stocked_world
    delivery_id = await cleared(world)
    code = await marked(world, delivery_id)
    never = "7K2M-9QRT-4VWX-0Z1A"
    again = await world.post("partner_a", f"/deliveries/{delivery_id}/objects", {"line_number": 1})
    assert (again.status_code, again.json()["code"]) == (409, "already_marked")
    none = await world.post("partner_a", f"/deliveries/{delivery_id}/objects", {"line_number": 2})
    assert none.status_code == 404
    back = {"outcome": "recycled"}
    unsent = await world.post("staff", f"/objects/{code}/take-back", back)
    await step(world, delivery_id, "prepared", "shipped")
    answers = [
        unsent,
        await world.post("staff", f"/objects/{never}/take-back", back),
        await world.post("partner_b", f"/objects/{code}/take-back", back),
        await world.post("member_b", f"/objects/{code}/activate"),
        await world.post("member_a", f"/objects/{never}/activate"),
        await world.post("member_b", f"/objects/{code}/transfer", {"to_external_id": "card-b"}),
    ]
    assert {(answer.status_code, answer.json()["detail"]) for answer in answers} == {(404, "There is no such object.")}
    gift = await world.made("member_a", f"/objects/{code}/transfer", {"to_external_id": "card-b"})
    assert gift["owner_member_id"] == world.ids["member_b"]
    assert (await world.post("member_a", f"/objects/{code}/activate")).status_code == 404
    assert (await world.made("member_b", f"/objects/{code}/activate", None))["activated_at"]
    wrong = await world.post("staff", f"/objects/{code}/take-back", {"outcome": "burned"})
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/outcome")
    assert (await world.made("staff", f"/objects/{code}/take-back", back))["outcome"] == "recycled"
