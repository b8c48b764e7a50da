//! What the rest of the program may ask of the actors.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::prelude::*;
use tokio::sync::oneshot;

use super::chat_server::{Announce, ChatServer, Locate, Meter, UserChanged};
use super::gateway::{Broadcast, IsHere, Outside};
use super::reception::{Admit, Reception};
use super::reply::Reply;
use super::room_actor::{MarkRead, Post, PostOutcome, RoomActor};
use crate::auth::{AdmitError, AuthenticatedUser, Claims, TokenError, Verifier};
use crate::db::{Refusal, Store, StoreError};
use crate::domain::{
    Author, Chat, ChatId, ClientId, Draft, MessageKind, NodeId, PostResult, Receipt, Seq,
    SessionId, Standing, Timestamp, User, UserId, access,
};
use crate::metrics::Metrics;
use crate::protocol::{Code, Entry, Exception, MarkView, NewChat, Outgoing};
use crate::settings::Limits;

/// How often a post follows a room that has moved, before it is `unavailable`.
const MOVES: usize = 3;

/// The door to the actors: cheap to clone, the same for sessions, HTTP and buses.
#[derive(Clone)]
pub struct Desk(Arc<DeskParts>);

/// What a desk is made of.
pub struct DeskParts {
    pub node: NodeId,
    pub store: Store,
    pub verifier: Verifier,
    pub chat_server: Addr<ChatServer>,
    pub reception: Addr<Reception>,
    pub limits: Limits,
    pub metrics: Arc<Metrics>,
    pub unauthenticated: AtomicUsize,
    /// Other services, where there is a broker.
    pub outside: Option<Outside>,
}

/// Someone who was let in, with the chats whose rooms they enter first.
pub struct Arrival {
    pub user: AuthenticatedUser,
    pub chats: Vec<Standing>,
    pub resume: Vec<Entry>,
}

/// A message that is in the log.
#[derive(Debug)]
pub struct PostedMessage {
    pub receipt: Receipt,
    pub client_id: String,
    pub duplicate: bool,
}

/// A place among the sockets that have shown no token yet; given back when dropped.
pub struct Stranger(Desk);

impl Drop for Stranger {
    fn drop(&mut self) {
        self.0.0.unauthenticated.fetch_sub(1, Ordering::Relaxed);
        self.0.0.metrics.unauthenticated.dec();
    }
}

impl From<StoreError> for Exception {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => {
                log::warn!("{error}");
                Exception::unavailable()
            }
            StoreError::Internal(_) | StoreError::Setup(_) => {
                log::error!("{error}");
                Exception::internal()
            }
        }
    }
}

impl From<TokenError> for Exception {
    fn from(error: TokenError) -> Self {
        let code = match error {
            TokenError::Expired => Code::TokenExpired,
            TokenError::Invalid(_) => Code::Unauthenticated,
        };
        Exception::new(code, error.to_string())
    }
}

impl Desk {
    #[must_use]
    pub fn new(parts: DeskParts) -> Self {
        Self(Arc::new(parts))
    }

