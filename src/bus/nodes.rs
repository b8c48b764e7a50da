//! What the nodes of a deployment say to each other: frames for sessions that are on another node,
//! and who is online.

mod link;
mod others;
mod word;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Fuse, FusedFuture};
use futures_util::{FutureExt, StreamExt};
use lapin::options::BasicAckOptions;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use self::link::Link;
use self::others::Others;
use self::word::{Word, write};
use super::broker::BusError;
use super::{Parts, at};
use crate::actors::{Audience, Broadcast};
use crate::app::{AppState, notify};
use crate::domain::{NodeId, UserId};
use crate::metrics::{AnswerOutcome, Metrics};
use crate::protocol::{Exception, Frame};

/// How often a node says that it is there.
const HERE_EVERY: Duration = Duration::from_secs(2);
/// How long other nodes may take to say whether a user is with them.
const FIND: Duration = Duration::from_millis(500);
/// What waits to be said, and what is asked and not answered; one more waits, or is `unavailable`.
const MOST_ERRANDS: usize = 1_024;
/// How long the way to other nodes may take to open.
const OPENING: Duration = Duration::from_secs(5);
/// The first pause before the exchange is tried again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Reaches the sessions of all nodes, this one's among them. Cheap to clone.
#[derive(Clone)]
pub struct Nodes {
    app: AppState,
    metrics: Arc<Metrics>,
    errands: mpsc::Sender<Errand>,
}

/// What other nodes are to be told. Where its end is dropped, it is `unavailable`.
enum Errand {
    /// To all.
    Say {
        word: Vec<u8>,
        said: oneshot::Sender<()>,
    },
    /// To one, which must get it.
    Bring {
        node: NodeId,
        word: Vec<u8>,
        brought: oneshot::Sender<()>,
    },
    Find {
        user: UserId,
        found: oneshot::Sender<bool>,
    },
}

impl Nodes {
    /// The nodes as this one reaches them, and the work of it, which goes on until the last clone is
    /// dropped.
    pub fn new(parts: Parts) -> (Self, impl Future<Output = ()>) {
        let (errands, taken) = mpsc::channel(MOST_ERRANDS);
        let (app, metrics) = (parts.app.clone(), Arc::clone(&parts.metrics));
        let meeting = Meeting {
            parts,
            others: Others::new(Instant::now()),
            finds: HashMap::new(),
            deadlines: VecDeque::new(),
            last_find: 0,
            said: None,
        };
        (Self { app, metrics, errands }, meeting.run(taken))
    }

    /// Sends a frame to sessions, on whichever nodes they are. What one session is told, one after the
    /// other, arrives in order. A session that is gone is told nothing, and that is counted.
    ///
    /// # Errors
    /// `unavailable` while other nodes cannot be reached; nobody was told then.
    pub async fn tell(&self, audience: Audience, frame: Frame) -> Result<(), Exception> {
        let here = self.app.node();
        match audience {
            Audience::Session(session) if session.node() == here => {}
            Audience::Session(session) => {
                let (node, word) = (session.node(), word::tell(here, audience, &frame)?);
                return self.errand(|brought| Errand::Bring { node, word, brought }).await;
            }
            // The others first: where that fails, who tries again repeats nothing here.
            Audience::User(_) | Audience::Everybody => {
                let word = word::tell(here, audience, &frame)?;
                self.errand(|said| Errand::Say { word, said }).await?;
            }
        }
        tell_here(&self.app, &self.metrics, audience, frame).await
    }

    /// Whether a user has a session on any node. One that does not answer counts as without.
    ///
    /// # Errors
    /// `unavailable` where the user is not on this node, and others cannot be asked: all of them, or
    /// one that has not come back since the broker was away.
    pub async fn is_online(&self, user: UserId) -> Result<bool, Exception> {
        if notify::is_here(&self.app, user).await? {
            return Ok(true);
        }
        self.errand(|found| Errand::Find { user, found }).await
    }

    async fn errand<T>(
        &self,
        errand: impl FnOnce(oneshot::Sender<T>) -> Errand,
    ) -> Result<T, Exception> {
        let (done, outcome) = oneshot::channel();
        self.errands.send(errand(done)).await.map_err(|_| Exception::unavailable())?;
        outcome.await.map_err(|_| Exception::unavailable())
    }
}

