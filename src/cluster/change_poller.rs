//! Change poller: reads other nodes' changes from the database, and repairs lost hints.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use super::sweep::{Sweep, before};
use crate::actors::{
    Announce, ChatServer, ChatUpdated, FilterNew, Hints, IsAnnounced, IsWatched, UserChanged,
    UserState,
};
use crate::db::{Change, ChatEnd, Place, Store, StoreError};
use crate::domain::{ChatId, Gather, Seq, Timestamp, Timings, UserId};
use crate::metrics::Metrics;
use crate::retry::LogOnce;

/// Time by which a poll of the journal goes back. It has few entries.
const JOURNAL_OVERLAP: Duration = Duration::from_secs(10);
/// The age of a chat whose announcement may be on its way, beside the time between polls.
const YOUNG: Duration = Duration::from_secs(10);
/// Journal entries, and chats with new messages, in one poll; the next one goes on behind them.
const MOST: i64 = 100_000;
/// Chats that wait to be told of; watchers are not told of one more.
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
    journal: Sweep,
    /// Journal entries of the last poll.
    seen: HashSet<i64>,
    /// Chats created since the last poll. The next poll announces them, so that their own node is
    /// first: the creator learns of the chat by an ack.
    made: Vec<ChatId>,
    chats: Sweep,
    /// Ends of logs at the last poll, of the chats that it has read.
    ends: HashMap<ChatId, Seq>,
    /// Ends of logs that were reported to watchers, of the same chats.
    reported: HashMap<ChatId, Seq>,
    /// Chats of which watchers are told once they are announced.
    unannounced: Vec<ChatId>,
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
        timings: &Timings,
    ) -> Result<Self, StoreError> {
        let settled = store.settled().await?;
        let mut journal = Sweep::new(settled, JOURNAL_OVERLAP);
        let entries = store.journal(journal.page(settled), MOST).await?;
        Ok(Self {
            store,
            chat_server,
            metrics,
            every,
            journal,
            seen: entries.into_iter().map(|entry| entry.id).collect(),
            made: Vec::new(),
            chats: Sweep::new(settled, timings.poll_overlap),
            ends: HashMap::new(),
            reported: HashMap::new(),
            unannounced: Vec::new(),
            moved: Gather::new(timings.chat_updates, MOST_MOVED),
            polls: 0,
        })
    }

    /// Polls until ChatServer is gone. Between polls, watchers are told of the chats in `commits`, and
    /// the `changes` that other nodes tell of are handled.
    pub async fn run(
        mut self,
        mut commits: mpsc::Receiver<Hints>,
        mut changes: mpsc::Receiver<Change>,
    ) {
        let mut log_once = LogOnce::default();
        let mut next_poll = Instant::now() + self.every;
        let (mut gathered, mut told) = (Vec::new(), Vec::new());
        loop {
            let next = self.moved.next_due().map_or(next_poll, |due| next_poll.min(due));
            tokio::select! {
                // A new chat is announced before watchers are told of its messages.
                biased;
                _ = changes.recv_many(&mut told, MOST_GATHERED) => {
                    if let Err(error) = self.changed(told.drain(..)).await {
                        log::debug!("cannot read what changed, the next poll does: {error}");
                    }
                }
                () = sleep_until(next.into()) => {}
                _ = commits.recv_many(&mut gathered, MOST_GATHERED) => {
                    let now = Instant::now();
                    for (chat, _) in gathered.drain(..).flat_map(|Hints(hints)| hints) {
                        // One that finds no room is found by the poll.
                        let _ = self.moved.add(chat, now);
                    }
                }
            }
            let now = Instant::now();
            let due = self.moved.take(now);
            if !due.is_empty()
                && let Err(error) = self.tell_moved(&due).await
            {
                log::debug!("cannot read moved chats, and tries again: {error}");
                self.gather(&due);
            }
            if now < next_poll {
                continue;
            }
            next_poll = now + self.every;
            if !self.chat_server.connected() {
                return;
            }
            match self.poll().await {
                Ok(()) => log_once.recovered("polls other nodes' changes again"),
                Err(error) => {
                    log_once.warn(&format!("cannot poll other nodes' changes: {error}"));
                    self.metrics.poll_failures.inc();
                }
            }
        }
    }

    /// Tells watchers of chats with new messages.
    async fn tell_moved(&mut self, chats: &[ChatId]) -> Result<(), StoreError> {
        for chat in self.store.chats_by_id(chats.to_vec()).await? {
            // Another node's new chat is announced by the next poll, and then reported.
            let is_young = chat.created_at > before(chat.updated_at, YOUNG + self.every);
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

    async fn poll(&mut self) -> Result<(), StoreError> {
        // Before anything is read.
        let settled = self.store.settled().await?;
        // Before the journal, which then has the creation of every chat in it.
        let ends = self.store.chat_ends(self.chats.page(settled), MOST).await?;
        self.read_journal(settled).await?;
        let last = ends.last().map(ChatEnd::place).filter(|_| is_full(ends.len()));
        // After everything is read: who watches from now on reads it too.
        let is_watched = self.chat_server.send(IsWatched).await.unwrap_or_default();
        self.tell_ends(ends, is_watched);
        // Only now: a failure before is repeated.
        self.chats.handled(last);
        self.polls += 1;
        if self.polls.is_multiple_of(PRUNE_EVERY) {
            self.store.prune_journal(before(settled, JOURNAL_KEPT)).await?;
            self.store.prune_logins().await?;
        }
        Ok(())
    }

    /// Handles new journal entries.
    async fn read_journal(&mut self, settled: Timestamp) -> Result<(), StoreError> {
        let entries = self.store.journal(self.journal.page(settled), MOST).await?;
        let last: Option<Place> =
            entries.last().map(|entry| entry.place()).filter(|_| is_full(entries.len()));
        let ids: HashSet<i64> = entries.iter().map(|entry| entry.id).collect();
        let mut made = Vec::new();
        for entry in entries {
            if self.seen.contains(&entry.id) {
                continue;
            }
            match entry.change {
                Change::ChatCreated(chat) => made.push(chat),
                Change::UserChanged(user) => self.user_changed(user).await?,
            }
        }
        self.announce(self.made.clone()).await?;
        // Only now: a failure before is repeated.
        self.made = made;
        self.seen = ids;
        self.journal.handled(last);
        Ok(())
    }

    /// Handles changes that another node tells of.
    async fn changed(&self, changes: impl Iterator<Item = Change>) -> Result<(), StoreError> {
        let mut made = Vec::new();
        for change in changes {
            match change {
                Change::ChatCreated(chat) => made.push(chat),
                Change::UserChanged(user) => self.user_changed(user).await?,
            }
        }
        self.announce(made).await
    }

    async fn user_changed(&self, id: UserId) -> Result<(), StoreError> {
        if let Some(state) = UserState::read(id, &self.store).await? {
            self.chat_server.do_send(UserChanged { user: id, state, changed_here: false });
        }
        Ok(())
    }

    /// Announces chats, except this node's own.
    async fn announce(&self, chats: Vec<ChatId>) -> Result<(), StoreError> {
        if chats.is_empty() {
            return Ok(());
        }
        let unannounced = self.chat_server.send(FilterNew(chats)).await.unwrap_or_default();
        for chat in self.store.chats_by_id(unannounced).await? {
            let members = self.store.member_ids(chat.id).await?;
            let chat = Arc::new(chat);
            self.chat_server.do_send(Announce { chat, members, except: None, made_here: false });
        }
        Ok(())
    }

    /// Tells rooms, and watchers, of the ends that are new since the last poll.
    fn tell_ends(&mut self, ends: Vec<ChatEnd>, is_watched: bool) {
        let known = std::mem::take(&mut self.ends);
        self.ends = ends.iter().map(|end| (end.chat, end.seq)).collect();
        let is_new = |end: &ChatEnd| known.get(&end.chat).copied().unwrap_or(Seq::ZERO) < end.seq;
        let news: Vec<_> =
            ends.iter().filter(|end| is_new(end)).map(|end| (end.chat, end.seq)).collect();
        if !news.is_empty() {
            self.chat_server.do_send(Hints(news.clone()));
        }
        if !is_watched {
            self.moved.clear();
            self.reported.clear();
            self.unannounced.clear();
            return;
        }
        self.reported.retain(|chat, _| self.ends.contains_key(chat));
        // Those of the last poll were announced by this one.
        let mut now_announced = std::mem::take(&mut self.unannounced);
        let made: HashSet<_> = self.made.iter().collect();
        for (chat, end) in news {
            if made.contains(&chat) {
                self.unannounced.push(chat);
            } else if self.reported.get(&chat).is_none_or(|seq| *seq < end) {
                now_announced.push(chat);
            }
        }
        self.gather(&now_announced);
    }

    /// Notes chats of which watchers are to be told.
    fn gather(&mut self, chats: &[ChatId]) {
        let now = Instant::now();
        for chat in chats {
            if !self.moved.add(*chat, now) {
                return log::debug!("watchers are not told of some chats: too many move");
            }
        }
    }
}

/// `true` if a page may not be the last.
fn is_full(changes: usize) -> bool {
    i64::try_from(changes).is_ok_and(|changes| changes >= MOST)
}
