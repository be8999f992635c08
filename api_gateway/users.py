"""Reads names and presence of users from the store, and writes them through the log."""

from collections.abc import Sequence

from api_gateway.log_writer import SOURCE, LogWriter
from api_gateway.store_reads import StoreReads
from api_gateway.stored_progress import StoredProgress
from runtime.assignments import Assignments
from runtime.mongo import Document
from schemas import topics
from schemas.api import ListPage, User, UserAccepted, UserList, UserState
from schemas.documents import ONLINE_EDGE, ONLINE_PROCESS, ONLINE_PROCESS_SEQ, ONLINE_SEQ, USERS
from schemas.ids import may_be_one
from schemas.log_records import PresenceChanged, ProfileChanged, encode


class Users:
    """Reads and writes users."""

    def __init__(
        self, reads: StoreReads, writer: LogWriter, progress: StoredProgress, assignments: Assignments
    ) -> None:
        self._reads = reads
        self._writer = writer
        self._progress = progress
        self._assignments = assignments

    async def all(self, page: ListPage) -> UserList:
        """Return a page of all users, by UP number."""
        found = await self._reads.find(USERS, {}, sort=[("_id", 1)], skip=page.skip, limit=page.perPage + 1)
        users = [
            User(
                up=document["_id"],
                username=document.get("username"),
                name=document.get("name"),
                online=self._is_online(document),
            )
            for document in found[: page.perPage]
        ]
        return UserList(users=users, nextPage=page.following(page.skip + len(found)))

    async def member_page(self, ups: Sequence[str], page: ListPage) -> Document:
        """Return a `MemberPage` of these users, in their order. A user without a document has no name.

        It is built without models: for so many users they would cost more than all the rest.
        """
        wanted = ups[page.skip : page.skip + page.perPage]
        found = await self._reads.find(USERS, {"_id": {"$in": list(wanted)}})
        documents = {document["_id"]: document for document in found}
        users = [self._member(up, documents.get(up, {})) for up in wanted]
        return {"users": users, "nextPage": page.following(len(ups))}

    async def set(self, state: UserState) -> UserAccepted:
        """Write a user's names and presence, each under its own key."""
        profile = ProfileChanged(up=state.up, username=state.username, name=state.name)
        presence = PresenceChanged(up=state.up, online=state.online)
        written = await self._writer.write(
            topics.USERS,
            encode(profile, key=state.up, source=SOURCE),
            encode(presence, key=f"{state.up}/online", source=SOURCE),
        )
        return UserAccepted(**state.model_dump(), stored=await self._progress.wait(written))

    def _member(self, up: str, document: Document) -> Document:
        return {"up": up, "name": document.get("name"), "online": self._is_online(document)}

    def _is_online(self, document: Document) -> bool:
        """Return whether a user is online: not if we know that their edge has died or restarted since."""
        if not document.get("online"):
            return False
        table, edge = self._assignments.table, document.get(ONLINE_EDGE)
        if table is None or edge is None:
            return True
        known = document.get(ONLINE_PROCESS_SEQ) == document.get(ONLINE_SEQ)
        process = document.get(ONLINE_PROCESS) if known else None
        return edge in table.urls and may_be_one(process, table.processes.get(edge))