    /// Which node of the deployment this is.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.0.node
    }

    /// Reads go to the database directly.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    #[must_use]
    pub fn chat_server(&self) -> &Addr<ChatServer> {
        &self.0.chat_server
    }

    /// The way to other services; `None` without a broker.
    #[must_use]
    pub fn outside(&self) -> Option<&Outside> {
        self.0.outside.as_ref()
    }

    /// Says something to sessions of this node; to how many of them.
    ///
    /// # Errors
    /// `unavailable` while the server stops.
    pub async fn broadcast(&self, broadcast: Broadcast) -> Result<usize, Exception> {
        self.0.chat_server.send(broadcast).await.map_err(|_| Exception::unavailable())
    }

    /// Whether a user has a session on this node.
    ///
    /// # Errors
    /// `unavailable` while the server stops.
    pub async fn is_here(&self, user: UserId) -> Result<bool, Exception> {
        self.0.chat_server.send(IsHere(user)).await.map_err(|_| Exception::unavailable())
    }

    /// A place for a socket without a token; `None` when all are taken.
    #[must_use]
    pub fn stranger(&self) -> Option<Stranger> {
        let before = self.0.unauthenticated.fetch_add(1, Ordering::Relaxed);
        self.0.metrics.unauthenticated.inc();
        let place = Stranger(self.clone());
        (before < self.0.limits.unauthenticated).then_some(place)
    }

    /// Checks a token.
    ///
    /// # Errors
    /// `unauthenticated` or `token_expired`.
    pub fn verify(&self, token: &str) -> Result<Claims, Exception> {
        Ok(self.0.verifier.verify(token, Timestamp::now())?)
    }

    /// Finds or makes the user whom a token is of, and a customer's own chat.
    ///
    /// # Errors
    /// `forbidden` when blocked, `unavailable` when the database does not answer.
    pub async fn admit(
        &self,
        claims: Claims,
    ) -> Result<(AuthenticatedUser, Vec<Standing>), Exception> {
        let (reply, answer) = oneshot::channel();
        let admit = Admit { identity: claims.identity().clone(), reply };
        self.0.reception.try_send(admit).map_err(|_| Exception::unavailable())?;
        let admission = answer.await.map_err(|_| Exception::unavailable())??;
        let user = claims.admit(admission.user).map_err(|error| match error {
            AdmitError::Blocked => Exception::forbidden("this user is blocked"),
            AdmitError::OtherUser => {
                log::error!("a token was answered with another user");
                Exception::internal()
            }
        })?;
        if let Some(chat) = admission.created_chat {
            // Bounded: one for each customer who is seen for the first time.
            let (chat, members) = (Arc::new(chat), vec![user.id()]);
            self.0.chat_server.do_send(Announce { chat, members, except: None });
        }
        Ok((user, admission.chats))
    }

    /// As [`Desk::admit`], with the further chats of `resume` that the user may see.
    ///
    /// # Errors
    /// As [`Desk::admit`].
    pub async fn arrive(
        &self,
        claims: Claims,
        mut resume: Vec<Entry>,
    ) -> Result<Arrival, Exception> {
        let (user, mut chats) = self.admit(claims).await?;
        let further: Vec<ChatId> = resume
            .iter()
            .map(|entry| entry.chat_id)
            .filter(|id| chats.iter().all(|standing| standing.chat_id != *id))
            .collect();
        if !further.is_empty() {
            let further = self.store().standings(user.id(), further).await?;
            chats.extend(
                further.into_iter().filter(|standing| access::may_see(user.role(), standing)),
            );
        }
        resume.retain(|entry| chats.iter().any(|standing| standing.chat_id == entry.chat_id));
        Ok(Arrival { user, chats, resume })
    }

    /// How the user stands to a chat.
    ///
    /// # Errors
    /// `chat_not_found` where it does not exist, for anybody or for this user.
    pub async fn standing(
        &self,
        user: &AuthenticatedUser,
        chat: ChatId,
    ) -> Result<Standing, Exception> {
        let mut standings = self.standings(user, vec![chat]).await?;
        standings.pop().ok_or_else(|| Exception::chat_not_found(chat))
    }

    /// How the user stands to each of several chats, in their order.
    ///
    /// # Errors
    /// `chat_not_found` for the first that does not exist, for anybody or for this user.
    pub async fn standings(
        &self,
        user: &AuthenticatedUser,
        chats: Vec<ChatId>,
    ) -> Result<Vec<Standing>, Exception> {
        let found = self.store().standings(user.id(), chats.clone()).await?;
        chats
            .into_iter()
            .map(|chat| {
                found
                    .iter()
                    .find(|standing| {
                        standing.chat_id == chat && access::may_see(user.role(), standing)
                    })
                    .copied()
                    .ok_or_else(|| Exception::chat_not_found(chat))
            })
            .collect()
    }

    /// A chat's room on this node.
    ///
    /// # Errors
    /// `unavailable` while the server stops.
    pub async fn locate(&self, chat: ChatId) -> Result<Addr<RoomActor>, Exception> {
        self.0.chat_server.send(Locate(chat)).await.map_err(|_| Exception::unavailable())
    }

    /// Counts a post that comes over no session against its user's rate, on this node.
    ///
    /// # Errors
    /// `rate_limited`.
    pub async fn meter(&self, user: UserId) -> Result<(), Exception> {
        let taken = self.0.chat_server.send(Meter(user)).await;
        taken.map_err(|_| Exception::unavailable())?.map_err(|wait| {
            self.0.metrics.requests_limited.inc();
            Exception::rate_limited(wait)
        })
    }

    /// Sends a message the way that a session's goes. The caller has checked the access.
    ///
    /// # Errors
    /// What [`Exception::of_stored`] says of it.
    pub async fn post(
        &self,
        author: Arc<Author>,
        chat: ChatId,
        message: Outgoing,
    ) -> Result<PostedMessage, Exception> {
        let client_id = message.client_id.unwrap_or_else(ClientId::random);
        let name = client_id.as_str().to_owned();
        let mut draft = Draft {
            chat_id: chat,
            author: author.id,
            role: author.role,
            kind: MessageKind::Text,
            content: message.body,
            client_id,
            expect_seq: message.expect_seq,
        };
        for _ in 0..MOVES {
            let room = self.locate(chat).await?;
            let (reply, answer) = Reply::to_caller();
            let post = Post { draft, author: Arc::clone(&author), origin: None, reply };
            room.try_send(post).map_err(|_| Exception::unavailable())?;
            match answer.await.map_err(|_| Exception::unavailable())? {
                PostOutcome::Moved(moved) => draft = *moved,
                PostOutcome::Stored(stored) => {
                    if let Some(exception) = Exception::of_stored(chat, &stored) {
                        return Err(exception);
                    }
                    let (PostResult::New(receipt, _) | PostResult::Duplicate(receipt)) = stored
                    else {
                        return Err(Exception::unavailable());
                    };
                    let duplicate = matches!(stored, PostResult::Duplicate(_));
                    return Ok(PostedMessage { receipt, client_id: name, duplicate });
                }
            }
        }
        Err(Exception::unavailable())
    }

    /// Raises a read mark. The caller has checked the access.
    ///
    /// # Errors
    /// `unavailable`, or `chat_not_found`.
    pub async fn mark_read(
        &self,
        user: UserId,
        chat: ChatId,
        seq: Seq,
    ) -> Result<MarkView, Exception> {
        let room = self.locate(chat).await?;
        let (reply, answer) = Reply::to_caller();
        room.try_send(MarkRead { user, seq, reply }).map_err(|_| Exception::unavailable())?;
        let marked = answer.await.map_err(|_| Exception::unavailable())?;
        marked.map(mark_view).map_err(|refusal| refused(chat, &refusal))
    }

    /// Makes a group chat for an admin, or finds a customer's own. Announces what was made, but to
    /// the session whose ack carries it. `true` where it was made now.
    ///
    /// # Errors
    /// `forbidden`, `bad_request` without users, `user_not_found`, `unavailable`.
    pub async fn create_chat(
        &self,
        user: &AuthenticatedUser,
        wanted: NewChat,
        session: Option<SessionId>,
    ) -> Result<(Chat, Standing, bool), Exception> {
        let (id, made) = match wanted.user_ids {
            Some(_) if !access::may_create_group(user.role()) => {
                return Err(Exception::forbidden("only admins make chats of chosen people"));
            }
            Some(users) => match self.store().create_group(user.id(), users, wanted.title).await? {
                Ok(id) => (id, true),
                Err(missing) => return Err(Exception::user_not_found(missing)),
            },
            None if access::may_create_group(user.role()) => {
                return Err(Exception::bad_request("userIds", "is missing"));
            }
            None => self.store().own_chat(user.id()).await?,
        };
        let found = self.store().chat(id, user.id()).await?;
        let (chat, standing) = found.ok_or_else(|| Exception::chat_not_found(id))?;
        if made {
            self.announce(chat.clone(), session).await?;
        }
        Ok((chat, standing, made))
    }

    /// Finds a customer's own chat, or makes and announces it.
    ///
    /// # Errors
    /// `unavailable`; `internal` for who is no customer.
    pub async fn own_chat(&self, customer: UserId) -> Result<ChatId, Exception> {
        let (id, made) = self.store().own_chat(customer).await?;
        if made && let Some(chat) = self.store().chats_by_id(vec![id]).await?.pop() {
            self.announce(chat, None).await?;
        }
        Ok(id)
    }

    async fn announce(&self, chat: Chat, except: Option<SessionId>) -> Result<(), Exception> {
        let members = self.store().member_ids(chat.id).await?;
        self.0.chat_server.do_send(Announce { chat: Arc::new(chat), members, except });
        Ok(())
    }

    /// Blocks a user, whose sessions on this node end at once, or lets them in again.
    ///
    /// # Errors
    /// `user_not_found`, `unavailable`.
    pub async fn block(&self, id: UserId, blocked: bool) -> Result<User, Exception> {
        let user = self
            .store()
            .set_blocked(id, blocked)
            .await?
            .ok_or_else(|| Exception::user_not_found(id))?;
        let (role, blocked) = (user.role, user.blocked);
        self.0.chat_server.do_send(UserChanged { user: id, role, blocked });
        Ok(user)
    }
}

/// A read mark as it stands.
#[must_use]
pub fn mark_view(marked: crate::db::Marked) -> MarkView {
    MarkView { read_seq: marked.read_seq, unread: marked.read_seq.until(marked.last_seq) }
}

/// Why there is no mark.
#[must_use]
pub fn refused(chat: ChatId, refusal: &Refusal) -> Exception {
    match refusal {
        Refusal::NoChat => Exception::chat_not_found(chat),
        Refusal::Unavailable => Exception::unavailable(),
        Refusal::Failed => Exception::internal(),
    }
}