async fn tell_here(
    app: &AppState,
    metrics: &Metrics,
    audience: Audience,
    frame: Frame,
) -> Result<(), Exception> {
    let told = notify::broadcast(app, Broadcast { audience, frame }).await?;
    if let Audience::Session(session) = audience {
        metrics.gateway_answer(match told {
            0 => AnswerOutcome::Unknown,
            _ => AnswerOutcome::Delivered,
        });
        if told == 0 {
            log::debug!(
                "session {session} is gone, or too slow; what it was to be told is dropped"
            );
        }
    }
    Ok(())
}

/// This node's part in the talk.
struct Meeting {
    parts: Parts,
    others: Others,
    finds: HashMap<u64, Find>,
    /// Each search takes equally long at most, so these are in order.
    deadlines: VecDeque<(Instant, u64)>,
    last_find: u64,
    /// What was said last in the log of what is wrong.
    said: Option<String>,
}

/// A search for a user.
struct Find {
    /// Those who have not answered, and whether each can: it was heard since this node can hear.
    awaited: HashMap<NodeId, bool>,
    found: oneshot::Sender<bool>,
}

/// What became of a word for one node: whether it is in that node's queue.
struct Brought {
    node: NodeId,
    is_there: Result<bool, BusError>,
    brought: oneshot::Sender<()>,
}

