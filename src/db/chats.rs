//! Chats: lists, lookups, and creation of groups.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use diesel::{
    BoolExpressionMethods, ExpressionMethods, JoinOnDsl, NullableExpressionMethods,
    OptionalExtension, QueryDsl, SelectableHelper,
};

use super::backend::{read, transact};
use super::journal::{Change, NewJournalEntry};
use super::outbox::NewOutboxRow;
use super::rows::{ChatAccessRow, ChatRow, MemberRow, members, standing};
use super::schema::{chat_members, chats, outbox, read_marks, users};
use super::{Range, Store, StoreError};
use crate::domain::{Chat, ChatAccess, ChatId, ChatKind, Message, Roster, Seq, Timestamp, UserId};

/// Members of a chat that are read with it: one more than are shown.
const MEMBERS: i64 = Roster::MOST as i64 + 1;

/// The chats of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every chat.
    All,
    /// Chats of which this user, the reader or another one, is a member.
    MemberOf(UserId),
}

/// The result of creating a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupResult {
    Created(ChatId),
    /// The first missing member; nothing was created.
    NoUser(UserId),
}

/// A page of a list of chats, by latest activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChatPage {
    /// `updated_at` and id of the last chat of the page before.
    pub after: Option<(Timestamp, ChatId)>,
    pub newest_first: bool,
    pub limit: i64,
}

/// The lowest and the highest key of a page: PostgreSQL's calendar ends before an `i64` does.
const MIN_KEY: (Timestamp, ChatId) = (Timestamp(0), ChatId(0));
const MAX_KEY: (Timestamp, ChatId) = (Timestamp(253_402_300_799_000_000), ChatId(i64::MAX));

/// A chat's row, and the reader's access.
type ListedRow = (ChatRow, Option<Seq>, Option<UserId>);

/// Chats, each with the reader's mark and membership, if any.
macro_rules! beside {
    ($reader:expr) => {
        chats::table
            .left_join(
                read_marks::table
                    .on(read_marks::chat_id.eq(chats::id).and(read_marks::user_id.eq($reader))),
            )
            .left_join(
                chat_members::table
                    .on(chat_members::chat_id.eq(chats::id).and(chat_members::user_id.eq($reader))),
            )
    };
}

impl Store {
    /// The user's access to those of the chats that exist, in any order.
    pub async fn chat_access(
        &self,
        user: UserId,
        chats: Vec<ChatId>,
    ) -> Result<Vec<ChatAccess>, StoreError> {
        let rows: Vec<ChatAccessRow> = read!(self, |connection| {
            let standings = beside!(user).filter(chats::id.eq_any(&chats)).select((
                chats::id,
                chats::kind,
                chats::last_seq,
                read_marks::seq.nullable(),
                chat_members::user_id.nullable(),
            ));
            run!(standings.load(connection))
        })?;
        Ok(rows.into_iter().map(standing).collect())
    }

    /// The rosters of chats, each with a user; of those with at most [`Roster::MOST`] members. The user
    /// of a support chat that they are a member of is its customer.
    pub async fn rosters(
        &self,
        chats: Vec<(ChatAccess, UserId)>,
    ) -> Result<HashMap<ChatId, Roster>, StoreError> {
        let is_own = |access: &ChatAccess| access.kind == ChatKind::Support && access.member;
        let (own, others): (Vec<_>, Vec<_>) =
            chats.into_iter().partition(|(access, _)| is_own(access));
        let has_marks = |access: &ChatAccess| access.last_seq > Seq::ZERO;
        let mut marked: HashSet<ChatId> = own
            .iter()
            .filter(|(access, _)| has_marks(access))
            .map(|(access, _)| access.chat_id)
            .collect();
        // Each chat once, however many of its members ask.
        let others: BTreeMap<ChatId, ChatAccess> =
            others.into_iter().map(|(access, _)| (access.chat_id, access)).collect();
        let mut rosters: HashMap<ChatId, Roster> = own
            .into_iter()
            .map(|(access, user)| {
                let members = Arc::from([user].as_slice());
                (access.chat_id, Roster { members, reads: Vec::new() })
            })
            .collect();
        if !others.is_empty() {
            let ids: Vec<ChatId> = others.keys().copied().collect();
            let people: Vec<MemberRow> =
                read!(self, |connection| { run!(dialect::members_of(connection, &ids, MEMBERS)) })?;
            for (chat, people) in members(people) {
                if people.len() <= Roster::MOST {
                    let members = people.into_iter().map(|member| member.id).collect();
                    rosters.insert(chat, Roster { members, reads: Vec::new() });
                    marked.extend(others.get(&chat).filter(|chat| has_marks(chat)).map(|_| chat));
                }
            }
        }
        if marked.is_empty() {
            return Ok(rosters);
        }
        let reads: Vec<(ChatId, UserId, Seq)> = read!(self, |connection| {
            let marks = read_marks::table
                .filter(read_marks::chat_id.eq_any(&marked))
                .filter(read_marks::seq.gt(Seq::ZERO))
                .order((read_marks::chat_id, read_marks::user_id))
                .select((read_marks::chat_id, read_marks::user_id, read_marks::seq));
            run!(marks.load(connection))
        })?;
        for (chat, user, seq) in reads {
            if let Some(roster) = rosters.get_mut(&chat) {
                roster.reads.push((user, seq));
            }
        }
        Ok(rosters)
    }

