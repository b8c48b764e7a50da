//! Commands of clients: a file each, with its name, its data and its act, and a line in the table.

use super::action::{Action, Ask};
use super::input::Answered;
use super::state::{Session, Turn};
use super::waiting::{Visit, Waiting};
use crate::auth::AuthenticatedUser;
use crate::domain::{ChatAccess, ChatEntry, ChatId, ShownChat, access};
use crate::protocol::{ApiError, Code, Envelope, RequestId};

/// The table of commands.
macro_rules! commands {
    ($($command:ident :: $Command:ident),+ $(,)?) => {
        $(pub mod $command;)+

        /// The names of all commands.
        #[cfg(test)]
        pub const NAMES: &[&str] = &[$($command::NAME),+];

        /// Reads the command that an envelope names, and does it.
        ///
        /// # Errors
        /// An unknown event, or `data` that is not as the command needs it: the message names the path.
        pub(super) fn run<R: Clone>(
            session: &mut Session<R>,
            envelope: &Envelope<'_>,
            turn: &mut Turn<'_, R>,
        ) -> Result<(), ApiError> {
            let limits = session.config.requests;
            match &*envelope.event {
                $($command::NAME => {
                    let data = $command::$Command::parse(envelope.data, &limits)?;
                    data.act(session, envelope.id.clone(), turn)
                })+
                event => {
                    let event: String = event.chars().take(64).collect();
                    Err(ApiError::new(Code::UnknownEvent, format!("there is no event {event:?}")))
                }
            }
        }
    };
}

commands![
    authenticate::Authenticate,
    enter_chat::EnterChat,
    leave_chat::LeaveChat,
    create_chat::CreateChat,
    watch_chats::WatchChats,
    send_message::SendMessage,
    typing::Typing,
    read_message::ReadMessage,
    view_chat::ViewChat,
    ping::Ping,
];

impl<R: Clone> Session<R> {
    /// Asks a use case, and waits for its answer.
    fn ask(&mut self, ask: Ask, waiting: Waiting, turn: &mut Turn<'_, R>) {
        if let Some(session) = self.live() {
            session.waiting = Some(Box::new(waiting));
            turn.act(Action::Ask(ask));
        }
    }

    /// Goes on with `visit`. For a chat whose room the session does not know, the access is asked for
    /// first.
    fn visit(
        &mut self,
        chat: ChatId,
        request: Option<RequestId>,
        visit: Visit,
        turn: &mut Turn<'_, R>,
    ) {
        if self.live().is_some_and(|live| live.rooms.contains(chat)) {
            return self.visited(chat, request, visit, turn);
        }
        let verb = match visit {
            Visit::Post(_) => access::may_post,
            Visit::Mark(_) | Visit::View => access::may_read,
            Visit::Typing(_) => access::may_post,
        };
        self.ask(Ask::Access(chat, verb), Waiting::Visit { chat, request, visit }, turn);
    }

    fn visited(
        &mut self,
        chat: ChatId,
        request: Option<RequestId>,
        visit: Visit,
        turn: &mut Turn<'_, R>,
    ) {
        match visit {
            Visit::Post(message) => send_message::post(self, chat, message, request, turn),
            Visit::Mark(seq) => read_message::mark(self, chat, seq, request, turn),
            Visit::Typing(typing) => typing::tell(self, chat, typing, request, turn),
            Visit::View => view_chat::view(self, Some(chat), request, turn),
        }
    }

    /// A use case has answered.
    pub(super) fn answered(&mut self, answer: Answered, turn: &mut Turn<'_, R>) {
        match answer {
            Answered::JoinSent(is_sent) => self.join_sent(is_sent, turn),
            Answered::Authenticated(Ok(admitted)) => self.admitted(*admitted, turn),
            Answered::Authenticated(Err(exception)) => self.not_authenticated(exception, turn),
            Answered::ForwardAccess(access) => self.forward_access(access, turn),
            Answered::ForwardResult(number, outcome) => self.forwarded(number, outcome, turn),
            Answered::Renewed(user) => self.renewed(user, turn),
            Answered::Access(access) => self.access_known(access, turn),
            Answered::Entries(entries) => self.entries_known(entries, turn),
            Answered::ChatCreated(created) => self.chat_created(created, turn),
        }
    }

    fn take_waiting(&mut self) -> Option<Waiting> {
        self.live()?.waiting.take().map(|waiting| *waiting)
    }

    fn renewed(&mut self, user: Result<AuthenticatedUser, ApiError>, turn: &mut Turn<'_, R>) {
        if let Some(Waiting::Renew { request }) = self.take_waiting() {
            authenticate::renewed(self, user, request, turn);
        }
    }

    fn entries_known(&mut self, chats: Result<Vec<ChatEntry>, ApiError>, turn: &mut Turn<'_, R>) {
        let Some(Waiting::Enter { entries, request }) = self.take_waiting() else { return };
        match chats {
            Ok(chats) => self.enter(&entries, chats, request, turn),
            Err(exception) => turn.refuse(request, Some(enter_chat::NAME), exception),
        }
    }

    fn access_known(&mut self, access: Result<ChatAccess, ApiError>, turn: &mut Turn<'_, R>) {
        match (self.take_waiting(), access) {
            (Some(Waiting::Visit { chat, request, visit }), Ok(_)) => {
                if let Some(session) = self.live() {
                    session.rooms.visited(chat, &session.streams);
                }
                self.visited(chat, request, visit, turn);
            }
            (Some(Waiting::Visit { request, visit, .. }), Err(exception)) => {
                let name = match visit {
                    Visit::Post(_) => send_message::NAME,
                    Visit::Mark(_) => read_message::NAME,
                    Visit::Typing(_) => typing::NAME,
                    Visit::View => view_chat::NAME,
                };
                turn.refuse(request, Some(name), exception);
            }
            _ => {}
        }
    }

    fn chat_created(&mut self, created: Result<Box<ShownChat>, ApiError>, turn: &mut Turn<'_, R>) {
        if let Some(Waiting::Create { request }) = self.take_waiting() {
            create_chat::created(self, created, request, turn);
        }
    }
}

#[cfg(test)]
mod tests;