impl Meeting {
    async fn run(mut self, mut errands: mpsc::Receiver<Errand>) {
        let broker = self.parts.broker.clone();
        let mut pause = FIRST_PAUSE;
        for count in 1.. {
            tokio::select! {
                () = broker.connected() => {}
                // Nobody is to wait for a broker that may stay away: dropped, it is `unavailable`.
                () = refuse_all(&mut errands) => return,
                () = broker.closing() => return,
            }
            // From here on it takes a moment, for which who asks can wait.
            let opened = tokio::select! {
                opened = timeout(OPENING, Link::open(&self.parts, count)) => {
                    opened.unwrap_or(Err(BusError::Late))
                }
                () = broker.closing() => return,
            };
            let ended = match opened {
                Ok(link) => {
                    pause = FIRST_PAUSE;
                    self.said = None;
                    self.others.listen(Instant::now());
                    self.talk(link, &mut errands).await
                }
                Err(error) => Err(error),
            };
            self.finds.clear();
            self.deadlines.clear();
            match ended {
                Ok(()) => return,
                Err(error) => self.say(format!("other nodes cannot be reached: {error}")),
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = refuse_all(&mut errands) => return,
                () = broker.closing() => return,
            }
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }

    /// Talks until the end, or until something breaks.
    async fn talk(
        &mut self,
        mut link: Link,
        errands: &mut mpsc::Receiver<Errand>,
    ) -> Result<(), BusError> {
        let broker = self.parts.broker.clone();
        let mut rhythm = interval(HERE_EVERY);
        rhythm.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut bringing = Fuse::terminated();
        loop {
            let deadline = self.deadlines.front().map(|(at, _)| *at);
            tokio::select! {
                word = link.words.next() => {
                    let word = word.ok_or(BusError::Away)??;
                    self.hear(&link, &word.data).await?;
                    word.acker.ack(BasicAckOptions::default()).await?;
                }
                brought = &mut bringing, if !bringing.is_terminated() => self.brought(brought)?,
                errand = next(errands), if bringing.is_terminated() => match errand {
                    Some(Errand::Bring { node, word, brought }) => {
                        bringing = link
                            .bring(&self.parts, node, word)
                            .map(move |is_there| Brought { node, is_there, brought })
                            .fuse();
                    }
                    Some(Errand::Say { word, said }) => {
                        link.say(word).await?;
                        answer(said, ());
                    }
                    Some(Errand::Find { user, found }) => self.find(&link, user, found).await?,
                    None => return link.say(self.word(Word::Gone)).await,
                },
                () = broker.closing() => return link.say(self.word(Word::Gone)).await,
                () = at(deadline) => self.give_up_finds(),
                _ = rhythm.tick() => {
                    self.others.forget_silent(Instant::now());
                    link.say(self.word(Word::Here)).await?;
                }
            }
        }
    }

    /// A node that is known, and has no queue, will be back, or is forgotten soon: who asked tries
    /// again. The sessions of any other are gone.
    fn brought(&self, Brought { node, is_there, brought }: Brought) -> Result<(), BusError> {
        let outcome = match is_there? {
            true => AnswerOutcome::Elsewhere,
            false if self.others.knows(node) => return Ok(()),
            false => AnswerOutcome::Unknown,
        };
        self.parts.metrics.gateway_answer(outcome);
        answer(brought, ());
        Ok(())
    }

    async fn find(
        &mut self,
        link: &Link,
        user: UserId,
        found: oneshot::Sender<bool>,
    ) -> Result<(), BusError> {
        let mut awaited: HashMap<_, _> = self.others.all().collect();
        if self.others.may_be_more(Instant::now()) {
            // It does not answer itself, so this lasts as long as it may.
            awaited.insert(self.parts.app.node(), true);
        }
        if awaited.is_empty() {
            answer(found, false);
            return Ok(());
        }
        if self.finds.len() >= MOST_ERRANDS {
            return Ok(());
        }
        self.last_find += 1;
        let find = self.last_find;
        link.say(self.word(Word::Find { find, user })).await?;
        self.finds.insert(find, Find { awaited, found });
        self.deadlines.push_back((Instant::now() + FIND, find));
        Ok(())
    }

    /// Does what a word of a node asks for. What cannot be read is looked over: a node of another
    /// version may have said it.
    async fn hear(&mut self, link: &Link, letter: &[u8]) -> Result<(), BusError> {
        let here = self.parts.app.node();
        let Some((from, word)) = word::read(letter) else {
            log::debug!("another node said what cannot be read");
            return Ok(());
        };
        if from == here {
            return Ok(());
        }
        let Some(is_new) = self.others.hear(from, Instant::now()) else {
            log::debug!("there are too many nodes: {from} is not heard");
            return Ok(());
        };
        if is_new && !matches!(word, Word::Gone) {
            // It need not wait until it hears of this one.
            link.whisper(from, self.word(Word::Here)).await?;
        }
        match word {
            Word::Here => {}
            Word::Gone => {
                self.others.forget(from);
                self.not_with(|_| true, from);
            }
            Word::Tell { to, frame } => {
                let Some(audience) = to.audience() else { return Ok(()) };
                let frame = Frame::from(frame.get());
                let (app, metrics) = (&self.parts.app, &self.parts.metrics);
                if tell_here(app, metrics, audience, frame).await.is_err() {
                    log::debug!("what another node said came too late");
                }
            }
            Word::Find { find, user } => {
                let here = notify::is_here(&self.parts.app, user).await.unwrap_or(false);
                link.whisper(from, self.word(Word::Found { find, here })).await?;
            }
            Word::Found { find, here: true } => {
                if let Some(Find { found, .. }) = self.finds.remove(&find) {
                    answer(found, true);
                }
            }
            Word::Found { find, here: false } => self.not_with(|id| id == find, from),
        }
        Ok(())
    }

    /// A node has said no, or has gone: a search that has asked all others is over.
    fn not_with(&mut self, is_meant: impl Fn(u64) -> bool, node: NodeId) {
        let over = self.finds.extract_if(|id, find| {
            is_meant(*id) && find.awaited.remove(&node).is_some() && find.awaited.is_empty()
        });
        for (_, Find { found, .. }) in over {
            answer(found, false);
        }
    }

    fn give_up_finds(&mut self) {
        let now = Instant::now();
        while let Some((_, find)) = self.deadlines.pop_front_if(|(at, _)| *at <= now) {
            // Dropped, where one could not even be asked, it is `unavailable`.
            if let Some(Find { awaited, found }) = self.finds.remove(&find)
                && awaited.values().all(|can_answer| *can_answer)
            {
                answer(found, false);
            }
        }
    }

    fn word(&self, word: Word<'_>) -> Vec<u8> {
        write(self.parts.app.node(), word).unwrap_or_default()
    }

    /// Says what is wrong: once, and not at every try until it is over.
    fn say(&mut self, problem: String) {
        if self.said.as_ref() != Some(&problem) {
            log::warn!("{problem}");
            self.said = Some(problem);
        }
    }
}

/// The next errand of somebody who waits for it: who has given up may have tried again.
async fn next(errands: &mut mpsc::Receiver<Errand>) -> Option<Errand> {
    loop {
        let errand = errands.recv().await?;
        let is_given_up = match &errand {
            Errand::Say { said: done, .. } | Errand::Bring { brought: done, .. } => {
                done.is_closed()
            }
            Errand::Find { found, .. } => found.is_closed(),
        };
        if !is_given_up {
            return Some(errand);
        }
    }
}

/// Answers whoever asked, who may have given up: then nobody is left to be told.
fn answer<T>(asker: oneshot::Sender<T>, value: T) {
    let _ = asker.send(value);
}

/// Drops what it is given, until nobody gives it anything any more.
async fn refuse_all(errands: &mut mpsc::Receiver<Errand>) {
    while errands.recv().await.is_some() {}
}
