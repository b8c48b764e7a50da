//! To come.
use crate::actors::{Audience, Broadcast};
use crate::domain::UserId;
use crate::protocol::{Exception, Frame};
#[derive(Clone)]
pub struct Nodes(pub crate::actors::Desk);
impl Nodes {
    pub async fn tell(&self, audience: Audience, frame: Frame) -> Result<(), Exception> {
        self.0.broadcast(Broadcast { audience, frame })
    }
    pub async fn is_online(&self, user: UserId) -> Result<bool, Exception> {
        self.0.is_here(user).await
    }
}
