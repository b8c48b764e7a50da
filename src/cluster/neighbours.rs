//! Asks the database what other nodes did: correct on any number of nodes, only slower than being
//! told.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use crate::actors::{
    Announce, ChatServer, Hints, Interest, Interests, Unannounced, Updated, UserChanged,
};
use crate::db::{Change, Store, StoreError};
use crate::domain::{Chat, ChatId, Seq, Timestamp};
use crate::metrics::Metrics;

/// What is asked for again, since a transaction may commit after a later one: longer than any may
/// take.
const OVERLAP: Duration = Duration::from_secs(10);
/// Journal entries, and chats that moved, in one look.
const MOST: i64 = 100_000;
/// How long the journal is kept.
const JOURNAL_KEPT: Duration = Duration::from_secs(3_600);
/// Looks between two prunings of the journal.
const PRUNE_EVERY: u64 = 600;

/// One node's view of all others.
pub struct Neighbours {
    store: Store,
    chat_server: Addr<ChatServer>,
    metrics: Arc<Metrics>,
    every: Duration,
    /// The last look that went well, by the database's clock.
    looked_at: Timestamp,
    /// Journal entries that were acted on, within the overlap.
    seen: HashSet<i64>,
    /// Chats that were made since the last look. They are announced at the next one, so that the
    /// node that made them is first: its creator learns of the chat by an ack.
    made: Vec<ChatId>,
    /// Where each room's chat was at the last look.
    heads: HashMap<ChatId, Seq>,
    /// What those who watch were told, within the overlap.
    told: HashMap<ChatId, Seq>,
    looks: u64,
}

impl Neighbours {
    /// Begins with what there is now: it stands in the tables, and is no news.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn begin(
        store: Store,
        chat_server: Addr<ChatServer>,
        metrics: Arc<Metrics>,
        every: Duration,
    ) -> Result<Self, StoreError> {
        let looked_at = store.now().await?;
        let journal = store.journal(before(looked_at, OVERLAP), MOST).await?;
        Ok(Self {
            store,
            chat_server,
            metrics,
            every,
            looked_at,
            seen: journal.into_iter().map(|entry| entry.id).collect(),
            made: Vec::new(),
            heads: HashMap::new(),
            told: HashMap::new(),
            looks: 0,
        })
    }

    /// Looks until ChatServer is gone.
    pub async fn watch(mut self) {
        let mut blind = false;
        loop {
            actix::clock::sleep(self.every).await;
            let Ok(interest) = self.chat_server.send(Interests).await else { return };
            let looked = self.look(interest).await;
            // Said once, and not at every look until it is over.
            match &looked {
                Err(error) if !blind => log::warn!("cannot see what other nodes did: {error}"),
                Ok(()) if blind => log::info!("sees again what other nodes did"),
                Err(_) | Ok(()) => {}
            }
            blind = looked.is_err();
            self.metrics.poll_failures.inc_by(u64::from(blind));
        }
    }

    async fn look(&mut self, interest: Interest) -> Result<(), StoreError> {
        let now = self.store.now().await?;
        // A node that was cut off reads on from where it was.
        let since = before(self.looked_at, OVERLAP);
        // Before the journal: of what is in it, the journal then has the beginning.
        let moved = match interest.watched {
            true => Some(self.store.active_since(since, MOST).await?),
            false => None,
        };
        let read_to = self.read_journal(since).await?;
        if self.store.is_postgres() {
            self.hint(&interest.rooms).await?;
        }
        self.tell_watchers(moved, now);
        // Where there was more than one look takes, the next one begins where this one ended.
        self.looked_at = read_to.map_or(now, |at| at.after(OVERLAP));
        self.looks += 1;
        if self.looks.is_multiple_of(PRUNE_EVERY) {
            self.store.prune_journal(before(now, JOURNAL_KEPT)).await?;
        }
        Ok(())
    }

    /// Acts on what is new in the journal. The time of the last entry, where there may be more.
    async fn read_journal(&mut self, since: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let entries = self.store.journal(since, MOST).await?;
        let is_full = i64::try_from(entries.len()).is_ok_and(|count| count >= MOST);
        let read_to = entries.last().map(|entry| entry.at).filter(|_| is_full);
        let ids: HashSet<i64> = entries.iter().map(|entry| entry.id).collect();
        let mut made = Vec::new();
        for entry in entries {
            if self.seen.contains(&entry.id) {
                continue;
            }
            match entry.change {
                Change::ChatCreated(chat) => made.push(chat),
                Change::UserChanged(id) => {
                    if let Some(user) = self.store.user(id).await? {
                        let (role, blocked) = (user.role, user.blocked);
                        self.chat_server.do_send(UserChanged { user: id, role, blocked });
                    }
                }
            }
        }
        // What this node made it has announced itself.
        let unannounced = match self.made.is_empty() {
            true => Vec::new(),
            false => {
                self.chat_server.send(Unannounced(self.made.clone())).await.unwrap_or_default()
            }
        };
        if !unannounced.is_empty() {
            for chat in self.store.chats_by_id(unannounced).await? {
                let members = self.store.member_ids(chat.id).await?;
                self.chat_server.do_send(Announce { chat: Arc::new(chat), members, except: None });
            }
        }
        // Only now: what failed on the way is done again.
        self.made = made;
        self.seen = ids;
        Ok(read_to)
    }

    async fn hint(&mut self, rooms: &[ChatId]) -> Result<(), StoreError> {
        let known: HashMap<ChatId, Seq> = rooms
            .iter()
            .map(|chat| (*chat, self.heads.get(chat).copied().unwrap_or(Seq::ZERO)))
            .collect();
        self.heads = known;
        if self.heads.is_empty() {
            return Ok(());
        }
        let moved =
            self.store.moved(self.heads.iter().map(|(chat, seq)| (*chat, *seq)).collect()).await?;
        self.heads.extend(moved.iter().copied());
        if !moved.is_empty() {
            self.chat_server.do_send(Hints(moved));
        }
        Ok(())
    }

    /// Tells those who watch, if there are any, of the chats that moved.
    fn tell_watchers(&mut self, moved: Option<Vec<Chat>>, now: Timestamp) {
        let Some(moved) = moved else { return self.told.clear() };
        // At the first look there is nothing to compare with: what moved before is not news.
        let is_first = self.told.is_empty();
        let mut told = HashMap::with_capacity(moved.len() + 1);
        // An entry that is no chat's, so that a look which found nothing was a look.
        told.insert(ChatId(0), Seq::ZERO);
        for chat in moved {
            // It is announced at the next look, and told of behind that.
            if self.made.contains(&chat.id) {
                continue;
            }
            let before = self.told.get(&chat.id).copied();
            told.insert(chat.id, chat.last_seq);
            let is_recent = chat.updated_at > self::before(now, self.every.saturating_mul(2));
            let is_news = match before {
                Some(seq) => chat.last_seq > seq,
                None => chat.last_seq > Seq::ZERO && (!is_first || is_recent),
            };
            if is_news {
                self.chat_server.do_send(Updated(Arc::new(chat)));
            }
        }
        self.told = told;
    }
}

fn before(time: Timestamp, span: Duration) -> Timestamp {
    Timestamp(time.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
}
