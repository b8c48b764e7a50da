//! What a client says to other services: events that configuration names, and the protocol does not.

use std::collections::VecDeque;
use std::sync::Arc;

use actix_web_actors::ws::WebsocketContext;

use super::commands::{Done, answer};
use super::{Member, WsSession};
use crate::actors::gateway::{Answer, Asker, Forward};
use crate::app::chat_access;
use crate::domain::{ChatId, Role, access};
use crate::metrics::ForwardOutcome;
use crate::protocol::{ApiError, Code, Envelope, Fields, RequestId};
use crate::settings::{Route, RouteKind, RouteRole};

/// Events of one session that wait for the database, the broker or an answer; one more is
/// `unavailable`.
const MOST_IN_FLIGHT: usize = 64;

/// A session's events for other services that are under way. They leave in the order in which they
/// came, so those behind one whose chat is looked up wait for it.
#[derive(Default)]
pub struct Forwards {
    in_flight: usize,
    waiting: VecDeque<Waiting>,
    looking: bool,
}

/// An event on its way out.
struct Waiting {
    sent: Sent,
    chat: Option<ChatId>,
    /// Whether the user may see the chat is not known yet.
    unseen: bool,
    fields: String,
}

/// What the client calls its event; the answer goes by it.
struct Sent {
    route: Arc<Route>,
    request: Option<RequestId>,
}

impl WsSession {
    /// Where an event goes that is none of the protocol's.
    pub(super) fn route(&self, refused: &ApiError, event: &str) -> Option<Arc<Route>> {
        if refused.code != Code::UnknownEvent {
            return None;
        }
        self.desk.integrations()?.routes.get(event).cloned()
    }

    /// Passes an event on; its answer comes when it comes, and holds nothing up.
    pub(super) fn forward(
        &mut self,
        route: Arc<Route>,
        envelope: &Envelope<'_>,
        ctx: &mut WebsocketContext<Self>,
    ) {
        let sent = Sent { route, request: envelope.id.clone() };
        let waiting = self.look_over(&sent.route, envelope);
        let (chat, unseen, fields) = match waiting {
            Ok(waiting) => waiting,
            Err(exception) => return self.refuse_forward(&sent, &exception, ctx),
        };
        let Some(member) = self.member() else { return };
        member.forwards.in_flight += 1;
        member.forwards.waiting.push_back(Waiting { sent, chat, unseen, fields });
        self.pass_on(ctx);
    }

    /// Checks all that can be checked at once: the chat that is meant, whether its access is open, and
    /// the fields to pass on.
    fn look_over(
        &mut self,
        route: &Route,
        envelope: &Envelope<'_>,
    ) -> Result<(Option<ChatId>, bool, String), ApiError> {
        let most_bytes = self.desk.integrations().map_or(0, |outside| outside.most_bytes);
        let metrics = Arc::clone(self.desk.metrics());
        let member = self.member().ok_or_else(ApiError::unavailable)?;
        let wanted = match route.role {
            RouteRole::Any => None,
            RouteRole::Customer => Some(Role::Customer),
            RouteRole::Admin => Some(Role::Admin),
        };
        if !access::may_forward(member.user.role(), wanted) {
            return Err(ApiError::forbidden("this event is not for users of this role"));
        }
        let data = envelope.data.map_or("{}", |data| data.get());
        if data.len() > most_bytes {
            let problem = format!("has {} bytes, the most are {most_bytes}", data.len());
            return Err(ApiError::at(Code::TooLarge, "data", problem));
        }
        let mut fields = Fields::parse(data)
            .map_err(|problem| ApiError::bad_request("data", problem.to_string()))?;
        // Only the gateway says who a service is to answer.
        fields.take("metadata");
        let named = chat_of(&fields)?;
        let fields = fields.to_string();
        if !member.forwards.have_room_for(&fields, most_bytes) {
            metrics.gateway_forward(ForwardOutcome::Unavailable);
            return Err(ApiError::unavailable());
        }
        let chat = named.or_else(|| member.own.map(|own| own.chat_id));
        let unseen = named.is_some_and(|chat| !member.may_see_at_once(chat));
        Ok((chat, unseen, fields))
    }

