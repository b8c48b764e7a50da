//! `authenticate`: the token of a connection's first frame, or a fresh one later.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::auth::AuthenticatedUser;
use crate::domain::{Role, access};
use crate::protocol::{
    AckData, ApiError, Code, Ending, Entry, Envelope, Expires, Limits, RequestId, WireEntry,
    parse_data,
};
use crate::session::action::{Action, Ask};
use crate::session::state::{Phase, Session, Turn};
use crate::session::waiting::Waiting;

pub const NAME: &str = "authenticate";

#[derive(Debug, PartialEq, Eq)]
pub struct Authenticate {
    token: String,
    /// Counts instead of the URL's where it is there.
    resume: Option<Vec<Entry>>,
}

impl Authenticate {
    pub fn parse(data: Option<&RawValue>, _: &Limits) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        struct Wire {
            token: String,
            resume: Option<Vec<WireEntry>>,
        }
        let Wire { token, resume } = parse_data(data, "data")?;
        let resume = resume.map(|resume| Entry::check_all(resume, "data.resume")).transpose()?;
        Ok(Self { token, resume })
    }

    /// A fresh token of the same user, for a session that goes on.
    pub fn act<R: Clone>(
        self,
        session: &mut Session<R>,
        request: Option<RequestId>,
        turn: &mut Turn<'_, R>,
    ) -> Result<(), ApiError> {
        session.ask(Ask::Renew { token: self.token }, Waiting::Renew { request }, turn);
        Ok(())
    }
}

impl<R: Clone> Session<R> {
    /// The first frame of a connection without a token.
    pub(in crate::session) fn first_frame(
        &mut self,
        envelope: &Envelope<'_>,
        turn: &mut Turn<'_, R>,
    ) {
        let parsed = match &*envelope.event {
            NAME => Authenticate::parse(envelope.data, &self.config.requests),
            _ => Err(ApiError::new(Code::Unauthenticated, "authenticate first")),
        };
        let request = envelope.id.clone();
        match (parsed, &mut self.phase) {
            (Ok(Authenticate { token, resume }), Phase::Unauthenticated { resume: from_url }) => {
                let resume = resume.unwrap_or_else(|| std::mem::take(from_url));
                self.phase = Phase::Authenticating { request };
                turn.act(Action::ClearDeadline);
                turn.act(Action::Ask(Ask::Authenticate { token, resume }));
            }
            (Ok(_), _) => {}
            (Err(exception), _) => {
                turn.refuse(request, Some(&envelope.event), exception);
                self.end(Ending::Unauthenticated, turn);
            }
        }
    }
}

/// The fresh token was checked.
pub(super) fn renewed<R: Clone>(
    session: &mut Session<R>,
    user: Result<AuthenticatedUser, ApiError>,
    request: Option<RequestId>,
    turn: &mut Turn<'_, R>,
) {
    let Some(live) = session.live() else { return };
    let fresh = user.and_then(|user| {
        if live.user.id() == user.id() {
            return Ok(user);
        }
        Err(ApiError::forbidden("the token is of another user than the session's"))
    });
    match fresh {
        Ok(user) => {
            let is_less = access::is_less(user.role(), live.user.role());
            if user.role() == Role::Admin {
                live.own = None;
            }
            let (expires_at, ends_at) = (user.expires_at(), user.ends_at());
            // A change that came meanwhile was held against the former token.
            turn.act(Action::Recheck(user.as_of()));
            live.user = user;
            turn.act(Action::TickAt(ends_at));
            turn.ack(request, AckData::Expires(Expires { expires_at }));
            if is_less {
                session.end(Ending::RoleChanged, turn);
            }
        }
        Err(exception) => {
            turn.refuse(request, Some(NAME), exception);
            // The old token's time may have come meanwhile.
            session.tick(turn);
        }
    }
}
