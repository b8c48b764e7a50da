//! Change poller: reads other nodes' changes from the database, and repairs lost hints.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use crate::actors::{
    Announce, ChatServer, ChatUpdated, Committed, FilterNew, GetWatchState, Hints, IsAnnounced, UserChanged,
    WatchState,
};
use crate::db::{Change, Store, StoreError};
use crate::domain::{Chat, ChatId, Gather, Seq, Timestamp};
use crate::metrics::Metrics;
use crate::retry::LogOnce;

/// Overlap between polls; longer than any transaction, since commits are not ordered by time.
const OVERLAP: Duration = Duration::from_secs(10);
/// Journal entries, and chats with new messages, in one poll.
const MOST: i64 = 100_000;
/// Chats that wait to be told of; one more is left to the poll.
const MOST_MOVED: usize = 100_000;
/// Transactions whose chats are gathered at once.
const MOST_GATHERED: usize = 256;
/// The age at which journal entries are deleted.
const JOURNAL_KEPT: Duration = Duration::from_secs(3_600);
/// Polls between two prunings of the journal.
const PRUNE_EVERY: u64 = 600;

/// Polls for other nodes' changes, and passes them to ChatServer.
pub struct ChangePoller {
    store: Store,
    chat_server: Addr<ChatServer>,
    metrics: Arc<Metrics>,
    every: Duration,
    /// The last poll that succeeded, by the database's clock.
    polled_at: Timestamp,
    /// Handled journal entries, within the overlap.
    seen: HashSet<i64>,
    /// Chats created since the last poll. The next poll announces them, so that their own node is
    /// first: the creator learns of the chat by an ack.
    made: Vec<ChatId>,
    /// The end of each room's log at the last poll.
    heads: HashMap<ChatId, Seq>,
    /// Ends of logs that were reported to watchers, within the overlap.
    reported: HashMap<ChatId, Seq>,
    /// Chats with commits of which watchers are to be told before the next poll.
    moved: Gather<ChatId>,
    polls: u64,
}

