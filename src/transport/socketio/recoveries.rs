//! Recoveries: the broken sessions of a node to which their clients may come back.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use actix::prelude::*;

use super::recovery::Kept;
use super::sid::Sid;
use crate::domain::Timestamp;

/// Time between two looks for what is too old.
const SWEEP: Duration = Duration::from_secs(10);

/// The secret by which a client recovers its session (`pid`).
pub type Pid = Sid;

/// The issuer and the subject of a token: a session is recovered by its own alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    pub issuer: String,
    pub subject: String,
}

/// Owns `pid` → session, of those that are connected and of those that are broken.
pub struct Recoveries {
    /// Time that a broken one is kept (`socketio.recovery_ms`).
    keep: Duration,
    /// The most broken ones (`socketio.recovery_sessions`). For one more, the oldest is forgotten.
    most: usize,
    connected: HashMap<Pid, (Bearer, Recipient<GiveWay>)>,
    broken: HashMap<Pid, BrokenSession>,
    ends: BTreeSet<(Timestamp, Pid)>,
}

struct BrokenSession {
    bearer: Bearer,
    kept: Kept,
    /// The time at which it is forgotten.
    end: Timestamp,
}

impl Recoveries {
    #[must_use]
    pub fn new(keep: Duration, most: usize) -> Self {
        let (connected, broken, ends) = Default::default();
        Self { keep, most, connected, broken, ends }
    }

    fn sweep(&mut self, now: Timestamp) {
        while let Some((end, pid)) = self.ends.first()
            && (*end <= now || self.ends.len() > self.most)
        {
            let pid = Pid::clone(pid);
            self.remove(&pid);
        }
    }

    fn remove(&mut self, pid: &Pid) -> Option<Kept> {
        let BrokenSession { kept, end, .. } = self.broken.remove(pid)?;
        self.ends.remove(&(end, Pid::clone(pid)));
        Some(kept)
    }
}

/// A session is connected.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SessionConnected(pub Pid, pub Bearer, pub Recipient<GiveWay>);

/// A session is broken.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SessionBroken(pub Pid, pub Bearer, pub Kept);

/// A session is over, and not recovered.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SessionOver(pub Pid);

/// Takes a session of its bearer out.
#[derive(Message)]
#[rtype(result = "Found")]
pub struct Take(pub Pid, pub Bearer);

/// Session of a `pid`.
#[derive(MessageResponse)]
pub enum Found {
    Broken(Box<Kept>),
    /// Its connection has not noticed yet that its client is elsewhere.
    Connected(Recipient<GiveWay>),
    Unknown,
}

/// The client of this session has connected anew: ends the old connection.
#[derive(Message)]
#[rtype(result = "()")]
pub struct GiveWay;

/// Takes the session of a `pid`, which is broken by it if it is not yet. `None` if it is not known here.
pub async fn take(
    recoveries: Addr<Recoveries>,
    pid: Pid,
    bearer: Bearer,
    wait: Duration,
) -> Option<Kept> {
    let found = recoveries.send(Take(pid.clone(), bearer.clone())).await.ok()?;
    let found = match found {
        Found::Connected(connection) => {
            // One that ends at this moment does not answer, and has said so to Recoveries.
            let _ = connection.send(GiveWay).timeout(wait).await;
            recoveries.send(Take(pid, bearer)).await.ok()?
        }
        found => found,
    };
    match found {
        Found::Broken(kept) => Some(*kept),
        Found::Connected(_) | Found::Unknown => None,
    }
}

impl Actor for Recoveries {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(SWEEP, |this, _| this.sweep(Timestamp::now()));
    }
}

impl Handler<SessionConnected> for Recoveries {
    type Result = ();

    fn handle(
        &mut self,
        SessionConnected(pid, bearer, connection): SessionConnected,
        _: &mut Self::Context,
    ) {
        self.connected.insert(pid, (bearer, connection));
    }
}

impl Handler<SessionBroken> for Recoveries {
    type Result = ();

    fn handle(&mut self, SessionBroken(pid, bearer, kept): SessionBroken, _: &mut Self::Context) {
        let now = Timestamp::now();
        let end = now.after(self.keep);
        self.connected.remove(&pid);
        self.ends.insert((end, pid.clone()));
        self.broken.insert(pid, BrokenSession { bearer, kept, end });
        self.sweep(now);
    }
}

impl Handler<SessionOver> for Recoveries {
    type Result = ();

    fn handle(&mut self, SessionOver(pid): SessionOver, _: &mut Self::Context) {
        self.connected.remove(&pid);
    }
}

impl Handler<Take> for Recoveries {
    type Result = Found;

    fn handle(&mut self, Take(pid, bearer): Take, _: &mut Self::Context) -> Self::Result {
        self.sweep(Timestamp::now());
        if self.broken.get(&pid).is_some_and(|session| session.bearer == bearer)
            && let Some(kept) = self.remove(&pid)
        {
            return Found::Broken(Box::new(kept));
        }
        match self.connected.get(&pid) {
            Some((of, connection)) if *of == bearer => Found::Connected(connection.clone()),
            _ => Found::Unknown,
        }
    }
}
