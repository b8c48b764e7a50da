//! What other services ask of the desk.

mod chats;
mod messages;
mod push;
mod users;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::{Instant, timeout};

use super::{Nodes, Parts};
use crate::metrics::RpcOutcome;
use crate::protocol::{ApiError, Code, parse_data};

/// A command, by the name that it has in `{cmd: …}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    GetUser,
    GetChat,
    ListChats,
    GetMessages,
    SendMessage,
    IsOnline,
    Push,
}

/// What a command is answered with.
pub type Answer = Result<Box<RawValue>, ApiError>;

impl Command {
    const ALL: [Self; 7] = [
        Self::GetUser,
        Self::GetChat,
        Self::ListChats,
        Self::GetMessages,
        Self::SendMessage,
        Self::IsOnline,
        Self::Push,
    ];

    /// The command that a pattern stands for: `{cmd: name}`, or the name alone.
    #[must_use]
    pub fn of(pattern: &str) -> Option<Self> {
        let name = pattern.strip_prefix(r#"{"cmd":""#).and_then(|rest| rest.strip_suffix(r#""}"#));
        let name = name.unwrap_or(pattern);
        Self::ALL.into_iter().find(|command| command.name() == name)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GetUser => "get_user",
            Self::GetChat => "get_chat",
            Self::ListChats => "list_chats",
            Self::GetMessages => "get_messages",
            Self::SendMessage => "send_message",
            Self::IsOnline => "is_online",
            Self::Push => "push",
        }
    }
}

/// A command as it is asked for.
pub struct Question<'a> {
    pub parts: &'a Parts,
    pub nodes: &'a Nodes,
    /// By what the same question is known when it is delivered again.
    pub id: Option<&'a str>,
    pub data: Option<&'a RawValue>,
}

impl Question<'_> {
    /// Does what the command asks for, within the deadline.
    ///
    /// # Errors
    /// A refusal, with the codes of the protocol; `unavailable` after the deadline.
    pub async fn answer(&self, command: Command) -> Answer {
        let began = Instant::now();
        let deadline = self.parts.settings.rpc_timeout();
        let answer = timeout(deadline, self.run(command)).await.unwrap_or_else(|_| {
            log::warn!("{} took longer than {deadline:?}", command.name());
            Err(ApiError::unavailable())
        });
        let outcome = match &answer {
            Ok(_) => RpcOutcome::Answered,
            Err(exception) => match exception.code {
                Code::Unavailable | Code::Internal => RpcOutcome::Unavailable,
                _ => RpcOutcome::Refused,
            },
        };
        self.parts.metrics.answered(command.name(), outcome, began.elapsed());
        answer
    }

    async fn run(&self, command: Command) -> Answer {
        match command {
            Command::GetUser => self.get_user().await,
            Command::GetChat => self.get_chat().await,
            Command::ListChats => self.list_chats().await,
            Command::GetMessages => self.get_messages().await,
            Command::SendMessage => self.send_message().await,
            Command::IsOnline => self.is_online().await,
            Command::Push => self.push().await,
        }
    }

    fn read<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        parse_data(self.data, DATA)
    }
}

/// Where a command's parameters stand in its packet.
const DATA: &str = "data";

fn answer(view: &impl Serialize) -> Answer {
    to_raw_value(view).map_err(|error| {
        log::error!("cannot encode an answer: {error}");
        ApiError::new(Code::Internal, "the answer cannot be written")
    })
}

/// The one of two names for the same thing that is given.
///
/// # Errors
/// Both are, or neither.
fn either<T>(
    (first, first_name): (Option<T>, &str),
    (second, second_name): (Option<T>, &str),
) -> Result<T, ApiError> {
    match (first, second) {
        (Some(value), None) | (None, Some(value)) => Ok(value),
        (Some(_), Some(_)) => Err(ApiError::bad_request(
            format!("{DATA}.{second_name}"),
            format!("stands beside {DATA}.{first_name}, one is allowed"),
        )),
        (None, None) => Err(ApiError::bad_request(
            format!("{DATA}.{first_name}"),
            format!("is missing (or {DATA}.{second_name})"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_known_by_its_object_and_by_its_name_alone() {
        for command in Command::ALL {
            let name = command.name();
            assert_eq!(Command::of(name), Some(command));
            assert_eq!(Command::of(&format!(r#"{{"cmd":"{name}"}}"#)), Some(command));
        }
        for pattern in
            ["", "nope", r#"{"cmd":"nope"}"#, r#"{"cmd":"push","v":1}"#, r#"{"do":"push"}"#]
        {
            assert_eq!(Command::of(pattern), None, "{pattern}");
        }
    }
}
