//! Batched user admission: finds or makes the users and the customers' own chats, for all who came
//! while the last ones were let in, so that a storm of connections is a few transactions.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::batch_queue::BatchQueue;
use super::catch_panic::catch_panic;
use crate::db::{Admission, Store, StoreError};
use crate::domain::{ChatId, Identity, LoginId, Roster, SharedRateLimit, UserId};
use crate::metrics::{Metrics, Part};

/// People let in together.
const TOGETHER: usize = 256;
/// People who wait; one more is `unavailable`.
const MOST_WAITING: usize = 16_384;
/// Users whose rate is remembered before those at rest are forgotten.
const RATES: usize = 10_000;

/// Asks for a user to be let in; answered over `reply`.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AdmitUser {
    pub identity: Identity,
    /// Of a built-in account's token: it must not have ended.
    pub login: Option<LoginId>,
    /// The chats are to be entered: their rosters are read, too.
    pub with_rosters: bool,
    pub reply: oneshot::Sender<Result<AdmittedUser, NotAdmitted>>,
}

/// Refusal to let a user in.
#[derive(Debug, Clone)]
pub enum NotAdmitted {
    /// The token's login has ended.
    SignedOut,
    Store(StoreError),
}

impl From<StoreError> for NotAdmitted {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A user who was let in.
pub struct AdmittedUser {
    pub admission: Admission,
    pub rate: Arc<UserRate>,
    /// Of the user's chats, if they were asked for.
    pub rosters: HashMap<ChatId, Roster>,
}

/// The rate of a user's posts that come over no session. It is handed out with the admission, since
/// every such request passes here anyway: taking a token then asks nobody.
pub struct UserRate {
    limit: SharedRateLimit,
    began: Instant,
}

impl UserRate {
    /// Takes one post's token.
    ///
    /// # Errors
    /// The milliseconds until there is one again.
    pub fn take(&self) -> Result<(), u64> {
        self.limit.take(self.began.elapsed())
    }
}

/// The rate that a user's posts over HTTP are held to.
#[derive(Debug, Clone, Copy)]
pub struct RateSettings {
    pub per_second: u32,
    pub burst: u32,
}

pub struct UserAdmission {
    store: Store,
    queue: BatchQueue<AdmitUser>,
    metrics: Arc<Metrics>,
    rate: RateSettings,
    rates: HashMap<UserId, Arc<UserRate>>,
    /// Rates are counted from here: this clock does not step back.
    began: Instant,
}

impl UserAdmission {
    #[must_use]
    pub fn new(store: Store, metrics: Arc<Metrics>, rate: RateSettings) -> Self {
        let (queue, rates, began) = (BatchQueue::default(), HashMap::new(), Instant::now());
        Self { store, queue, metrics, rate, rates, began }
    }

    fn rate_of(&mut self, user: UserId) -> Arc<UserRate> {
        let (RateSettings { per_second, burst }, began) = (self.rate, self.began);
        if self.rates.len() >= RATES && !self.rates.contains_key(&user) {
            // A full bucket is as good as a new one, unless a request is about to take from it.
            let now = began.elapsed();
            self.rates.retain(|_, rate| !rate.limit.is_full(now) || Arc::strong_count(rate) > 1);
        }
        let rate = self.rates.entry(user).or_insert_with(|| {
            Arc::new(UserRate { limit: SharedRateLimit::new(per_second, burst), began })
        });
        Arc::clone(rate)
    }

    fn run(&mut self, ctx: &mut Context<Self>) {
        let mut places = TOGETHER;
        let Some(run) = self.queue.begin(|_| {
            places = places.saturating_sub(1);
            places > 0
        }) else {
            return;
        };
        let (asked, replies): (Vec<_>, Vec<_>) = run
            .into_iter()
            .map(|AdmitUser { identity, login, with_rosters, reply }| {
                ((identity, login, with_rosters), reply)
            })
            .unzip();
        let store = self.store.clone();
        let work = async move { admit(&store, asked).await };
        let work = catch_panic(work, Part::Reception, Arc::clone(&self.metrics));
        ctx.spawn(work.into_actor(self).map(move |admitted, this, ctx| {
            match admitted {
                Ok(admitted) => {
                    for (reply, admitted) in replies.into_iter().zip(admitted) {
                        let admitted = admitted.map(|(admission, rosters)| {
                            let rate = this.rate_of(admission.user.id);
                            AdmittedUser { admission, rate, rosters }
                        });
                        // A caller that has gone meanwhile is not told.
                        drop(reply.send(admitted.ok_or(NotAdmitted::SignedOut)));
                    }
                }
                Err(error) => {
                    for reply in replies {
                        drop(reply.send(Err(error.clone().into())));
                    }
                }
            }
            this.queue.end();
            this.run(ctx);
        }));
    }
}

/// Lets users in, and reads the rosters of the chats of those who are asked with `true`. `None` for a user
/// whose login has ended.
async fn admit(
    store: &Store,
    asked: Vec<(Identity, Option<LoginId>, bool)>,
) -> Result<Vec<Option<(Admission, HashMap<ChatId, Roster>)>>, StoreError> {
    let logins: Vec<LoginId> = asked.iter().filter_map(|(_, login, _)| *login).collect();
    let live = match logins.is_empty() {
        true => HashSet::new(),
        false => store.live_logins(logins).await?,
    };
    // A restored database may have given a user's id to another.
    let is_live = |identity: &Identity, login: LoginId| {
        let user = identity.subject.parse().map(UserId);
        user.is_ok_and(|user| live.contains(&(login, user)))
    };
    let is_let_in: Vec<bool> = asked
        .iter()
        .map(|(identity, login, _)| login.is_none_or(|login| is_live(identity, login)))
        .collect();
    let let_in = asked.into_iter().zip(&is_let_in).filter(|(_, is_let_in)| **is_let_in);
    let (identities, asks): (Vec<_>, Vec<_>) =
        let_in.map(|((identity, _, asks), _)| (identity, asks)).unzip();
    let mut admitted = admit_all(store, identities, asks).await?.into_iter();
    let outcome = |is_let_in| if is_let_in { admitted.next() } else { None };
    Ok(is_let_in.into_iter().map(outcome).collect())
}

async fn admit_all(
    store: &Store,
    identities: Vec<Identity>,
    asks: Vec<bool>,
) -> Result<Vec<(Admission, HashMap<ChatId, Roster>)>, StoreError> {
    let admissions: Vec<(Admission, bool)> =
        store.admit(identities).await?.into_iter().zip(asks).collect();
    let asking = admissions.iter().filter(|(_, asks)| *asks);
    let chats = asking.flat_map(|(Admission { user, chats, .. }, _)| {
        chats.iter().map(|access| (*access, user.id))
    });
    let rosters = store.rosters(chats.collect()).await?;
    let own = |(admission, asks): (Admission, bool)| {
        let chats = admission.chats.iter().filter(|_| asks).map(|access| access.chat_id);
        let own = chats.filter_map(|chat| Some((chat, rosters.get(&chat)?.clone()))).collect();
        (admission, own)
    };
    Ok(admissions.into_iter().map(own).collect())
}

impl Actor for UserAdmission {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MOST_WAITING);
    }
}

impl Handler<AdmitUser> for UserAdmission {
    type Result = ();

    fn handle(&mut self, admit: AdmitUser, ctx: &mut Self::Context) {
        if self.queue.len() >= MOST_WAITING {
            let full = StoreError::Unavailable("too many wait to be let in".to_owned());
            drop(admit.reply.send(Err(full.into())));
            return;
        }
        self.queue.push(admit);
        self.run(ctx);
    }
}
