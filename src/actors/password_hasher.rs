//! The one thread that hashes passwords, and the bounded queue in front of it.

use std::sync::Arc;
use std::time::Instant;

use actix::prelude::*;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::auth::AuthError;
use crate::auth::password::Argon2id;
use crate::metrics::Metrics;

/// Niceness of the thread: whoever talks goes before whoever logs in.
const NICENESS: i32 = 15;

/// A place in the queue, for one password. Free again when it is dropped.
pub struct Place {
    hasher: Addr<PasswordHasher>,
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
    argon2: Argon2id,
    /// Free places of the queue.
    places: Arc<Semaphore>,
    /// Places of the queue.
    most: usize,
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
    fn work<T>(
        &mut self,
        reply: oneshot::Sender<T>,
        place: Place,
        work: impl FnOnce(&mut Argon2id) -> T,
    ) {
        if reply.is_closed() {
            return;
        }
        let began = Instant::now();
        let result = work(&mut self.argon2);
        self.metrics.password_seconds.observe(began.elapsed().as_secs_f64());
        drop(place);
        // A caller that has gone is not told.
        drop(reply.send(result));
        if self.places.available_permits() == self.most {
            self.argon2.release();
        }
    }
}

impl Handler<Hash> for PasswordHasher {
    type Result = ();

    fn handle(&mut self, Hash { password, reply, place }: Hash, _: &mut Self::Context) {
        self.work(reply, place, |argon2| argon2.hash(&password));
    }
}

impl Handler<Verify> for PasswordHasher {
    type Result = ();

    fn handle(&mut self, Verify { password, hash, reply, place }: Verify, _: &mut Self::Context) {
        self.work(reply, place, |argon2| argon2.verify(&password, hash.as_deref()));
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
        let places = Arc::new(Semaphore::new(most));
        let (free, theirs) = (Arc::clone(&places), Arc::clone(&metrics));
        let hasher = PasswordHasher::start_in_arbiter(thread, move |_| PasswordHasher {
            argon2: Argon2id::default(),
            places: free,
            most,
            metrics: theirs,
        });
        Self { hasher, places, metrics }
    }

    /// A place in the queue. Taken before anything else is done for a password, so that a refusal costs little.
    ///
    /// # Errors
    /// `Busy` at once where the queue is full.
    pub fn place(&self) -> Result<Place, HashingRefused> {
        let permit = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            self.metrics.passwords_refused.inc();
            HashingRefused::Busy
        })?;
        self.metrics.passwords_waiting.inc();
        let (hasher, metrics) = (self.hasher.clone(), Arc::clone(&self.metrics));
        Ok(Place { hasher, _permit: permit, metrics })
    }
}

impl Place {
    /// Hashes a password.
    ///
    /// # Errors
    /// `Failed` without a random source, or where the server stops.
    pub async fn hash(self, password: String) -> Result<String, HashingRefused> {
        let (reply, answer) = oneshot::channel();
        let hasher = self.hasher.clone();
        // Bounded by the places.
        hasher.do_send(Hash { password, reply, place: self });
        match answer.await {
            Ok(Ok(hash)) => Ok(hash),
            Ok(Err(_)) | Err(_) => Err(HashingRefused::Failed),
        }
    }

    /// True if the hash is of this password. Takes as long without a hash.
    ///
    /// # Errors
    /// `Failed` where the server stops.
    pub async fn verify(
        self,
        password: String,
        hash: Option<String>,
    ) -> Result<bool, HashingRefused> {
        let (reply, answer) = oneshot::channel();
        let hasher = self.hasher.clone();
        // Bounded by the places.
        hasher.do_send(Verify { password, hash, reply, place: self });
        answer.await.map_err(|_| HashingRefused::Failed)
    }
}
