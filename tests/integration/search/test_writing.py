"""A question is found with its answer, and nobody waits for that before a first token."""

from uuid import uuid4

from tailrace.db.pool import connect
from tailrace.services import Services
from tests.support.chat_client import ChatClient


async def test_a_question_is_indexed_with_its_answer_not_before_it(
    user: ChatClient, services: Services
) -> None:
    conversation_id = uuid4()

    async def indexed() -> int:
        async with connect(services.pool) as connection:
            cursor = await connection.execute(
                "SELECT (SELECT count(*) FROM search_messages)"
                " + (SELECT count(*) FROM search_titles) AS count"
            )
            return (await cursor.fetchone() or {})["count"]

    async with user.chat(
        "Where does the heron fish?", conversation_id=conversation_id, model="scripted/story"
    ) as stream:
        await stream.until("text-delta")
        assert await indexed() == 0
        await user.stop(conversation_id)
        await stream.rest()

    found = (await user.http.get("/api/search", params={"q": "heron"})).json()["items"]
    assert {item["conversation_id"] for item in found} == {str(conversation_id)}
    assert {item["role"] for item in found} >= {"user"}