    /// Passes on what waits, as far as the next one whose chat must be looked up.
    fn pass_on(&mut self, ctx: &mut WebsocketContext<Self>) {
        while let Some(member) = self.member().filter(|member| !member.forwards.looking)
            && let Some(waiting) = member.forwards.waiting.pop_front()
        {
            match waiting.chat.filter(|_| waiting.unseen) {
                Some(chat) => {
                    member.forwards.looking = true;
                    let user = member.user.clone();
                    let desk = self.desk.clone();
                    let look = async move {
                        chat_access::to_chat(&desk, &user, chat, access::may_read).await
                    };
                    self.after(look, ctx, move |this, standing, ctx| {
                        let Some(member) = this.member() else { return };
                        member.forwards.looking = false;
                        match standing {
                            Ok(_) => this.hand_on(waiting, ctx),
                            Err(exception) => this.forwarded(&waiting.sent, Err(exception), ctx),
                        }
                        this.pass_on(ctx);
                    });
                }
                None => self.hand_on(waiting, ctx),
            }
        }
    }

    fn hand_on(&mut self, waiting: Waiting, ctx: &mut WebsocketContext<Self>) {
        let session = self.id;
        let Some(user) = self.member().map(|member| member.user.id()) else { return };
        let Waiting { sent, chat, fields, .. } = waiting;
        let limits = self.desk.limits();
        let (most_events, most_bytes) = (limits.session_queue_events, limits.session_queue_bytes);
        let (asker, answer) = Asker::new(Arc::clone(&self.meter), most_events, most_bytes);
        let route = Arc::clone(&sent.route);
        let forward = Forward { route, session, user, chat, fields, asker };
        let gateway = self.desk.integrations().map(|outside| &outside.gateway);
        if let Some(Err(refused)) = gateway.map(|gateway| gateway.try_send(forward)) {
            self.desk.metrics().gateway_forward(ForwardOutcome::Unavailable);
            // Its asker is dropped with it, which answers it `unavailable`.
            drop(refused);
        }
        self.after(answer, ctx, move |this, outcome, ctx| {
            let outcome = outcome.unwrap_or_else(|_| Err(ApiError::unavailable()));
            this.forwarded(&sent, outcome, ctx);
        });
    }

    fn forwarded(
        &mut self,
        sent: &Sent,
        outcome: Result<Option<Answer>, ApiError>,
        ctx: &mut WebsocketContext<Self>,
    ) {
        // Who has gone is not answered.
        let Some(member) = self.member() else { return };
        member.forwards.in_flight -= 1;
        match (outcome, sent.route.kind) {
            (Ok(_), RouteKind::Event) => answer(sent.request.as_ref(), Done {}, ctx),
            (Ok(value), RouteKind::Request) => {
                answer(sent.request.as_ref(), value.as_ref().map(|answer| &answer.value), ctx);
            }
            (Err(exception), _) => self.refuse_forward(sent, &exception, ctx),
        }
    }

    fn refuse_forward(&self, sent: &Sent, exception: &ApiError, ctx: &mut WebsocketContext<Self>) {
        self.refuse(sent.request.as_ref(), Some(&sent.route.event), exception, ctx);
    }
}

impl Forwards {
    /// Whether one more may be under way: there are not too many, and those that are held back here
    /// are not too large together.
    fn have_room_for(&self, fields: &str, most_bytes: usize) -> bool {
        let held_back: usize = self.waiting.iter().map(|waiting| waiting.fields.len()).sum();
        self.in_flight < MOST_IN_FLIGHT && held_back + fields.len() <= most_bytes.saturating_mul(2)
    }
}

impl Member {
    /// Whether it needs no look at the database to know that the user may see a chat.
    fn may_see_at_once(&self, chat: ChatId) -> bool {
        self.streams.contains(chat) || self.own.is_some_and(|own| own.chat_id == chat)
    }
}

/// The chat that the client names. Given twice it is refused: the service might read the other one.
fn chat_of(fields: &Fields<'_>) -> Result<Option<ChatId>, ApiError> {
    let Some((value, is_twice)) = fields.get("chatId") else { return Ok(None) };
    if is_twice {
        return Err(ApiError::bad_request("data.chatId", "is given twice"));
    }
    serde_json::from_str::<Option<ChatId>>(value.get())
        .map_err(|_| ApiError::bad_request("data.chatId", "must be a whole number of 64 bits"))
}
