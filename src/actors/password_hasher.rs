//! The one thread that hashes passwords, and the bounded queue in front of it.

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::auth::{AuthError, password};
use crate::metrics::Metrics;

/// Niceness of the thread: whoever talks goes before whoever logs in.
const NICENESS: i32 = 15;

/// A place in the queue, which is free again when this is dropped.
struct Place {
    _permit: OwnedSemaphorePermit,
    metrics: Arc<Metrics>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.metrics.passwords_waiting.dec();
    }
}

/// A password to be hashed.
#[derive(Message)]
#[rtype(result = "()")]
struct Hash {
    password: String,
    reply: oneshot::Sender<Result<String, AuthError>>,
    place: Place,
}

/// A password to be compared with a stored hash; without one the time is spent all the same.
#[derive(Message)]
#[rtype(result = "()")]
struct Verify {
    password: String,
    hash: Option<String>,
    reply: oneshot::Sender<bool>,
    place: Place,
}

/// Refusal of a password's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashingRefused {
    /// As many wait as may.
    Busy,
    Failed,
}

/// Blocks its thread while it works: it has an arbiter of its own.
pub struct PasswordHasher {
    metrics: Arc<Metrics>,
}

impl Actor for PasswordHasher {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        // Of this thread alone, on Linux.
        if let Err(error) = rustix::process::nice(NICENESS) {
            log::warn!("cannot lower the priority of the passwords' thread: {error}");
        }
    }
}

impl PasswordHasher {
    fn took(&self, began: std::time::Instant) {
        self.metrics.password_seconds.observe(began.elapsed().as_secs_f64());
    }
}

impl Handler<Hash> for PasswordHasher {
    type Result = ();

    fn handle(&mut self, Hash { password, reply, place }: Hash, _: &mut Self::Context) {
        if reply.is_closed() {
            return;
        }
        let began = std::time::Instant::now();
        let hash = password::hash(&password);
        self.took(began);
        drop(place);
        // A caller that has gone is not told.
        drop(reply.send(hash));
    }
}

impl Handler<Verify> for PasswordHasher {
    type Result = ();

    fn handle(&mut self, Verify { password, hash, reply, place }: Verify, _: &mut Self::Context) {
        if reply.is_closed() {
            return;
        }
        let began = std::time::Instant::now();
        let is_right = password::verify(&password, hash.as_deref());
        self.took(began);
        drop(place);
        // A caller that has gone is not told.
        let _ = reply.send(is_right);
    }
}

/// A handle to the hasher. At most a fixed number of passwords wait for it.
#[derive(Clone)]
pub struct Passwords {
    hasher: Addr<PasswordHasher>,
    places: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

impl Passwords {
    /// Starts the hasher on a thread of its own, with `most` passwords in front of it.
    #[must_use]
    pub fn start(thread: &ArbiterHandle, most: usize, metrics: Arc<Metrics>) -> Self {
        let theirs = Arc::clone(&metrics);
        let hasher =
            PasswordHasher::start_in_arbiter(thread, move |_| PasswordHasher { metrics: theirs });
        Self { hasher, places: Arc::new(Semaphore::new(most)), metrics }
    }

    fn place(&self) -> Result<Place, HashingRefused> {
        let permit = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            self.metrics.passwords_refused.inc();
            HashingRefused::Busy
        })?;
        self.metrics.passwords_waiting.inc();
        Ok(Place { _permit: permit, metrics: Arc::clone(&self.metrics) })
    }

    /// Hashes a password.
    ///
    /// # Errors
    /// `Busy` at once where the queue is full.
    pub async fn hash(&self, password: String) -> Result<String, HashingRefused> {
        let (reply, answer) = oneshot::channel();
        let place = self.place()?;
        // Bounded by the places.
        self.hasher.do_send(Hash { password, reply, place });
        match answer.await {
            Ok(Ok(hash)) => Ok(hash),
            Ok(Err(_)) | Err(_) => Err(HashingRefused::Failed),
        }
    }

    /// True if the hash is of this password. Takes as long without a hash.
    ///
    /// # Errors
    /// `Busy` at once where the queue is full.
    pub async fn verify(
        &self,
        password: String,
        hash: Option<String>,
    ) -> Result<bool, HashingRefused> {
        let (reply, answer) = oneshot::channel();
        let place = self.place()?;
        // Bounded by the places.
        self.hasher.do_send(Verify { password, hash, reply, place });
        answer.await.map_err(|_| HashingRefused::Failed)
    }
}
