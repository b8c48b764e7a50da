//! Id of an Engine.IO session.

use std::sync::Arc;

use actix::prelude::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// The id of an Engine.IO session: the node's name, and 128 random bits. Whoever knows it may speak for
/// the session as long as that polls.
pub type Sid = Arc<str>;

/// Removes a connection that has ended from the directory.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Remove(pub Sid);

/// A new id, which begins with the node's name: a balancer can read it.
#[must_use]
pub fn new_sid(node: &str) -> Sid {
    // Two of them, since each has six bits that are not random.
    let [first, second] = [Uuid::new_v4(), Uuid::new_v4()].map(|uuid| uuid.as_u128());
    let random = (first ^ second.rotate_left(64)).to_be_bytes();
    format!("{node}.{}", URL_SAFE_NO_PAD.encode(random)).into()
}
