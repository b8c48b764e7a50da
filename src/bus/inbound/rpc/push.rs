//! `push`: a service's own event for sessions.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::request::{Answer, DATA, RpcRequest, answer};
use crate::actors::Audience;
use crate::domain::{PROTOCOL_EVENTS, SessionId, UserId};
use crate::protocol::{self, ApiError, Code, Frame, Number};

pub const NAME: &str = "push";

/// The longest name of an event, in characters.
const EVENT_CHARS: usize = 64;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Push {
    event: String,
    data: Option<Box<RawValue>>,
    user_id: Option<Number>,
    session_id: Option<String>,
    all: Option<bool>,
}

#[derive(Serialize)]
struct Nothing {}

/// To one user, to one session, or to everybody. Not stored: absent sessions miss it.
pub async fn run(request: &RpcRequest<'_>) -> Answer {
    let wanted: Push = request.read()?;
    let audience = wanted.audience()?;
    let frame = wanted.frame(request.context.app.limits().frame_bytes)?;
    request.nodes.tell(audience, frame).await?;
    answer(&Nothing {})
}

impl Push {
    fn audience(&self) -> Result<Audience, ApiError> {
        let named = "one of data.userId, data.sessionId and data.all must be given, and no other";
        match (self.user_id, self.session_id.as_deref(), self.all.unwrap_or_default()) {
            (Some(Number(user)), None, false) => Ok(Audience::User(UserId(user))),
            (None, Some(session), false) => {
                let id = SessionId::parse(session).ok_or_else(|| {
                    ApiError::bad_request(format!("{DATA}.sessionId"), "is no session's id")
                })?;
                Ok(Audience::Session(id))
            }
            (None, None, true) => Ok(Audience::Everybody),
            _ => Err(ApiError::new(Code::BadRequest, named)),
        }
    }

    /// `{"event":…,"data":…}`, with the data passed through.
    fn frame(&self, most_bytes: usize) -> Result<Frame, ApiError> {
        let path = || format!("{DATA}.event");
        if !(1..=EVENT_CHARS).contains(&self.event.chars().count()) {
            let problem = format!("must have 1 to {EVENT_CHARS} characters");
            return Err(ApiError::bad_request(path(), problem));
        }
        if PROTOCOL_EVENTS.contains(&self.event.as_str()) {
            return Err(ApiError::bad_request(path(), "is one of the protocol's own"));
        }
        let frame = protocol::pushed(&self.event, self.data.as_deref());
        if frame.len() > most_bytes {
            let problem = format!("makes a frame of more than {most_bytes} bytes");
            return Err(ApiError::at(Code::TooLarge, DATA, problem));
        }
        Ok(frame)
    }
}