    /// A chat with its last message and members, at most 100, and the reader's access.
    pub async fn chat(
        &self,
        id: ChatId,
        reader: UserId,
    ) -> Result<Option<(Chat, ChatAccess)>, StoreError> {
        let row: Option<ListedRow> = read!(self, |connection| {
            let chat = beside!(reader).filter(chats::id.eq(id)).select((
                ChatRow::as_select(),
                read_marks::seq.nullable(),
                chat_members::user_id.nullable(),
            ));
            run!(chat.first(connection)).optional()
        })?;
        Ok(self.listed(row.into_iter().collect()).await?.pop())
    }

    /// Those of the chats that exist, in any order.
    pub async fn chats_by_id(&self, ids: Vec<ChatId>) -> Result<Vec<Chat>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<ChatRow> = read!(self, |connection| {
            let chats = chats::table.filter(chats::id.eq_any(&ids)).select(ChatRow::as_select());
            run!(chats.load(connection))
        })?;
        self.completed(rows).await
    }

    /// Lists chats by latest activity. A chat with activity between two pages may appear twice.
    pub async fn chats(
        &self,
        reader: UserId,
        scope: Scope,
        page: ChatPage,
    ) -> Result<Vec<(Chat, ChatAccess)>, StoreError> {
        let ChatPage { after, newest_first, limit } = page;
        let (time, id) = after.unwrap_or(if newest_first { MAX_KEY } else { MIN_KEY });
        let rows: Vec<ListedRow> = read!(self, |connection| {
            // Boxed, so never cached: a plan made for few chats would sort them all.
            let mut chats = beside!(reader)
                .limit(limit)
                .select((
                    ChatRow::as_select(),
                    read_marks::seq.nullable(),
                    chat_members::user_id.nullable(),
                ))
                .into_boxed();
            chats = if newest_first {
                chats
                    .filter(chats::updated_at.le(time))
                    .filter(chats::updated_at.lt(time).or(chats::id.lt(id)))
            } else {
                chats
                    .filter(chats::updated_at.ge(time))
                    .filter(chats::updated_at.gt(time).or(chats::id.gt(id)))
            };
            // The minutes are indexed. The few chats of one member are sorted instead, so that no
            // plan scans those of others.
            chats = match (scope, newest_first) {
                (Scope::All, true) => chats.filter(chats::active_minute.le(time.minutes())).order(
                    (chats::active_minute.desc(), chats::updated_at.desc(), chats::id.desc()),
                ),
                (Scope::All, false) => chats
                    .filter(chats::active_minute.ge(time.minutes()))
                    .order((chats::active_minute, chats::updated_at, chats::id)),
                (Scope::MemberOf(member), newest_first) => {
                    chats = if member == reader {
                        chats.filter(chat_members::user_id.is_not_null())
                    } else {
                        let theirs = diesel::alias!(chat_members as theirs);
                        let theirs = theirs
                            .filter(theirs.field(chat_members::user_id).eq(member))
                            .select(theirs.field(chat_members::chat_id));
                        chats.filter(chats::id.eq_any(theirs))
                    };
                    match newest_first {
                        true => chats.order((chats::updated_at.desc(), chats::id.desc())),
                        false => chats.order((chats::updated_at, chats::id)),
                    }
                }
            };
            run!(chats.load(connection))
        })?;
        self.listed(rows).await
    }

    /// Creates a group of its creator and the members.
    pub async fn create_group(
        &self,
        creator: UserId,
        members: Vec<UserId>,
        title: Option<String>,
    ) -> Result<GroupResult, StoreError> {
        let mut people = vec![creator];
        for member in members {
            if !people.contains(&member) {
                people.push(member);
            }
        }
        let outbox_enabled = self.outbox.is_on();
        let created = transact!(self, |connection| {
            let existing = users::table.filter(users::id.eq_any(&people)).select(users::id);
            let existing: Vec<UserId> = run!(existing.load(connection))?;
            if let Some(missing) = people.iter().find(|id| !existing.contains(id)) {
                return Ok(GroupResult::NoUser(*missing));
            }
            let now = run!(dialect::now(connection))?;
            let chat: ChatId = run!(
                diesel::insert_into(chats::table)
                    .values((
                        chats::kind.eq(ChatKind::Group),
                        chats::title.eq(title),
                        chats::created_at.eq(now),
                        chats::updated_at.eq(now),
                        chats::active_minute.eq(now.minutes()),
                    ))
                    .returning(chats::id)
                    .get_result(connection)
            )?;
            let rows: Vec<_> = people
                .iter()
                .map(|user| {
                    (
                        chat_members::chat_id.eq(chat),
                        chat_members::user_id.eq(*user),
                        chat_members::joined_at.eq(now),
                    )
                })
                .collect();
            run!(diesel::insert_into(chat_members::table).values(rows).execute(connection))?;
            run!(dialect::append_journal(
                connection,
                &[NewJournalEntry::from(Change::ChatCreated(chat))]
            ))?;
            if outbox_enabled {
                let event = NewOutboxRow::chat(chat, now);
                run!(diesel::insert_into(outbox::table).values(event).execute(connection))?;
            }
            Ok(GroupResult::Created(chat))
        })?;
        self.outbox.wake();
        Ok(created)
    }

    /// All members of a chat, by id.
    pub async fn member_ids(&self, chat: ChatId) -> Result<Vec<UserId>, StoreError> {
        read!(self, |connection| {
            let members = chat_members::table
                .filter(chat_members::chat_id.eq(chat))
                .order(chat_members::user_id)
                .select(chat_members::user_id);
            run!(members.load(connection))
        })
    }

    async fn listed(&self, rows: Vec<ListedRow>) -> Result<Vec<(Chat, ChatAccess)>, StoreError> {
        let (rows, standings): (Vec<ChatRow>, Vec<ChatAccess>) = rows
            .into_iter()
            .map(|(row, read_seq, member)| {
                let standing = standing((row.id, row.kind, row.last_seq, read_seq, member));
                (row, standing)
            })
            .unzip();
        Ok(self.completed(rows).await?.into_iter().zip(standings).collect())
    }

    /// Adds each chat's last message and members, in the same order.
    async fn completed(&self, rows: Vec<ChatRow>) -> Result<Vec<Chat>, StoreError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<ChatId> = rows.iter().map(|row| row.id).collect();
        let last: Vec<Range> = rows
            .iter()
            .map(|row| Range {
                chat_id: row.id,
                after: Seq(row.last_seq.0 - 1),
                up_to: row.last_seq,
            })
            .collect();
        let (last, people): (Vec<Vec<Message>>, Vec<_>) = read!(self, |connection| {
            let last = run!(dialect::ranges(connection, &last, 1, usize::MAX))?;
            Ok((last, run!(dialect::members_of(connection, &ids, MEMBERS))?))
        })?;
        let mut people: HashMap<ChatId, _> = members(people);
        let complete = |(row, mut last): (ChatRow, Vec<Message>)| {
            let members = people.remove(&row.id).unwrap_or_default();
            row.chat(last.pop(), members)
        };
        Ok(rows.into_iter().zip(last).map(complete).collect())
    }
}
