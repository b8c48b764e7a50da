//! What the nodes of a deployment say to each other: frames for sessions that are on another node,
//! and who is online.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Consumer, ExchangeKind};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::broker::BusError;
use super::{Parts, at};
use crate::actors::{Audience, Broadcast, Desk};
use crate::domain::{NodeId, SessionId, UserId};
use crate::metrics::{AnswerOutcome, Metrics};
use crate::protocol::{Exception, Frame};

/// Where nodes meet.
const EXCHANGE: &str = "frontdesk.nodes";
/// The key of what every node is told.
const ALL: &str = "all";
/// How often a node says that it is there.
const HERE_EVERY: Duration = Duration::from_secs(2);
/// A node that was silent for so long is not asked any more.
const SILENT: Duration = Duration::from_secs(7);
/// How long other nodes may take to say whether a user is with them.
const FIND: Duration = Duration::from_millis(500);
/// What waits to be said, and what is asked and not answered; one more waits, or is `unavailable`.
const MOST_ERRANDS: usize = 1_024;
/// Words that the broker keeps for a node; the oldest give way.
const MOST_KEPT: i32 = 65_536;
/// Words that are looked at before they are acknowledged.
const PREFETCH: u16 = 256;
/// The first pause before the exchange is tried again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Reaches the sessions of all nodes, this one's among them. Cheap to clone.
#[derive(Clone)]
pub struct Nodes {
    desk: Desk,
    metrics: Arc<Metrics>,
    errands: mpsc::Sender<Errand>,
}

/// What other nodes are to be told. Dropped, it is `unavailable`.
enum Errand {
    Say { key: String, word: Vec<u8>, said: oneshot::Sender<()> },
    Find { user: UserId, found: oneshot::Sender<bool> },
}

impl Nodes {
    /// The nodes as this one reaches them, and the work of it, which goes on until the last clone is
    /// dropped.
    pub fn new(parts: Parts) -> (Self, impl Future<Output = ()>) {
        let (errands, taken) = mpsc::channel(MOST_ERRANDS);
        let (desk, metrics) = (parts.desk.clone(), Arc::clone(&parts.metrics));
        let meeting = Meeting {
            parts,
            others: HashMap::new(),
            finds: HashMap::new(),
            deadlines: VecDeque::new(),
            last_find: 0,
            said: None,
        };
        (Self { desk, metrics, errands }, meeting.run(taken))
    }

    /// Sends a frame to sessions, on whichever nodes they are. What is told to one session arrives in
    /// order. A session that is gone is told nothing, and that is counted.
    ///
    /// # Errors
    /// `unavailable` while other nodes cannot be reached; sessions of this one have been told.
    pub async fn tell(&self, audience: Audience, frame: Frame) -> Result<(), Exception> {
        let here = self.desk.node();
        let key = match audience {
            Audience::Session(session) if session.node() == here => None,
            Audience::Session(session) => Some(session.node().to_string()),
            Audience::User(_) | Audience::Everybody => Some(ALL.to_owned()),
        };
        let word = key.as_ref().map(|_| tell(here, audience, &frame)).transpose()?;
        match audience {
            Audience::Session(session) if session.node() != here => {
                self.metrics.gateway_answer(AnswerOutcome::Elsewhere);
            }
            _ => tell_here(&self.desk, &self.metrics, audience, frame).await?,
        }
        let (Some(key), Some(word)) = (key, word) else { return Ok(()) };
        let (said, heard) = oneshot::channel();
        let errand = Errand::Say { key, word, said };
        self.errands.send(errand).await.map_err(|_| Exception::unavailable())?;
        heard.await.map_err(|_| Exception::unavailable())
    }

    /// Whether a user has a session on any node. One that does not answer counts as without.
    ///
    /// # Errors
    /// `unavailable` while other nodes cannot be asked, and the user is not on this one.
    pub async fn is_online(&self, user: UserId) -> Result<bool, Exception> {
        if self.desk.is_here(user).await? {
            return Ok(true);
        }
        let (found, answer) = oneshot::channel();
        let errand = Errand::Find { user, found };
        self.errands.send(errand).await.map_err(|_| Exception::unavailable())?;
        answer.await.map_err(|_| Exception::unavailable())
    }
}

/// What one node says to another, or to all.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "say", content = "what", rename_all = "snake_case")]
enum Word<'a> {
    /// I am here.
    Here,
    /// I go.
    Gone,
    /// Tell your sessions.
    Tell {
        to: To,
        #[serde(borrow)]
        frame: &'a RawValue,
    },
    /// Is this user with you?
    Find { find: u64, user: UserId },
    /// They are, or are not.
    Found { find: u64, here: bool },
}

/// An [`Audience`] on the wire.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum To {
    Session(String),
    User(UserId),
    Everybody,
}

#[derive(Serialize, Deserialize)]
struct Letter<'a> {
    from: String,
    #[serde(borrow)]
    word: Word<'a>,
}