impl ChangePoller {
    /// Starts behind the existing changes.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn new(
        store: Store,
        chat_server: Addr<ChatServer>,
        metrics: Arc<Metrics>,
        every: Duration,
        chat_updates: Duration,
    ) -> Result<Self, StoreError> {
        let polled_at = store.now().await?;
        let journal = store.journal(before(polled_at, OVERLAP), MOST).await?;
        Ok(Self {
            store,
            chat_server,
            metrics,
            every,
            polled_at,
            seen: journal.into_iter().map(|entry| entry.id).collect(),
            made: Vec::new(),
            heads: HashMap::new(),
            reported: HashMap::new(),
            moved: Gather::new(chat_updates, MOST_MOVED),
            polls: 0,
        })
    }

    /// Polls until ChatServer is gone. Between polls, watchers are told of the chats in `commits`, and
    /// other nodes' new chats are announced.
    pub async fn run(mut self, mut commits: mpsc::Receiver<Committed>) {
        let mut log_once = LogOnce::default();
        let mut next_poll = Instant::now() + self.every;
        let mut gathered = Vec::new();
        loop {
            let next = self.moved.next_due().map_or(next_poll, |due| next_poll.min(due));
            tokio::select! {
                () = sleep_until(next.into()) => {}
                _ = commits.recv_many(&mut gathered, MOST_GATHERED) => {
                    let (now, mut created) = (Instant::now(), Vec::new());
                    for committed in gathered.drain(..) {
                        match committed {
                            Committed::Created(chats) => created.extend(chats),
                            Committed::Grown(Hints(hints)) => {
                                for (chat, _) in hints {
                                    // One that finds no room is found by the poll.
                                    let _ = self.moved.add(chat, now);
                                }
                            }
                        }
                    }
                    if let Err(error) = self.announce(created).await {
                        log::debug!("cannot read new chats, a poll does: {error}");
                    }
                }
            }
            let now = Instant::now();
            let due = self.moved.take(now);
            if !due.is_empty()
                && let Err(error) = self.tell_moved(due).await
            {
                log::debug!("cannot read moved chats, the next poll does: {error}");
            }
            if now < next_poll {
                continue;
            }
            next_poll = now + self.every;
            let Ok(interest) = self.chat_server.send(GetWatchState).await else { return };
            match self.poll(interest).await {
                Ok(()) => log_once.recovered("polls other nodes' changes again"),
                Err(error) => {
                    log_once.warn(&format!("cannot poll other nodes' changes: {error}"));
                    self.metrics.poll_failures.inc();
                }
            }
        }
    }

    /// Tells watchers of chats with new messages.
    async fn tell_moved(&mut self, chats: Vec<ChatId>) -> Result<(), StoreError> {
        for chat in self.store.chats_by_id(chats).await? {
            // Another node's new chat is announced by the next poll, and then reported.
            let is_young = chat.created_at > before(chat.updated_at, OVERLAP);
            let is_announced =
                !is_young || self.chat_server.send(IsAnnounced(chat.id)).await.unwrap_or_default();
            let is_news = self.reported.get(&chat.id).is_none_or(|seq| *seq < chat.last_seq);
            if is_news && is_announced {
                self.reported.insert(chat.id, chat.last_seq);
                self.chat_server.do_send(ChatUpdated(Arc::new(chat)));
            }
        }
        Ok(())
    }

    async fn poll(&mut self, interest: WatchState) -> Result<(), StoreError> {
        let now = self.store.now().await?;
        // After an outage the next poll continues from here.
        let since = before(self.polled_at, OVERLAP);
        // Before the journal, which then has the creation of every chat in it.
        let moved = match interest.watched {
            true => Some(self.store.active_since(since, MOST).await?),
            false => None,
        };
        let read_to = self.read_journal(since).await?;
        if self.store.is_postgres() {
            self.hint(&interest.rooms).await?;
        }
        self.note_moved(moved, now);
        // A full poll: the next one begins where this one ended.
        self.polled_at = read_to.map_or(now, |at| at.after(OVERLAP));
        self.polls += 1;
        if self.polls.is_multiple_of(PRUNE_EVERY) {
            self.store.prune_journal(before(now, JOURNAL_KEPT)).await?;
        }
        Ok(())
    }

    /// Handles new journal entries. Returns the time of the last one, if there may be more.
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
        self.announce(self.made.clone()).await?;
        // Only now: a failure before is repeated.
        self.made = made;
        self.seen = ids;
        Ok(read_to)
    }

    /// Announces new chats, without those of which this node knows: its own.
    async fn announce(&self, created: Vec<ChatId>) -> Result<(), StoreError> {
        if created.is_empty() {
            return Ok(());
        }
        let unannounced = self.chat_server.send(FilterNew(created)).await.unwrap_or_default();
        if unannounced.is_empty() {
            return Ok(());
        }
        for chat in self.store.chats_by_id(unannounced).await? {
            let members = self.store.member_ids(chat.id).await?;
            let (chat, except) = (Arc::new(chat), None);
            self.chat_server.do_send(Announce { chat, members, is_own: false, except });
        }
        Ok(())
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

    /// Notes the chats with new messages, if there are watchers.
    fn note_moved(&mut self, moved: Option<Vec<Chat>>, now: Timestamp) {
        let Some(moved) = moved else {
            self.moved.clear();
            return self.reported.clear();
        };
        // The first poll has nothing to compare with.
        let is_first = self.reported.is_empty();
        let mut reported = HashMap::with_capacity(moved.len() + 1);
        // Not a chat's entry; it marks that a poll without chats took place.
        reported.insert(ChatId(0), Seq::ZERO);
        for chat in moved {
            // The next poll announces it, and then reports its messages.
            if self.made.contains(&chat.id) {
                continue;
            }
            let before = self.reported.get(&chat.id).copied();
            let is_recent = chat.updated_at > self::before(now, self.every.saturating_mul(2));
            let is_news = match before {
                Some(seq) => chat.last_seq > seq,
                None => chat.last_seq > Seq::ZERO && (!is_first || is_recent),
            };
            let told = if is_news { before.unwrap_or(Seq::ZERO) } else { chat.last_seq };
            reported.insert(chat.id, told);
            if is_news {
                // One that finds no room is found by the next poll.
                let _ = self.moved.add(chat.id, Instant::now());
            }
        }
        self.reported = reported;
    }
}

fn before(time: Timestamp, span: Duration) -> Timestamp {
    Timestamp(time.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
}
