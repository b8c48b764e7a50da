//! Events for other services: those that configuration names and the protocol does not.

use std::sync::Arc;

use super::action::{Action, Ask, Counted, ForwardRequest};
use super::forwards::{Sent, WaitingForward};
use super::input::ServiceAnswer;
use super::state::{Authenticated, Session, Turn};
use crate::domain::{ChatId, Role, Route, RouteKind, RouteRole, access};
use crate::protocol::{AckData, ApiError, Code, Envelope, Fields};

impl<R: Clone> Session<R> {
    /// The route of an event that is not one of the protocol's.
    pub(super) fn route(&self, refused: &ApiError, event: &str) -> Option<Arc<Route>> {
        if refused.code != Code::UnknownEvent {
            return None;
        }
        self.config.routes.as_ref()?.by_event.get(event).cloned()
    }

    /// Passes an event on; its answer comes when it comes, and holds nothing up.
    pub(super) fn forward(
        &mut self,
        route: Arc<Route>,
        envelope: &Envelope<'_>,
        turn: &mut Turn<'_, R>,
    ) {
        let request = envelope.id.clone();
        match self.check_forward(&route, envelope, turn) {
            Ok((chat, unchecked, fields)) => {
                let Some(session) = self.live() else { return };
                let forwards = session.forwards.get_or_insert_default();
                forwards.last_number += 1;
                let sent = Sent { number: forwards.last_number, route, request };
                forwards.waiting.push_back(WaitingForward { sent, chat, unchecked, fields });
                self.send_forwards(turn);
            }
            Err(exception) => turn.refuse(request, Some(&route.event), exception),
        }
    }

    /// Checks all that can be checked at once: the chat that is named, whether its access must be asked
    /// for, and the fields to pass on.
    fn check_forward(
        &mut self,
        route: &Route,
        envelope: &Envelope<'_>,
        turn: &mut Turn<'_, R>,
    ) -> Result<(Option<ChatId>, bool, String), ApiError> {
        let most_bytes = self.config.routes.as_ref().map_or(0, |routes| routes.most_bytes);
        let session = self.live().ok_or_else(ApiError::unavailable)?;
        let wanted = match route.role {
            RouteRole::Any => None,
            RouteRole::Customer => Some(Role::Customer),
            RouteRole::Admin => Some(Role::Admin),
        };
        if !access::may_forward(session.user.role(), wanted) {
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
        let forwards = session.forwards.get_or_insert_default();
        if !forwards.have_room_for(&fields, most_bytes) {
            turn.act(Action::Count(Counted::ForwardUnavailable));
            return Err(ApiError::unavailable());
        }
        let chat = named.or_else(|| session.own.map(|own| own.chat_id));
        let unchecked = named.is_some_and(|chat| !session.is_in(chat));
        Ok((chat, unchecked, fields))
    }

    /// Passes on what waits, up to the next one whose access must be asked for.
    fn send_forwards(&mut self, turn: &mut Turn<'_, R>) {
        let Some(session) = self.live() else { return };
        let user = session.user.id();
        let Some(forwards) = &mut session.forwards else { return };
        while !forwards.asking
            && let Some(waiting) = forwards.waiting.front()
        {
            if let Some(chat) = waiting.chat.filter(|_| waiting.unchecked) {
                forwards.asking = true;
                turn.act(Action::Ask(Ask::ForwardAccess(chat)));
                return;
            }
            let Some(WaitingForward { sent, chat, fields, .. }) = forwards.waiting.pop_front()
            else {
                return;
            };
            let route = Arc::clone(&sent.route);
            let number = sent.number;
            forwards.sent.push(sent);
            turn.act(Action::Forward(ForwardRequest { number, route, user, chat, fields }));
        }
    }

    /// The access of the first waiting event is known.
    pub(super) fn forward_access(&mut self, access: Result<(), ApiError>, turn: &mut Turn<'_, R>) {
        let Some(session) = self.live() else { return };
        let Some(forwards) = &mut session.forwards else { return };
        forwards.asking = false;
        match access {
            Ok(()) => {
                if let Some(waiting) = forwards.waiting.front_mut() {
                    waiting.unchecked = false;
                }
            }
            Err(exception) => {
                if let Some(WaitingForward { sent, .. }) = forwards.waiting.pop_front() {
                    turn.refuse(sent.request, Some(&sent.route.event), exception);
                }
            }
        }
        self.send_forwards(turn);
    }

    /// A forwarded event was answered.
    pub(super) fn forwarded(
        &mut self,
        number: u64,
        outcome: Result<Option<ServiceAnswer>, ApiError>,
        turn: &mut Turn<'_, R>,
    ) {
        let Some(session) = self.live() else { return };
        let Some(forwards) = &mut session.forwards else { return };
        let sent = &mut forwards.sent;
        let Some(at) = sent.iter().position(|sent| sent.number == number) else { return };
        let Sent { route, request, .. } = sent.swap_remove(at);
        match (outcome, route.kind) {
            (Ok(_), RouteKind::Event) => turn.ack(request, AckData::Done),
            (Ok(None), RouteKind::Request) => turn.ack(request, AckData::Service(None)),
            (Ok(Some(ServiceAnswer { value, permit })), RouteKind::Request) => {
                turn.ack(request, AckData::Service(Some(value)));
                turn.act(Action::Written(permit));
            }
            (Err(exception), _) => turn.refuse(request, Some(&route.event), exception),
        }
    }
}

impl<R> Authenticated<R> {
    /// The user's access to the chat is known without the database.
    fn is_in(&self, chat: ChatId) -> bool {
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