fn write(from: NodeId, word: Word<'_>) -> Result<Vec<u8>, Exception> {
    serde_json::to_vec(&Letter { from: from.to_string(), word }).map_err(|error| {
        log::error!("a word to other nodes cannot be written: {error}");
        Exception::unavailable()
    })
}

fn tell(from: NodeId, audience: Audience, frame: &Frame) -> Result<Vec<u8>, Exception> {
    let to = match audience {
        Audience::Session(session) => To::Session(session.to_string()),
        Audience::User(user) => To::User(user),
        Audience::Everybody => To::Everybody,
    };
    let frame = serde_json::from_str(frame).map_err(|error| {
        log::error!("a frame for other nodes cannot be read: {error}");
        Exception::unavailable()
    })?;
    write(from, Word::Tell { to, frame })
}

async fn tell_here(
    desk: &Desk,
    metrics: &Metrics,
    audience: Audience,
    frame: Frame,
) -> Result<(), Exception> {
    let told = desk.broadcast(Broadcast { audience, frame }).await?;
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
    /// Other nodes, and when each was heard last.
    others: HashMap<NodeId, Instant>,
    finds: HashMap<u64, Find>,
    /// Each search takes equally long at most, so these are in order.
    deadlines: VecDeque<(Instant, u64)>,
    last_find: u64,
    /// What was said last in the log of what is wrong.
    said: Option<String>,
}

/// A search for a user.
struct Find {
    /// Those who have not answered.
    awaited: HashSet<NodeId>,
    found: oneshot::Sender<bool>,
}

struct Open {
    channel: Channel,
    words: Consumer,
    exchange: String,
    since: Instant,
}

impl Meeting {
    async fn run(mut self, mut errands: mpsc::Receiver<Errand>) {
        let broker = self.parts.broker.clone();
        let mut pause = FIRST_PAUSE;
        loop {
            let opened = tokio::select! {
                opened = self.open() => opened,
                // Nobody is to wait for a broker that may stay away: dropped, it is `unavailable`.
                () = refuse_all(&mut errands) => return,
                () = broker.closing() => return,
            };
            let ended = match opened {
                Ok(open) => {
                    pause = FIRST_PAUSE;
                    self.said = None;
                    self.talk(open, &mut errands).await
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

    async fn open(&self) -> Result<Open, BusError> {
        let settings = &self.parts.settings;
        let exchange = settings.named(EXCHANGE).unwrap_or_default();
        let channel = self.parts.broker.channel().await?;
        let declare = ExchangeDeclareOptions {
            passive: !settings.declare,
            auto_delete: true,
            ..ExchangeDeclareOptions::default()
        };
        let nothing = FieldTable::default;
        let name = || exchange.as_str().into();
        channel.exchange_declare(name(), ExchangeKind::Direct, declare, nothing()).await?;
        let own = QueueDeclareOptions {
            exclusive: true,
            auto_delete: true,
            ..QueueDeclareOptions::default()
        };
        let mut bounded = FieldTable::default();
        bounded.insert("x-max-length".into(), AMQPValue::LongInt(MOST_KEPT));
        let queue = channel.queue_declare("".into(), own, bounded).await?;
        let queue = || queue.name().clone();
        for key in [self.parts.desk.node().to_string(), ALL.to_owned()] {
            let bind = QueueBindOptions::default();
            channel.queue_bind(queue(), name(), key.into(), bind, nothing()).await?;
        }
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let options = BasicConsumeOptions { exclusive: true, ..BasicConsumeOptions::default() };
        let words = channel.basic_consume(queue(), "".into(), options, nothing()).await?;
        Ok(Open { channel, words, exchange, since: Instant::now() })
    }

    /// Talks until the end, or until something breaks.
    async fn talk(
        &mut self,
        mut open: Open,
        errands: &mut mpsc::Receiver<Errand>,
    ) -> Result<(), BusError> {
        let broker = self.parts.broker.clone();
        let mut rhythm = interval(HERE_EVERY);
        rhythm.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let deadline = self.deadlines.front().map(|(at, _)| *at);
            tokio::select! {
                word = open.words.next() => {
                    let word = word.ok_or(BusError::Away)??;
                    self.hear(&open, &word.data).await?;
                    word.acker.ack(BasicAckOptions::default()).await?;
                }
                errand = errands.recv() => match errand {
                    Some(errand) => self.run_errand(&open, errand).await?,
                    None => return open.say(ALL, self.word(Word::Gone)).await,
                },
                () = broker.closing() => return open.say(ALL, self.word(Word::Gone)).await,
                () = at(deadline) => self.give_up_finds(),
                _ = rhythm.tick() => {
                    let now = Instant::now();
                    self.others.retain(|_, heard| now.duration_since(*heard) < SILENT);
                    open.say(ALL, self.word(Word::Here)).await?;
                }
            }
        }
    }

    async fn run_errand(&mut self, open: &Open, errand: Errand) -> Result<(), BusError> {
        match errand {
            Errand::Say { key, word, said } => {
                open.say(&key, word).await?;
                // Who asked may have given up.
                let _ = said.send(());
                Ok(())
            }
            Errand::Find { user, found } => {
                // Right after the start others may be there that were not heard yet.
                let all_are_known = open.since.elapsed() > FIND;
                if self.others.is_empty() && all_are_known {
                    let _ = found.send(false);
                    return Ok(());
                }
                if self.finds.len() >= MOST_ERRANDS {
                    return Ok(());
                }
                self.last_find += 1;
                let find = self.last_find;
                open.say(ALL, self.word(Word::Find { find, user })).await?;
                let awaited = self.others.keys().copied().collect();
                self.finds.insert(find, Find { awaited, found });
                self.deadlines.push_back((Instant::now() + FIND, find));
                Ok(())
            }
        }
    }

    /// Does what a word of a node asks for. What cannot be read is looked over: a node of another
    /// version may have said it.
    async fn hear(&mut self, open: &Open, letter: &[u8]) -> Result<(), BusError> {
        let here = self.parts.desk.node();
        let letter = serde_json::from_slice::<Letter<'_>>(letter);
        let read = letter.ok().and_then(|letter| Some((NodeId::parse(&letter.from)?, letter.word)));
        let Some((from, word)) = read else {
            log::debug!("another node said what cannot be read");
            return Ok(());
        };
        if from == here {
            return Ok(());
        }
        let is_new = self.others.insert(from, Instant::now()).is_none();
        if is_new && !matches!(word, Word::Gone) {
            // It need not wait until it hears of this one.
            open.say(&from.to_string(), self.word(Word::Here)).await?;
        }
        match word {
            Word::Here => {}
            Word::Gone => {
                self.others.remove(&from);
                self.not_with(|_| true, from);
            }
            Word::Tell { to, frame } => {
                let Some(audience) = audience(&to) else { return Ok(()) };
                let frame = Frame::from(frame.get());
                let (desk, metrics) = (&self.parts.desk, &self.parts.metrics);
                if tell_here(desk, metrics, audience, frame).await.is_err() {
                    log::debug!("what another node said came too late");
                }
            }
            Word::Find { find, user } => {
                let here = self.parts.desk.is_here(user).await.unwrap_or(false);
                open.say(&from.to_string(), self.word(Word::Found { find, here })).await?;
            }
            Word::Found { find, here: true } => {
                if let Some(Find { found, .. }) = self.finds.remove(&find) {
                    let _ = found.send(true);
                }
            }
            Word::Found { find, here: false } => self.not_with(|id| id == find, from),
        }
        Ok(())
    }

    /// A node has said no, or has gone: a search that has asked all others is over.
    fn not_with(&mut self, is_meant: impl Fn(u64) -> bool, node: NodeId) {
        let over = self.finds.extract_if(|id, find| {
            is_meant(*id) && find.awaited.remove(&node) && find.awaited.is_empty()
        });
        for (_, Find { found, .. }) in over {
            let _ = found.send(false);
        }
    }

    fn give_up_finds(&mut self) {
        let now = Instant::now();
        while let Some((_, find)) = self.deadlines.pop_front_if(|(at, _)| *at <= now) {
            if let Some(Find { found, .. }) = self.finds.remove(&find) {
                let _ = found.send(false);
            }
        }
    }

    fn word(&self, word: Word<'_>) -> Vec<u8> {
        write(self.parts.desk.node(), word).unwrap_or_default()
    }

    /// Says what is wrong: once, and not at every try until it is over.
    fn say(&mut self, problem: String) {
        if self.said.as_ref() != Some(&problem) {
            log::warn!("{problem}");
            self.said = Some(problem);
        }
    }
}

impl Open {
    async fn say(&self, key: &str, word: Vec<u8>) -> Result<(), BusError> {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let exchange = self.exchange.as_str().into();
        self.channel.basic_publish(exchange, key.into(), options, &word, properties).await?;
        Ok(())
    }
}

fn audience(to: &To) -> Option<Audience> {
    Some(match to {
        To::Session(session) => Audience::Session(SessionId::parse(session)?),
        To::User(user) => Audience::User(*user),
        To::Everybody => Audience::Everybody,
    })
}

/// Drops what it is given, until nobody gives it anything any more.
async fn refuse_all(errands: &mut mpsc::Receiver<Errand>) {
    while errands.recv().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_the_same_on_the_other_node() {
        let (node, session) = (NodeId::random(), SessionId::random());
        let frame = Frame::from(r#"{"event":"recv","data":{"n":1.0,"é":"\u00e9 \"x\""}}"#);
        for audience in [Audience::Session(session), Audience::User(UserId(7)), Audience::Everybody]
        {
            let bytes = tell(node, audience, &frame).expect("a word");
            let letter: Letter<'_> = serde_json::from_slice(&bytes).expect("a letter");
            let Word::Tell { to, frame: told } = letter.word else { panic!("another word") };
            assert_eq!((NodeId::parse(&letter.from), told.get()), (Some(node), &*frame));
            assert_eq!(super::audience(&to), Some(audience));
        }
    }
}
